package lnurl

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/lightningnetwork/lnd/lntypes"
	"golang.org/x/time/rate"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/httpjson"
)

const (
	defaultTimeout = 10 * time.Second
	// maxAnswer bounds an answer: metadata may hold a picture of 136,536 characters (LUD-06).
	maxAnswer = 512 << 10
	// maxPending is how many invoices are remembered for being looked up.
	maxPending = 8192
)

// Wallet makes invoices at the server of one payee. It is safe for concurrent use.
type Wallet struct {
	target  *target
	network wallets.Network
	rules   rules
	env     wallets.Env
	client  *httpjson.Client
	dialer  *dialer
	now     func() time.Time

	// asking holds a token for the one who may ask for the pay request.
	asking chan struct{}

	pending *lru.Cache[lntypes.Hash, *pending]
	// writes bounds what unpaid invoices may cause to be stored.
	writes *rate.Limiter
	// storing holds a token for the one who reads, changes and writes what is stored.
	storing chan struct{}

	mu      sync.Mutex
	timeout time.Duration
	comment string
	request *payRequest // nil where it has to be asked for
	known   knowledge
}

func newWallet(env wallets.Env, s *settings) (*Wallet, error) {
	w := &Wallet{
		target: s.target, network: s.network, rules: s.rules, env: env,
		dialer:  newDialer(s.rules, s.proxy),
		now:     time.Now,
		asking:  make(chan struct{}, 1),
		storing: make(chan struct{}, 1),
		writes:  rate.NewLimiter(writesPerSecond, writesAtOnce),
	}
	var err error
	if w.pending, err = lru.New[lntypes.Hash, *pending](maxPending); err != nil {
		return nil, err
	}
	w.client, err = httpjson.New(httpjson.Config{
		TLS: s.tls, MaxAnswer: maxAnswer, Dial: w.dialer.dial, Redirect: w.rules.check,
	})
	return w, err
}

// Reconfigure implements wallets.Reconfigurer for timeout and comment.
func (w *Wallet) Reconfigure(g wallets.Guest) {
	p, ok := g.(*Payee)
	if !ok {
		return
	}
	timeout := time.Duration(p.Timeout)
	if timeout == 0 {
		timeout = defaultTimeout
	}
	w.client.SetTimeout(timeout)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timeout, w.comment = timeout, p.set.comment
}

// Close ends all calls and connections.
func (w *Wallet) Close() error { return w.client.Close() }

// Ping implements wallets.Pinger: it asks for the pay request.
func (w *Wallet) Ping(ctx context.Context) error {
	if _, err := w.askPayRequest(ctx); err != nil {
		return fmt.Errorf("asking %s: %w", w.target.name, err)
	}
	return nil
}

// Permissions implements wallets.Describer. There is no credential, so it tells what the payee's
// server accepts.
func (w *Wallet) Permissions(ctx context.Context) ([]string, error) {
	r, _, err := w.payRequest(ctx)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", w.target.name, err)
	}
	words := []string{fmt.Sprintf("make invoices over %s to %s for %s", sat(r.min), sat(r.max), w.target.name)}
	if r.comment > 0 {
		words = append(words, fmt.Sprintf("send comments of up to %d characters", r.comment))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.known.verifies:
		words = append(words, "look up invoices (LUD-21)")
	case w.known.made:
		words = append(words, "no look-up: the payee's server does not have LUD-21, so payers must show the preimage")
	}
	return words, nil
}

// sat writes millisatoshi for people.
func sat(msat uint64) string {
	text := strconv.FormatUint(msat/1000, 10)
	if rest := msat % 1000; rest != 0 {
		text += fmt.Sprintf(".%03d", rest)
	}
	return text + " sat"
}

// Interface guards.
var (
	_ wallets.Wallet       = (*Wallet)(nil)
	_ wallets.Reconfigurer = (*Wallet)(nil)
	_ wallets.Pinger       = (*Wallet)(nil)
	_ wallets.Describer    = (*Wallet)(nil)
)
