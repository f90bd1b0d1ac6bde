package ledger

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// journal collects records and writes them in batches, each batch with one Store as one immutable
// segment. A batch that cannot be written is tried again unchanged under its name until it can,
// so that segments have neither gaps nor two contents. It is safe for concurrent use.
type journal struct {
	l       *Ledger
	mu      sync.Mutex
	cur     *batch
	frozen  int // bytes of the batch under way
	closed  bool
	gaveUp  error         // why records were lost
	wake    chan struct{} // something waits: write within CommitEvery
	kick    chan struct{} // somebody waits: write now
	stop    chan struct{} // closed by close
	stopped chan struct{} // closed by run
	ctx     context.Context
	cancel  context.CancelFunc

	commits     atomic.Int64
	lastNanos   atomic.Int64 // how long the last Store took
	lastSuccess atomic.Int64 // unix nanoseconds
	oldest      atomic.Int64 // unix nanoseconds of the oldest batch not yet written, or 0
}

// batch is a group of records on their way.
type batch struct {
	records []byte
	count   int
	born    time.Time
	waited  bool          // somebody waits for done
	done    chan struct{} // closed when written or given up
	err     error         // valid after done
}

func newJournal(l *Ledger) *journal {
	j := &journal{l: l, wake: make(chan struct{}, 1), kick: make(chan struct{}, 1),
		stop: make(chan struct{}), stopped: make(chan struct{})}
	j.ctx, j.cancel = context.WithCancel(context.Background())
	return j
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// current returns the batch that collects. Callers hold mu.
func (j *journal) current() *batch {
	if j.cur == nil {
		j.cur = &batch{done: make(chan struct{}), born: j.l.opts.Now()}
		if j.frozen == 0 {
			j.oldest.Store(j.cur.born.UnixNano())
		}
	}
	return j.cur
}

func (j *journal) add(typ byte, at int64, payload []byte, wait bool) (*batch, error) {
	if len(payload) > maxPayload {
		return nil, fmt.Errorf("%w: record of %d bytes", ErrTooLarge, len(payload))
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return nil, ErrClosed
	}
	pending := j.frozen
	if j.cur != nil {
		pending += len(j.cur.records)
	}
	if pending+recHeader+len(payload) > j.l.opts.MaxPending {
		return nil, ErrBacklog
	}
	b := j.current()
	b.records = appendRecord(b.records, typ, at, payload)
	b.count++
	b.waited = b.waited || wait
	return b, nil
}

// append adds a record that is written within CommitEvery and the time of one Store.
func (j *journal) append(typ byte, at int64, payload []byte) error {
	if _, err := j.add(typ, at, payload, false); err != nil {
		return err
	}
	signal(j.wake)
	return nil
}

// appendWait adds a record and returns once it is stored. When ctx ends first, the record may
// still be written later.
func (j *journal) appendWait(ctx context.Context, typ byte, at int64, payload []byte) error {
	b, err := j.add(typ, at, payload, true)
	if err != nil {
		return err
	}
	signal(j.kick)
	return b.wait(ctx)
}

func (b *batch) wait(ctx context.Context) error {
	select {
	case <-b.done:
		return b.err
	case <-ctx.Done():
		return fmt.Errorf("waiting for a commit: %w: %w", ErrUnavailable, ctx.Err())
	}
}

// flush returns once all that was added before is stored.
func (j *journal) flush(ctx context.Context) error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return ErrClosed
	}
	b := j.current()
	b.waited = true
	j.mu.Unlock()
	signal(j.kick)
	return b.wait(ctx)
}

// run writes batches until close is called. Its goroutine belongs to the Ledger: Open starts it
// and Close waits for it.
func (j *journal) run() {
	defer close(j.stopped)
	for {
		select {
		case <-j.kick:
		case <-j.wake:
			linger := time.NewTimer(j.l.opts.CommitEvery)
			select {
			case <-linger.C:
			case <-j.kick:
			case <-j.stop:
			}
			linger.Stop()
		case <-j.stop:
			j.writeNext()
			return
		}
		j.writeNext()
	}
}

// writeNext writes what has collected.
func (j *journal) writeNext() {
	inc := j.l.inc.Load()
	uses, n := j.l.uses.drain(inc)
	j.mu.Lock()
	b := j.cur
	if b == nil && n > 0 {
		b = j.current()
	}
	if b == nil {
		j.mu.Unlock()
		return
	}
	b.records = append(b.records, uses...)
	b.count += n
	j.cur, j.frozen = nil, max(len(b.records), 1)
	j.mu.Unlock()

	if b.count > 0 {
		b.err = j.write(inc, b)
	}
	close(b.done)

	j.mu.Lock()
	j.frozen = 0
	if b.err != nil {
		j.gaveUp = fmt.Errorf("writing the last %d records: %w", b.count, b.err)
	}
	if j.cur != nil {
		j.oldest.Store(j.cur.born.UnixNano())
	} else {
		j.oldest.Store(0)
	}
	j.mu.Unlock()
}

func (j *journal) write(inc *incarnation, b *batch) error {
	now := j.l.opts.Now()
	seq := inc.segments.Add(1)
	name := segName{inc: inc.name, date: now.UTC().Format("20060102"), from: seq, to: seq, suffix: sufSegment}
	file := sealSegment(b.records, b.count, now.UnixNano())
	key := j.l.objects.segment(name)
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		start := time.Now()
		err := j.l.objects.storeOnce(j.ctx, key, file)
		j.lastNanos.Store(int64(time.Since(start)))
		if err == nil {
			j.commits.Add(1)
			j.lastSuccess.Store(j.l.opts.Now().UnixNano())
			j.l.health.ok(j.l.logger(), healthCommit)
			j.l.health.ok(j.l.logger(), healthOverflow)
			j.l.compactor.wrote(name, len(file))
			return nil
		}
		j.l.health.fail(j.l.logger(), healthCommit, err)
		if !pause(j.ctx, jitter(wait)) {
			j.l.health.lostRecords(b.count)
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
}

// close writes what is left, until ctx ends.
func (j *journal) close(ctx context.Context) error {
	j.mu.Lock()
	j.closed = true
	j.mu.Unlock()
	close(j.stop)
	context.AfterFunc(ctx, j.cancel)
	if !endedWithin(ctx, j.stopped) {
		return errHangs
	}
	j.cancel()
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.gaveUp
}
