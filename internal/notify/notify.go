package notify

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/internal/ledger"
)

const (
	// DefaultTimeout bounds a try where Host.Timeout is zero.
	DefaultTimeout = 10 * time.Second
	// maxWaiting is how many events wait for a target; of more, the oldest are dropped.
	maxWaiting = 10_000
	// maxSending is how many requests to one target are under way at the same time.
	maxSending = 4
	// giveUpAfter is how long an event is tried.
	giveUpAfter = 24 * time.Hour
	// firstPause doubles with each failed try, up to lastPause.
	firstPause = time.Second
	lastPause  = 10 * time.Minute
	// drainFor is how long requests under way may go on when the last configuration is unloaded.
	drainFor = 2 * time.Second
)

// The results that Host.Count is told.
const (
	Delivered = "delivered" // the target took it
	Failed    = "failed"    // a try failed; there will be others
	Dropped   = "dropped"   // too many waited
	Expired   = "expired"   // it was tried for a day
	Lost      = "lost"      // it could not be kept at the end
)

// Store keeps what is not delivered. A *ledger.Ledger is one.
type Store interface {
	PutDurable(ctx context.Context, kind, id string, value []byte) error
	ListDurable(ctx context.Context, kind string) ([]ledger.Durable, error)
	DeleteDurable(ctx context.Context, kind, id string) error
}

// Host is what one configuration lends to a Notifier.
type Host struct {
	Logger *zap.Logger
	// Store gives what keeps events, or nil while that does not work.
	Store func() Store
	// Timeout bounds each try; zero means DefaultTimeout.
	Timeout time.Duration
	// Count is told of what becomes of events; it may be nil.
	Count func(result string)
}

// Notifier tells one target of events. It is safe for concurrent use.
type Notifier struct {
	target Target
	url    *url.URL

	// Transport, Now and Random can be set before the first Attach. Random gives a number from
	// 0 to 1.
	Transport http.RoundTripper
	Now       func() time.Time
	Random    func() float64

	client *http.Client
	wake   chan struct{} // of length one: something is due, perhaps

	life   sync.Mutex // held while starting and stopping
	cancel context.CancelFunc
	cut    context.CancelFunc // ends the requests under way
	loop   sync.WaitGroup     // the loop and what it reads at its beginning
	sends  sync.WaitGroup

	mu      sync.Mutex
	hosts   []*Host
	stopped bool
	waiting *queue
	spent   []string // stored values to delete
	failing bool     // the last try failed; its beginning was logged
	full    bool     // something was dropped; that was logged
}

// New makes a Notifier. It starts nothing. Errors wrap ErrTarget and show nothing secret.
func New(t Target) (*Notifier, error) {
	u, err := t.check()
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = maxSending
	return &Notifier{
		target: t, url: u, Transport: transport, Now: time.Now, Random: rand.Float64,
		wake: make(chan struct{}, 1), waiting: newQueue(maxWaiting),
	}, nil
}

// Attach lends a configuration's means. The first one starts the deliveries. The same pointer is
// given to Detach later.
func (n *Notifier) Attach(h *Host) {
	n.life.Lock()
	defer n.life.Unlock()
	n.mu.Lock()
	start := len(n.hosts) == 0
	n.hosts = append(n.hosts, h)
	n.stopped = false
	n.mu.Unlock()
	if start {
		n.start()
	}
}

// Detach takes back what Attach lent. The last one ends the deliveries and keeps what is left; it
// returns within some seconds.
func (n *Notifier) Detach(h *Host) {
	n.life.Lock()
	defer n.life.Unlock()
	n.mu.Lock()
	last := len(n.hosts) == 1 && n.hosts[0] == h
	if !last {
		for i, known := range n.hosts {
			if known == h {
				n.hosts = append(n.hosts[:i:i], n.hosts[i+1:]...)
				break
			}
		}
	}
	n.mu.Unlock()
	if !last {
		return
	}
	n.stop()
	n.mu.Lock()
	n.hosts = nil
	n.mu.Unlock()
}

// Send tells the target of an event. The id names the event for the log, the body is JSON. It
// returns at once, and false after the last Detach. What comes before the first Attach waits for it.
func (n *Notifier) Send(id string, body []byte) bool {
	n.mu.Lock()
	if n.stopped {
		n.mu.Unlock()
		return false
	}
	now := n.Now()
	n.enqueue(&delivery{id: id, body: body, first: now, next: now})
	n.mu.Unlock()
	n.nudge()
	return true
}

// Destruct implements caddy.Destructor: no configuration knows the target any more.
func (n *Notifier) Destruct() error {
	if idle, ok := n.Transport.(interface{ CloseIdleConnections() }); ok {
		idle.CloseIdleConnections()
	}
	return nil
}

// Waiting is how many events wait.
func (n *Notifier) Waiting() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.waiting.len()
}

func (n *Notifier) start() {
	n.client = &http.Client{
		Transport: n.Transport,
		// The target is where the operator said, and nowhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	ctx, cancel := context.WithCancel(context.Background())
	sending, cut := context.WithCancel(context.Background())
	n.cancel, n.cut = cancel, cut
	// Both are owned by the Notifier and end in stop.
	n.loop.Go(func() { n.run(ctx, sending) })
	n.loop.Go(func() { n.resume(ctx) })
}

// stop ends the deliveries and keeps what is left.
func (n *Notifier) stop() {
	n.cancel()
	n.loop.Wait()
	timer := time.AfterFunc(drainFor, n.cut)
	n.sends.Wait()
	timer.Stop()
	n.cut()
	n.mu.Lock()
	n.stopped = true
	n.mu.Unlock()
	n.keep()
	n.tidy()
}

// run hands out what is due until ctx ends. Requests under way end with sending.
func (n *Notifier) run(ctx, sending context.Context) {
	slots := make(chan struct{}, maxSending)
	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		d := n.take(ctx)
		if d == nil {
			return
		}
		// Owned by the Notifier; stop waits for it, and each try is bounded.
		n.sends.Go(func() {
			defer func() { <-slots }()
			n.deliver(sending, d)
		})
	}
}

// take waits for a delivery that is due; nil means that ctx ended.
func (n *Notifier) take(ctx context.Context) *delivery {
	for {
		n.mu.Lock()
		d, wait := n.waiting.pop(n.Now())
		n.mu.Unlock()
		if d != nil {
			return d
		}
		var due <-chan time.Time
		if wait > 0 {
			due = time.After(wait) // collected when nobody waits for it any more
		}
		select {
		case <-due:
		case <-n.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

// enqueue takes a delivery in. The caller holds mu.
func (n *Notifier) enqueue(d *delivery) {
	dropped := n.waiting.push(d)
	if dropped == nil {
		return
	}
	n.settled(dropped)
	n.count(Dropped)
	if !n.full {
		n.full = true
		n.logger().Error("too many notifications wait; the oldest are dropped",
			zap.String("target", n.url.Host), zap.Int("waiting", n.waiting.len()))
	}
}

func (n *Notifier) nudge() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// host is the newest configuration. The caller holds mu.
func (n *Notifier) host() *Host {
	if len(n.hosts) == 0 {
		return &Host{Logger: zap.NewNop(), Store: func() Store { return nil }}
	}
	return n.hosts[len(n.hosts)-1]
}

func (n *Notifier) logger() *zap.Logger { return n.host().Logger }

func (n *Notifier) count(result string) {
	if count := n.host().Count; count != nil {
		count(result)
	}
}

// String names the target in logs, by its host alone.
func (n *Notifier) String() string { return n.url.Host }

// Guards.
var (
	_ fmt.Stringer = (*Notifier)(nil)
	_ Store        = (*ledger.Ledger)(nil)
)
