package wallettest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// bug is what a toy wallet does wrong.
type bug string

// toy is a small adapter for peer. Without a bug it keeps all rules.
type toy struct {
	env    wallets.Env
	url    string
	client *http.Client
	bug    bug

	mu    sync.Mutex
	once  sync.Mutex
	first *wallets.Invoice
	dead  error
}

func newToy(env wallets.Env, url string, b bug) *toy {
	return &toy{env: env, url: url, bug: b, client: &http.Client{Transport: new(http.Transport)}}
}

func (w *toy) Close() error {
	w.client.CloseIdleConnections()
	return nil
}

// call asks the peer; 64 KiB of its answer are enough.
func (w *toy) call(ctx context.Context, path string, req peerRequest, out any) error {
	switch w.bug {
	case "ignores its context":
		ctx = context.WithoutCancel(ctx)
	case "panics":
		var none *peerInvoice
		_ = none.State
	case "stores under a bad name":
		_ = w.env.Store(ctx, "../key", nil)
	case "leaks goroutines":
		// Never ends: that is the bug.
		go func() { select {} }()
	case "needs storage for ever":
		w.mu.Lock()
		if err := w.env.Store(ctx, "state", nil); err != nil && w.dead == nil {
			w.dead = err
		}
		w.mu.Unlock()
	}
	w.mu.Lock()
	dead := w.dead
	w.mu.Unlock()
	if dead != nil {
		return dead
	}
	err := w.exchange(ctx, path, req, out)
	switch {
	case err == nil:
	case w.bug == "leaks a secret in errors":
		err = fmt.Errorf("asking with key %s: %w", peerKey, err)
	case w.bug == "leaks a secret in hex":
		err = fmt.Errorf("asking with key %x: %w", peerKey, err)
	case w.bug == "leaks a secret in its log":
		w.env.Logger().Info("asking", zap.String("key", peerKey), zap.Error(err))
	case w.bug == "takes errors for unknown hashes":
		err = wallets.ErrNotFound
	case w.bug == "hides why it failed":
		err = errors.New("no answer")
	case w.bug == "does not reconnect" && ctx.Err() == nil:
		w.mu.Lock()
		w.dead = err
		w.mu.Unlock()
	}
	return err
}

func (w *toy) exchange(ctx context.Context, path string, req peerRequest, out any) error {
	body, err := json.Marshal(req)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Key", peerKey)
	resp, err := w.client.Do(r)
	if err != nil {
		return fmt.Errorf("asking the peer: %w", err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return wallets.ErrNotFound
	case http.StatusUnauthorized:
		return wallets.ErrUnauthorized
	default:
		return fmt.Errorf("%w: status %d", wallets.ErrUnavailable, resp.StatusCode)
	}
	limit := int64(64 << 10)
	if w.bug == "reads without end" {
		limit = 32 << 20
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, limit))
	if err != nil {
		return fmt.Errorf("reading the peer's answer: %w", err)
	}
	if w.bug == "reads without end" && len(b) > 1<<20 {
		return wallets.ErrBadAnswer
	}
	if err := json.Unmarshal(b, out); err != nil && w.bug != "takes garbage" {
		return fmt.Errorf("%w: no JSON", wallets.ErrBadAnswer)
	}
	return nil
}

func (w *toy) CreateInvoice(ctx context.Context, req wallets.InvoiceRequest) (*wallets.Invoice, error) {
	return w.create(ctx, req, nil)
}

func (w *toy) create(ctx context.Context, req wallets.InvoiceRequest, hash *lntypes.Hash) (*wallets.Invoice, error) {
	if req.Amount == 0 || req.Amount > 1<<60 {
		return nil, wallets.ErrAmount
	}
	switch w.bug {
	case "wrong amount":
		req.Amount++
	case "rounds amounts up":
		req.Amount = (req.Amount + 999) / 1000 * 1000
	case "forgets the memo":
		req.Memo = ""
	case "short expiry":
		req.Expiry /= 3
	case "duplicate hash":
		w.once.Lock()
		defer w.once.Unlock()
		if w.first != nil {
			again := *w.first
			return &again, nil
		}
	}
	var inv peerInvoice
	if err := w.call(ctx, "/create", peerRequest{
		Amount: req.Amount, Memo: req.Memo, Expiry: int64(req.Expiry / time.Second), Hash: hash,
	}, &inv); err != nil {
		return nil, err
	}
	out := &wallets.Invoice{PaymentRequest: inv.PaymentRequest, PaymentHash: inv.Hash, Amount: inv.Amount}
	switch w.bug {
	case "wrong hash":
		out.PaymentHash[0] ^= 1
	case "duplicate hash":
		kept := *out
		w.first = &kept
	}
	return out, nil
}

func (w *toy) LookupInvoice(ctx context.Context, hash lntypes.Hash) (*wallets.Status, error) {
	var inv peerInvoice
	if err := w.call(ctx, "/lookup", peerRequest{Hash: &hash}, &inv); err != nil {
		if w.bug == "lookup succeeds on errors" {
			return &wallets.Status{State: wallets.StateSettled}, nil
		}
		return nil, err
	}
	st := &wallets.Status{PaymentRequest: inv.PaymentRequest}
	for s := wallets.StatePending; s <= wallets.StateCanceled; s++ {
		if s.String() == inv.State {
			st.State = s
		}
	}
	if st.State == wallets.StateSettled {
		st.AmountPaid, st.SettledAt = inv.Amount, time.Unix(inv.SettledAt, 0)
	}
	if st.State == wallets.StateSettled || w.bug == "tells preimages early" {
		st.Preimage = &inv.Preimage
	}
	if w.bug == "settled at once" {
		st.State = wallets.StateSettled
	}
	return st, nil
}

func (w *toy) SubscribeSettlements(ctx context.Context, cursor string, found func(wallets.Settlement)) error {
	next := -1
	if cursor != "" && w.bug != "ignores the cursor" {
		var err error
		if next, err = strconv.Atoi(cursor); err != nil {
			return err
		}
	}
	if w.bug == "subscription ignores its context" {
		ctx = context.WithoutCancel(ctx)
	}
	for ctx.Err() == nil {
		var more []peerInvoice
		if err := w.call(ctx, "/settled/"+strconv.Itoa(next), peerRequest{}, &more); err != nil {
			switch w.bug {
			case "subscription ends with the connection":
				return err
			case "loses settlements":
				next = -1
				time.Sleep(150 * time.Millisecond)
			}
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Millisecond):
			}
			continue
		}
		if w.bug == "tells out of order" {
			// Waits for company, to tell the later one first.
			time.Sleep(200 * time.Millisecond)
			if w.call(ctx, "/settled/"+strconv.Itoa(next), peerRequest{}, &more) != nil {
				continue
			}
			for i, j := 0, len(more)-1; i < j; i, j = i+1, j-1 {
				more[i], more[j] = more[j], more[i]
			}
		}
		w.tell(more, &next, found)
	}
	return ctx.Err()
}

func (w *toy) tell(more []peerInvoice, next *int, found func(wallets.Settlement)) {
	var wg sync.WaitGroup
	for _, inv := range more {
		*next = max(*next, inv.Index)
		if inv.PaymentRequest == "" {
			continue
		}
		st := wallets.Settlement{
			PaymentHash: inv.Hash, AmountPaid: inv.Amount, SettledAt: time.Unix(inv.SettledAt, 0),
			Cursor: strconv.Itoa(inv.Index),
		}
		if w.bug == "tells at the same time" {
			// Both end with found; waited for below.
			wg.Go(func() { found(st) })
			wg.Go(func() { found(st) })
			continue
		}
		found(st)
	}
	wg.Wait()
}

func (w *toy) CreateHoldInvoice(ctx context.Context, hash lntypes.Hash, req wallets.InvoiceRequest) (*wallets.Invoice, error) {
	if w.bug == "holds another hash" {
		hash[0] ^= 1
	}
	return w.create(ctx, req, &hash)
}

func (w *toy) SettleHoldInvoice(ctx context.Context, preimage lntypes.Preimage) error {
	return w.call(ctx, "/finish", peerRequest{Preimage: &preimage}, new(struct{}))
}

func (w *toy) CancelHoldInvoice(ctx context.Context, hash lntypes.Hash) error {
	return w.call(ctx, "/finish", peerRequest{Hash: &hash}, new(struct{}))
}

func (w *toy) Pay(ctx context.Context, invoice string, _ lnwire.MilliSatoshi) (lntypes.Preimage, error) {
	var inv peerInvoice
	if err := w.call(ctx, "/pay", peerRequest{Invoice: invoice}, &inv); err != nil {
		return lntypes.Preimage{}, err
	}
	if w.bug == "makes preimages up" {
		inv.Preimage[0] ^= 1
	}
	return inv.Preimage, nil
}

func (w *toy) Ping(ctx context.Context) error {
	if w.bug == "always says that all is well" {
		return nil
	}
	return w.call(ctx, "/ping", peerRequest{}, new(struct{}))
}

func (w *toy) Permissions(context.Context) ([]string, error) {
	if w.bug == "tells its credential" {
		return []string{"all with " + peerKey}, nil
	}
	return []string{"all"}, nil
}

// toyHarness tests the toy with a bug, or without.
func toyHarness(b bug) Harness {
	return Harness{
		Network: wallets.Regtest,
		Open: func(t testing.TB, env *Env) *Subject {
			p := newPeer(t)
			return &Subject{
				Wallet: newToy(env, p.server.URL, b), Pay: p.take, Expire: p.set("expired"),
				Cancel: p.set("canceled"), Payable: p.payable, Fault: p.inflict, Secrets: []string{peerKey},
			}
		},
	}
}

var (
	_ wallets.Wallet       = (*toy)(nil)
	_ wallets.Subscriber   = (*toy)(nil)
	_ wallets.HoldInvoicer = (*toy)(nil)
	_ wallets.Payer        = (*toy)(nil)
	_ wallets.Pinger       = (*toy)(nil)
	_ wallets.Describer    = (*toy)(nil)
	_ io.Closer            = (*toy)(nil)
)
