package ledger

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// incarnation is one life of an instance: from its start, or from the moment when others took it
// for dead, to its end. Names of claims and segments carry it.
type incarnation struct {
	name     string
	segments atomic.Uint64 // number of the last segment
	claims   atomic.Uint32 // number of the last claim

	// lease is when the last beat that was stored began, or nil.
	lease atomic.Pointer[time.Time]
}

func newIncarnation(label string) *incarnation {
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	sum := sha256.Sum256([]byte(label))
	return &incarnation{name: hex.EncodeToString(sum[:4]) + hex.EncodeToString(random[:])}
}

// holds tells whether the incarnation showed recently enough that it lives. Both the monotonic
// and the wall clock count: the first stands still while a machine sleeps.
func (i *incarnation) holds(now time.Time, ttl time.Duration) bool {
	lease := i.lease.Load()
	if lease == nil {
		return false
	}
	wall := now.Round(0).Sub(lease.Round(0))
	return now.Sub(*lease) < ttl/2 && wall < ttl/2 && wall > -ttl
}

// members knows the instances on the storage. An instance beats only from its first claim on:
// who holds no uses has nothing to prove.
type members struct {
	l    *Ledger
	self processID

	mu    sync.Mutex // one beat or observation at a time
	beats uint64
	stale []string // own beats that are still to be deleted

	seenMu sync.Mutex
	seen   map[string]*member
	alone  atomic.Bool // no other instance that lives was seen
}

// member is another incarnation as it was observed.
type member struct {
	beat  uint64 // the greatest seen, 0 for none
	since time.Time
	dead  bool
	proof *processID
	beats []string
}

func newMembers(l *Ledger) *members {
	m := &members{l: l, self: currentProcess(), seen: make(map[string]*member)}
	m.alone.Store(true)
	return m
}

// register makes sure that the current incarnation has a valid lease.
func (m *members) register(ctx context.Context) (*incarnation, error) {
	inc := m.l.inc.Load()
	if inc.holds(m.l.opts.Now(), m.l.opts.LeaseTTL) {
		return inc, nil
	}
	if err := m.beat(ctx); err != nil {
		return nil, err
	}
	return m.l.inc.Load(), nil
}

// beat shows that this instance lives. The beat is stored before the listing, and who declares an
// instance dead stores a grave before it lists: at least one of the two sees the other.
func (m *members) beat(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	body, err := json.Marshal(beatBody{Instance: m.l.opts.Instance, Process: m.self})
	if err != nil {
		return fmt.Errorf("describing this instance: %w", err)
	}
	for range 2 {
		inc := m.l.inc.Load()
		start := m.l.opts.Now()
		if inc.lease.Load() != nil && inc.holds(start, m.l.opts.LeaseTTL/4) {
			return nil // somebody else just did
		}
		m.beats++
		key := m.l.objects.beat(inc.name, m.beats)
		if err := m.l.objects.store(ctx, key, body); err != nil {
			m.l.health.fail(m.l.logger(), healthBeat, err)
			return err
		}
		keys, err := m.l.objects.listArea(ctx, areaInstances)
		if err != nil {
			m.stale = append(m.stale, key)
			m.l.health.fail(m.l.logger(), healthBeat, err)
			return err
		}
		if !slices.Contains(keys, key) {
			m.stale = append(m.stale, key)
			m.l.health.fail(m.l.logger(), healthBeat, errUnlisted)
			return errUnlisted
		}
		buried := m.note(keys, start)
		m.stale = append(m.stale, key)
		last := len(m.stale) - 1
		if buried {
			last++
		}
		rest := m.stale[last:]
		for _, old := range m.stale[:last] {
			if m.l.objects.remove(ctx, old) != nil {
				rest = append(rest, old)
			}
		}
		m.stale = append([]string(nil), rest...)
		if !buried {
			inc.lease.Store(&start)
			m.l.health.ok(m.l.logger(), healthBeat)
			return nil
		}
		m.l.reincarnate(inc)
	}
	return fmt.Errorf("renewing the lease: %w", ErrFenced)
}

// errUnlisted says that a listing cannot be relied on.
var errUnlisted = errors.New("the storage does not list what it stored")

type beatBody struct {
	Instance string    `json:"instance,omitempty"`
	Process  processID `json:"process"`
}

// note takes over a listing that began at start. It returns whether somebody declared the current
// incarnation dead.
func (m *members) note(keys []string, start time.Time) (buried bool) {
	now := m.l.opts.Now()
	self := m.l.inc.Load().name
	m.seenMu.Lock()
	defer m.seenMu.Unlock()
	for _, o := range m.seen {
		o.beats = o.beats[:0]
	}
	latest := make(map[string]uint64)
	for _, key := range keys {
		if name, _, suffix, ok := m.l.objects.parseTombstone(key); ok {
			if name == self {
				buried = true // or about to be
			} else if suffix == sufTombstone {
				m.member(name, now).dead = true
			}
		} else if name, n, ok := m.l.objects.parseBeat(key); ok && name != self {
			o := m.member(name, now)
			o.beats = append(o.beats, key)
			latest[name] = max(latest[name], n)
		}
	}
	alone := true
	for name, o := range m.seen {
		if n := latest[name]; n > o.beat {
			o.beat, o.since = n, now
		}
		if !o.dead && len(o.beats) > 0 {
			alone = false
		}
	}
	m.alone.Store(alone)
	return buried
}

func (m *members) member(name string, now time.Time) *member {
	o := m.seen[name]
	if o == nil {
		o = &member{since: now}
		m.seen[name] = o
	}
	return o
}

// isDead tells whether an incarnation has a tombstone, and begins to watch it when it has not.
func (m *members) isDead(name string) bool {
	m.seenMu.Lock()
	defer m.seenMu.Unlock()
	return m.member(name, m.l.opts.Now()).dead
}

// watching tells whether an incarnation is seen of which it is not known that it ended.
func (m *members) watching() bool {
	m.seenMu.Lock()
	defer m.seenMu.Unlock()
	for _, o := range m.seen {
		if !o.dead {
			return true
		}
	}
	return false
}

// observe looks at the other instances and buries those that are silent for too long, or that
// surely ended.
func (m *members) observe(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	start := m.l.opts.Now()
	keys, err := m.l.objects.listArea(ctx, areaInstances)
	if err != nil {
		m.l.health.fail(m.l.logger(), healthObserve, err)
		return err
	}
	m.l.health.ok(m.l.logger(), healthObserve)
	m.note(keys, start)
	for name, o := range m.suspects() {
		silent := start.Sub(o.since) >= m.l.opts.LeaseTTL
		if !silent && !m.ended(ctx, name, o) {
			continue
		}
		if err := m.bury(ctx, name, o); err != nil {
			m.l.health.fail(m.l.logger(), healthObserve, err)
			return err
		}
	}
	return nil
}

// suspects returns copies of the members that are not known to be dead.
func (m *members) suspects() map[string]member {
	m.seenMu.Lock()
	defer m.seenMu.Unlock()
	out := make(map[string]member)
	for name, o := range m.seen {
		if !o.dead {
			c := *o
			c.beats = append([]string(nil), o.beats...)
			out[name] = c
		}
	}
	return out
}

// ended tells whether the process of a member provably runs no more.
func (m *members) ended(ctx context.Context, name string, o member) bool {
	if o.proof == nil {
		if len(o.beats) == 0 {
			return false
		}
		var body beatBody
		b, err := m.l.objects.load(ctx, o.beats[len(o.beats)-1])
		if err != nil || len(b) > 1<<12 || json.Unmarshal(b, &body) != nil {
			return false // the lease decides
		}
		o.proof = &body.Process
		m.seenMu.Lock()
		m.member(name, m.l.opts.Now()).proof = o.proof
		m.seenMu.Unlock()
	}
	return o.proof.surelyEnded(m.self)
}

// bury declares an incarnation dead, unless it shows a new beat at the last moment.
func (m *members) bury(ctx context.Context, name string, o member) error {
	self := m.l.inc.Load().name
	grave := m.l.objects.tombstone(name, self, sufGrave)
	if err := m.l.objects.store(ctx, grave, []byte("dead?\n")); err != nil {
		return err
	}
	keys, err := m.l.objects.listArea(ctx, areaInstances)
	if err != nil {
		return err
	}
	if !slices.Contains(keys, grave) {
		return errUnlisted
	}
	for _, key := range keys {
		if n, beat, ok := m.l.objects.parseBeat(key); ok && n == name && beat > o.beat {
			return m.l.objects.remove(ctx, grave) // it lives after all
		}
	}
	if err := m.l.objects.store(ctx, m.l.objects.tombstone(name, self, sufTombstone), []byte("dead\n")); err != nil {
		return err
	}
	m.seenMu.Lock()
	m.member(name, m.l.opts.Now()).dead = true
	m.seenMu.Unlock()
	m.l.logger().Info("ledger takes over the uses of an instance that ended", zap.String("incarnation", name))
	for _, key := range append(o.beats, grave) {
		if err := m.l.objects.remove(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

// leave declares this incarnation over, so that others need not wait for its lease to end.
func (m *members) leave(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	inc := m.l.inc.Load()
	if inc.lease.Load() == nil {
		return nil
	}
	if err := m.l.objects.store(ctx, m.l.objects.tombstone(inc.name, inc.name, sufTombstone), []byte("closed\n")); err != nil {
		return err
	}
	for _, key := range m.stale {
		if err := m.l.objects.remove(ctx, key); err != nil {
			return err
		}
	}
	return nil
}
