package purses

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/internal/ledger"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/purse"
)

// maxSeats bounds the processes on one storage.
const maxSeats = 64

const seatKind = "cashuseat"

// seatRecord is what the storage has of a seat.
type seatRecord struct {
	// Owner is a random name of who holds it.
	Owner string `json:"owner"`
	// Beat grows while the owner lives.
	Beat uint64 `json:"beat"`
	// Left says that the owner has left.
	Left    bool           `json:"left,omitempty"`
	Process ledger.Process `json:"process"`
}

// seat is one that this process holds.
type seat struct {
	number int
	times  timing

	mu   sync.Mutex
	rec  seatRecord
	last time.Time // when the last beat that was stored began
	gone atomic.Bool

	opened bool // its purses are open; by the goroutine of live alone
	told   bool // that they cannot be opened; likewise
}

// fence says whether the seat is surely ours. Both clocks count: the monotonic one stands still
// while a machine sleeps.
func (s *seat) fence() error {
	s.mu.Lock()
	last := s.last
	s.mu.Unlock()
	now := time.Now()
	wall := now.Round(0).Sub(last.Round(0))
	if s.gone.Load() || now.Sub(last) > s.times.ttl/2 || wall > s.times.ttl/2 || wall < -s.times.ttl {
		return errLapsed
	}
	return nil
}

// owners are the terms of this process that still hold seats.
var owners sync.Map

// watched is a seat as it was seen.
type watched struct {
	owner string
	beat  uint64
	since time.Time
	alive bool // its beat was seen to change
}

// seats reads all seats.
func (t *term) seats(ctx context.Context) (map[int]seatRecord, error) {
	list, err := t.store(nil).ListDurable(ctx, seatKind)
	if err != nil {
		return nil, err
	}
	out := make(map[int]seatRecord)
	for _, d := range list {
		var n int
		var rec seatRecord
		if _, err := fmt.Sscanf(d.ID, "%d", &n); err != nil || json.Unmarshal(d.Value, &rec) != nil {
			return nil, fmt.Errorf("%w: a seat's record is damaged", purse.ErrStore)
		}
		out[n] = rec
	}
	return out, nil
}

// look compares a seat with what was seen of it before.
func (t *term) look(n int, rec seatRecord, now time.Time) *watched {
	w := t.seen[n]
	switch {
	case w == nil || w.owner != rec.Owner:
		w = &watched{owner: rec.Owner, beat: rec.Beat, since: now}
		t.seen[n] = w
	case w.beat != rec.Beat:
		w.beat, w.since, w.alive = rec.Beat, now, true
	}
	if _, here := owners.Load(rec.Owner); here {
		w.since, w.alive = now, true
	}
	return w
}

// dead tells whether nobody holds a seat any more.
func (t *term) dead(rec seatRecord, w *watched, now time.Time) bool {
	if rec.Left {
		return true
	}
	if _, here := owners.Load(rec.Owner); here {
		return false
	}
	return ours(rec) || rec.Process.Ended() || now.Sub(w.since) > t.house.timing.ttl
}

// sit takes the first seat that is free. It waits until it is clear which one that is.
func (t *term) sit(ctx context.Context) (*seat, error) {
	for {
		s, err := t.trySit(ctx)
		if s != nil || err != nil {
			return s, err
		}
		if !pause(ctx, t.house.timing.retry) {
			return nil, ctx.Err()
		}
	}
}

func (t *term) trySit(ctx context.Context) (*seat, error) {
	unlock, err := t.house.lock(ctx, "cashu-seats")
	if err != nil {
		return nil, fmt.Errorf("locking the seats: %w", err)
	}
	defer unlock()
	recs, err := t.seats(ctx)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	for n := range maxSeats {
		rec, taken := recs[n]
		if !taken {
			return t.take(ctx, n, rec)
		}
		w := t.look(n, rec, now)
		switch {
		case t.dead(rec, w, now):
			return t.take(ctx, n, rec)
		case !w.alive:
			return nil, nil
		}
	}
	return nil, fmt.Errorf("%w: all %d seats on this storage are taken", ErrFull, maxSeats)
}

// take writes our name on a seat; the caller holds the lock.
func (t *term) take(ctx context.Context, n int, old seatRecord) (*seat, error) {
	s := &seat{number: n, times: t.house.timing, rec: seatRecord{Owner: t.owner, Beat: old.Beat + 1, Process: process()}}
	s.last = time.Now()
	if err := t.writeSeat(ctx, s.number, s.rec); err != nil {
		return nil, err
	}
	recs, err := t.seats(ctx)
	if err != nil {
		return nil, err
	}
	if recs[n].Owner != t.owner {
		return nil, nil // somebody was faster where locks do not lock
	}
	return s, s.fence()
}

func (t *term) writeSeat(ctx context.Context, n int, rec seatRecord) error {
	b, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	return t.store(nil).PutDurable(ctx, seatKind, seatName(n), b)
}

// beat shows that this process lives. It returns errLapsed when a seat is lost.
func (t *term) beat(ctx context.Context, s *seat) error {
	if err := s.fence(); err != nil {
		return err
	}
	start := time.Now()
	b, err := t.store(nil).GetDurable(ctx, seatKind, seatName(s.number))
	if err != nil {
		return err
	}
	var rec seatRecord
	if json.Unmarshal(b, &rec) != nil || rec.Owner != t.owner {
		s.gone.Store(true)
		return errLapsed
	}
	rec.Beat++
	if err := t.writeSeat(ctx, s.number, rec); err != nil {
		return err
	}
	if err := s.fence(); err != nil {
		return err // it took too long: somebody may sit here
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rec, s.last = rec, start
	return nil
}

// leave frees a seat for others.
func (t *term) leave(ctx context.Context, s *seat) error {
	if err := t.beat(ctx, s); err != nil {
		return err
	}
	s.gone.Store(true)
	s.mu.Lock()
	rec := s.rec
	s.mu.Unlock()
	rec.Beat++
	rec.Left = true
	return t.writeSeat(ctx, s.number, rec)
}

// adopt takes over seats that have been empty for long, so that the ecash there is not left alone.
func (t *term) adopt(ctx context.Context) error {
	recs, err := t.seats(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	var empty []int
	for n, rec := range recs {
		if w := t.look(n, rec, now); rec.Owner != t.owner && t.deserted(rec, w, now) {
			empty = append(empty, n)
		}
	}
	t.noteAlone(recs, now)
	if len(empty) == 0 {
		return nil
	}
	unlock, err := t.house.lock(ctx, "cashu-seats")
	if err != nil {
		return fmt.Errorf("locking the seats: %w", err)
	}
	defer unlock()
	if recs, err = t.seats(ctx); err != nil {
		return err
	}
	for _, n := range empty {
		if rec := recs[n]; rec.Owner == "" || !t.deserted(rec, t.look(n, rec, now), now) {
			continue
		}
		s, err := t.take(ctx, n, recs[n])
		if err != nil || s == nil {
			return err
		}
		t.mu.Lock()
		t.others = append(t.others, s)
		t.mu.Unlock()
		t.house.logger().Info("looking after the ecash of a seat that is empty", zap.Int("seat", n))
	}
	return nil
}

// deserted tells whether a seat has been empty for so long that nobody else will come back for it. One
// that this very process left, such as under other settings, needs no waiting.
func (t *term) deserted(rec seatRecord, w *watched, now time.Time) bool {
	if !t.dead(rec, w, now) {
		return false
	}
	return now.Sub(w.since) > t.house.timing.adopt || ours(rec)
}

// ours tells whether a seat was held by this process.
func ours(rec seatRecord) bool {
	return rec.Process == process() && rec.Process != ledger.Process{}
}

func newOwner() string { return rand.Text() }

// pause waits, and returns false when the context ends.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func lapsed(err error) bool { return errors.Is(err, errLapsed) }
