package ledger

import (
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// The things that can fail and come back, each reported once on the way down and once on the way
// up, however many requests meet it.
const (
	healthCommit   = "writing records"
	healthClaim    = "claiming uses"
	healthBeat     = "renewing this instance's lease"
	healthPoll     = "looking for revocations"
	healthWants    = "looking for the wishes of other instances"
	healthCompact  = "merging segments"
	healthReturn   = "giving uses back"
	healthHouse    = "clearing old objects"
	healthObserve  = "looking for other instances"
	healthOverflow = "buffering records"
)

// health keeps the state of what can fail. It is safe for concurrent use.
type health struct {
	mu      sync.Mutex
	now     func() time.Time
	failing map[string]failure
	corrupt map[string]struct{}

	commitFailing atomic.Int64 // unix nanoseconds since when commits fail, or 0
	corruptCount  atomic.Int64
	lostCount     atomic.Int64
}

type failure struct {
	since time.Time
	err   error
	count int
}

func newHealth(now func() time.Time) *health {
	return &health{now: now, failing: make(map[string]failure), corrupt: make(map[string]struct{})}
}

// fail notes a failure and logs it when it is the first one.
func (h *health) fail(log *zap.Logger, what string, err error) {
	h.mu.Lock()
	f, known := h.failing[what]
	if !known {
		f.since = h.now()
		if what == healthCommit {
			h.commitFailing.Store(f.since.UnixNano())
		}
	}
	f.err = err
	f.count++
	h.failing[what] = f
	h.mu.Unlock()
	if !known {
		log.Warn("ledger storage is failing", zap.String("step", what), zap.Error(err))
	}
}

// ok notes a success and logs it when it ends a failure.
func (h *health) ok(log *zap.Logger, what string) {
	h.mu.Lock()
	f, known := h.failing[what]
	if known {
		delete(h.failing, what)
		if what == healthCommit {
			h.commitFailing.Store(0)
		}
	}
	h.mu.Unlock()
	if known {
		log.Info("ledger storage is back", zap.String("step", what), zap.Int("failures", f.count),
			zap.Duration("after", h.now().Sub(f.since)))
	}
}

// damaged reports an object that is cut or damaged, once for each object.
func (h *health) damaged(log *zap.Logger, key string, err error) {
	h.mu.Lock()
	_, known := h.corrupt[key]
	if !known && len(h.corrupt) < 1<<16 {
		h.corrupt[key] = struct{}{}
	}
	h.mu.Unlock()
	if !known {
		h.corruptCount.Add(1)
		log.Error("ledger object is damaged; what stands before the damage is used",
			zap.String("key", key), zap.Error(err))
	}
}

// lost counts a record that could not even be buffered.
func (h *health) lost(log *zap.Logger, what string) {
	h.lostCount.Add(1)
	h.mu.Lock()
	_, known := h.failing[healthOverflow]
	if !known {
		h.failing[healthOverflow] = failure{since: h.now(), err: ErrBacklog}
	}
	h.mu.Unlock()
	if !known {
		log.Error("ledger buffer is full: records are refused", zap.String("record", what))
	}
}

func (h *health) lostRecords(n int) { h.lostCount.Add(int64(n)) }

// degraded tells whether commits have been failing for longer than after.
func (h *health) degraded(now time.Time, after time.Duration) bool {
	since := h.commitFailing.Load()
	return since != 0 && now.UnixNano()-since > int64(after)
}

// last returns the longest-lasting failure.
func (h *health) last() (what string, since time.Time, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w, f := range h.failing {
		if err == nil || f.since.Before(since) {
			what, since, err = w, f.since, f.err
		}
	}
	return what, since, err
}
