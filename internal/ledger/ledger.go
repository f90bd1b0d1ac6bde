package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// Ledger is the durable state of one process on a storage. All methods are safe for concurrent
// use.
type Ledger struct {
	opts    Options
	log     atomic.Pointer[zap.Logger]
	objects *objects
	health  *health

	inc         atomic.Pointer[incarnation]
	members     *members
	journal     *journal
	compactor   *compactor
	settled     *recent
	uses        *uses
	ghosts      ghosts
	obituaries  obituaries
	revocations revocations

	durableLocks durableLocks
	sweepNow     chan struct{}

	ctx     context.Context // of the loops and slow steps; ends in Close
	cancel  context.CancelFunc
	closing atomic.Bool
	spawnMu sync.Mutex
	wg      sync.WaitGroup
}

// Open reads what is needed to begin and starts the ledger's goroutines, which Close ends. It
// reads the revocations and, for up to five seconds, the newest settlements; it loads neither all
// settlements nor any uses. It writes nothing, so it also opens a storage that is read-only, unless
// the storage calls a missing folder an error of its own kind: then it makes the folder exist. An
// error names the setting (ErrInvalid) or says that the storage cannot be read (ErrUnavailable).
func Open(ctx context.Context, opts Options) (*Ledger, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("opening the ledger: %w", err)
	}
	l := &Ledger{
		opts:     opts,
		objects:  newObjects(opts.Storage, opts.Prefix, opts.OpTimeout),
		health:   newHealth(opts.Now),
		settled:  newRecent(opts.Remembered),
		sweepNow: make(chan struct{}, 1),
	}
	l.opts.Storage, l.opts.Logger = nil, nil // SwitchStorage and SetLogger change them
	l.log.Store(opts.Logger)
	l.inc.Store(newIncarnation(opts.Instance))
	l.members = newMembers(l)
	l.journal = newJournal(l)
	l.compactor = newCompactor(l)
	l.uses = newUses(l)
	l.obituaries.l = l
	l.revocations.known = make(map[string]Revocation)

	if err := l.pollRevocations(ctx); err != nil {
		return nil, fmt.Errorf("opening the ledger: reading revocations: %w: %w", ErrUnavailable, err)
	}
	recallCtx, stop := context.WithTimeout(ctx, 5*time.Second)
	err = l.recall(recallCtx)
	stop()
	if err != nil && recallCtx.Err() == nil {
		return nil, fmt.Errorf("opening the ledger: reading settlements: %w", err)
	}
	if err := l.members.observe(ctx); err != nil {
		return nil, fmt.Errorf("opening the ledger: reading instances: %w: %w", ErrUnavailable, err)
	}

	l.ctx, l.cancel = context.WithCancel(context.Background())
	go l.journal.run() // Close waits for it
	for _, loop := range []func(){l.compactLoop, l.beatLoop, l.pollLoop, l.peerLoop, l.houseLoop} {
		l.spawn(loop) // Close cancels and waits for them
	}
	return l, nil
}

// spawn starts a goroutine that Close waits for. It returns false when the ledger is closed.
func (l *Ledger) spawn(f func()) bool {
	l.spawnMu.Lock()
	defer l.spawnMu.Unlock()
	if l.ctx.Err() != nil {
		return false
	}
	l.wg.Add(1)
	go func() { // Close waits for it
		defer l.wg.Done()
		f()
	}()
	return true
}

func (l *Ledger) logger() *zap.Logger { return l.log.Load() }

// SetLogger replaces the logger, for a ledger that outlives the configuration that opened it.
func (l *Ledger) SetLogger(log *zap.Logger) {
	if log != nil {
		l.log.Store(log)
	}
}

// SwitchStorage replaces the storage object, for a ledger that outlives the configuration that
// opened it. It must lead to the same data. Calls under way end on the old one and are repeated
// on the new one where they fail.
func (l *Ledger) SwitchStorage(s certmagic.Storage) error {
	if s == nil {
		return fmt.Errorf("switching the ledger's storage: %w: Storage is missing", ErrInvalid)
	}
	l.objects.storage.Store(&s)
	return nil
}

// Instance is the name under which this process writes: the hash of its label and a random part.
// It changes when other instances took this one for dead.
func (l *Ledger) Instance() string { return l.inc.Load().name }

// reincarnate gives this instance a new name after others took the old one for dead. What it held
// is theirs.
func (l *Ledger) reincarnate(old *incarnation) {
	next := newIncarnation(l.opts.Instance)
	if !l.inc.CompareAndSwap(old, next) {
		return
	}
	l.uses.reset()
	l.logger().Warn("ledger was taken for dead by another instance and starts anew: its unspent uses were taken over",
		zap.String("incarnation", old.name), zap.String("next", next.name))
}

// Flush returns once all that was recorded before is stored.
func (l *Ledger) Flush(ctx context.Context) error {
	if err := l.journal.flush(ctx); err != nil {
		return fmt.Errorf("flushing the ledger: %w", err)
	}
	return nil
}

// Close lets requests under way end, writes what is pending and gives all unspent uses back at
// once. Requests that are still under way when ctx ends are not charged. An error says what could
// not be written; the ledger is closed in any case.
func (l *Ledger) Close(ctx context.Context) error {
	if !l.closing.CompareAndSwap(false, true) {
		return fmt.Errorf("closing the ledger: %w", ErrClosed)
	}
	for l.uses.inUse.Load() > 0 && pause(ctx, 2*time.Millisecond) {
	}
	var errs []error
	if err := l.journal.close(ctx); err != nil {
		errs = append(errs, err)
	}
	l.spawnMu.Lock()
	l.cancel()
	l.spawnMu.Unlock()
	if !l.ended(ctx) {
		errs = append(errs, errHangs)
	}
	// All that was spent stands in the segments now. The tombstone says so, and whoever needs
	// the rest of a token computes it from them: one write instead of one for each token.
	if err := l.members.leave(ctx); err != nil {
		errs = append(errs, fmt.Errorf("giving uses back: %w", err))
	}
	l.compactor.merge(ctx, true)
	if err := l.ghosts.bury(ctx, l.objects); err != nil {
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("closing the ledger: %w", err)
	}
	return nil
}

// errHangs says that Close went on without waiting longer.
var errHangs = errors.New("a storage call does not end")

// ended waits for the ledger's goroutines, until ctx ends and a moment more: only a storage call
// that ignores its context can hold them.
func (l *Ledger) ended(ctx context.Context) bool {
	done := make(chan struct{})
	go func() { // ends with the last of the goroutines
		l.wg.Wait()
		close(done)
	}()
	return endedWithin(ctx, done)
}

func endedWithin(ctx context.Context, done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	case <-ctx.Done():
	}
	select {
	case <-done:
		return true
	case <-time.After(time.Second):
		return false
	}
}

// degraded tells whether uses cannot be kept at present: commits have been failing for longer than
// DegradeAfter, or a commit hangs.
func (l *Ledger) degraded(now time.Time) bool {
	if l.health.degraded(now, l.opts.DegradeAfter) {
		return true
	}
	oldest := l.journal.oldest.Load()
	return oldest != 0 && now.UnixNano()-oldest > int64(10*l.opts.DegradeAfter)
}
