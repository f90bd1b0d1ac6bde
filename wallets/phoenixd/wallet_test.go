package phoenixd

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/restpeer/peertest"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

var request = wallets.InvoiceRequest{Amount: 21_000, Memo: "memo", Expiry: time.Minute}

// TestErrors has the errors that phoenixd's API knows, and answers that it never gives.
func TestErrors(t *testing.T) {
	hash := lntypes.Hash{1}
	good := fmt.Sprintf(`"paymentHash":%q,"preimage":"","invoice":"x"`, hash)
	for _, tt := range []struct {
		name   string
		status int
		body   string
		want   error
		text   string
	}{
		{"wrong password", 401, "Invalid authentication (use basic auth with the http password set in phoenix.conf)",
			wallets.ErrUnauthorized, "set password to http-password-limited-access"},
		{"no such payment", 404, "Not found", wallets.ErrNotFound, ""},
		{"no such call", 404, "Unknown endpoint (check api doc)", wallets.ErrBadAnswer, "is this the address of phoenixd?"},
		{"a proxy's 404", 404, "<html>not found</html>", wallets.ErrBadAnswer, "is this the address of phoenixd?"},
		{"wrong method", 405, "Invalid http method (use the correct GET/POST)", wallets.ErrBadAnswer, "status 405"},
		{"bad parameter", 400, "Request parameter paymentHash couldn't be parsed/converted to hex32", wallets.ErrBadAnswer, "hex32"},
		{"exception", 500, "database is locked", wallets.ErrUnavailable, "database is locked"},
		{"proxy without phoenixd", 502, "", wallets.ErrUnavailable, "status 502"},
		{"busy", 429, "slow down", wallets.ErrRateLimited, ""},
		{"no content", 204, "", wallets.ErrBadAnswer, ""},
		{"empty", 200, "", wallets.ErrBadAnswer, ""},
		{"null", 200, "null", wallets.ErrBadAnswer, "another payment hash"},
		{"no state", 200, "{" + good + "}", wallets.ErrBadAnswer, "whether the invoice is paid"},
		{"other hash", 200, strings.Replace("{"+good+`,"isPaid":true}`, "01", "02", 1), wallets.ErrBadAnswer, "another payment hash"},
		{"other type", 200, "{" + good + `,"isPaid":"yes"}`, wallets.ErrBadAnswer, ""},
		{"overflow", 200, "{" + good + `,"isPaid":true,"receivedSat":1e99}`, wallets.ErrBadAnswer, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := scripted(t, tt.status, strings.ReplaceAll(tt.body, "XX", limitedPassword)+" "+limitedPassword)
			if tt.status == 404 || tt.status == 200 {
				w = scripted(t, tt.status, tt.body)
			}
			_, err := w.LookupInvoice(t.Context(), hash)
			if !errors.Is(err, tt.want) || !strings.Contains(fmt.Sprint(err), tt.text) {
				t.Errorf("got %v, want %v, %q", err, tt.want, tt.text)
			}
			if strings.Contains(fmt.Sprint(err), limitedPassword) {
				t.Errorf("the error holds the password: %v", err)
			}
			for name, call := range map[string]func() error{
				"CreateInvoice": func() error { _, err := w.CreateInvoice(t.Context(), request); return err },
				"Ping":          func() error { return w.Ping(t.Context()) },
				"Permissions":   func() error { _, err := w.Permissions(t.Context()); return err },
			} {
				if err := call(); err == nil || strings.Contains(err.Error(), limitedPassword) {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

func TestLimitedAccessIsEnough(t *testing.T) {
	p := newDaemon(t)
	w := p.open(t, wallettest.NewEnv(t), limitedPassword)
	if err := w.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	inv, err := w.CreateInvoice(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	p.receive(t, inv.PaymentRequest)
	if st, err := w.LookupInvoice(t.Context(), inv.PaymentHash); err != nil || st.State != wallets.StateSettled {
		t.Errorf("got %+v, %v", st, err)
	}
	list, err := w.list(t.Context(), time.Now().Add(-time.Minute))
	if err != nil || len(list) != 1 {
		t.Errorf("got %+v, %v", list, err)
	}
	if _, err := w.Pay(t.Context(), p.foreign(t, 10_000), 5000); !errors.Is(err, wallets.ErrUnauthorized) ||
		!strings.Contains(err.Error(), "paying takes http-password") {
		t.Errorf("paying: %v", err)
	}
	words, err := w.Permissions(t.Context())
	if err != nil || len(words) != 1 || !strings.HasPrefix(words[0], "limited access") {
		t.Errorf("got %q, %v", words, err)
	}
	words, err = p.open(t, wallettest.NewEnv(t), fullPassword).Permissions(t.Context())
	if err != nil || len(words) != 1 || !strings.HasPrefix(words[0], "full access") {
		t.Errorf("got %q, %v", words, err)
	}
	if _, err = p.open(t, wallettest.NewEnv(t), "wrong").Permissions(t.Context()); !errors.Is(err, wallets.ErrUnauthorized) {
		t.Errorf("got %v", err)
	}
}

func TestPingChecksTheChain(t *testing.T) {
	p := newDaemon(t)
	w := p.open(t, wallettest.NewEnv(t), limitedPassword)
	p.mu.Lock()
	p.chain = "mainnet"
	p.mu.Unlock()
	if err := w.Ping(t.Context()); !errors.Is(err, wallets.ErrBadAnswer) ||
		!strings.Contains(err.Error(), "it is on mainnet and not on regtest: set network") {
		t.Errorf("got %v", err)
	}
	for chain, want := range map[string]bool{"testnet": true, "testnet3": true, "Testnet4": true, "": true, "mainnet": false} {
		if onChain(chain, wallets.Testnet) != want {
			t.Errorf("%q is taken otherwise", chain)
		}
	}
}

func TestMemo(t *testing.T) {
	p := newDaemon(t)
	w := p.open(t, wallettest.NewEnv(t), limitedPassword)
	for _, tt := range []struct{ name, memo, want string }{
		{"empty", "", ""},
		{"special", "a=b&c=%00\r\n☕ \"quoted\"", "a=b&c=%00\r\n☕ \"quoted\""},
		{"just fits", strings.Repeat("é", 128), strings.Repeat("é", 128)},
		{"one too long", strings.Repeat("é", 129), strings.Repeat("é", 127) + "…"},
		{"pairs just fit", strings.Repeat("🧾", 64), strings.Repeat("🧾", 64)},
		{"pairs too long", strings.Repeat("🧾", 65), strings.Repeat("🧾", 63) + "…"},
		{"the longest", strings.Repeat("x", wallets.MaxMemo), strings.Repeat("x", 127) + "…"},
	} {
		req := request
		req.Memo = tt.memo
		inv, err := w.CreateInvoice(t.Context(), req)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if d, err := wallets.DecodeInvoice(inv.PaymentRequest); err != nil || d.Memo != tt.want {
			t.Errorf("%s: got %q, %v", tt.name, d.Memo, err)
		}
	}
	// Answers go to their callers.
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			req := request
			req.Memo = fmt.Sprint("invoice ", i)
			inv, err := w.CreateInvoice(t.Context(), req)
			if err != nil {
				t.Error(err)
				return
			}
			if d, err := wallets.DecodeInvoice(inv.PaymentRequest); err != nil || d.Memo != req.Memo {
				t.Errorf("%q came for %q, %v", d.Memo, req.Memo, err)
			}
		})
	}
	wg.Wait()
}

// TestFees has phoenixd take off fees for liquidity, which the payer has paid all the same.
func TestFees(t *testing.T) {
	p := newDaemon(t)
	p.fee = 20
	w := p.open(t, wallettest.NewEnv(t), limitedPassword)
	inv, err := w.CreateInvoice(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	p.receive(t, inv.PaymentRequest)
	st, err := w.LookupInvoice(t.Context(), inv.PaymentHash)
	if err != nil || st.AmountPaid != request.Amount || st.SettledAt.IsZero() || !st.Preimage.Matches(inv.PaymentHash) {
		t.Errorf("got %+v, %v", st, err)
	}
}

func TestPages(t *testing.T) {
	p := newDaemon(t)
	w := p.open(t, wallettest.NewEnv(t), limitedPassword)
	start := p.Now()
	const n = 2*page + 3
	var want []lntypes.Hash
	for range n {
		inv, err := w.CreateInvoice(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		p.receive(t, inv.PaymentRequest)
		want = append(want, inv.PaymentHash)
	}
	// An invoice of another program at the same phoenixd.
	p.mu.Lock()
	p.entries["x"] = &entry{hash: lntypes.Hash{1}.String(), externalID: "shop", completed: time.Now()}
	p.mu.Unlock()
	list, err := w.list(t.Context(), start)
	if err != nil || len(list) != n {
		t.Fatalf("got %d, %v", len(list), err)
	}
	for i, s := range list {
		if s.PaymentHash != want[i] {
			t.Fatalf("settlement %d is another one", i)
		}
	}
	for _, body := range []string{"null", "{}", `[{"isPaid":1}]`} {
		if _, err := scripted(t, 200, body).list(t.Context(), start); !errors.Is(err, wallets.ErrBadAnswer) {
			t.Errorf("%s: %v", body, err)
		}
	}
	if list, err := scripted(t, 200, `[{},{"paymentHash":"zz","isPaid":true}]`).list(t.Context(), start); err != nil || len(list) != 0 {
		t.Errorf("broken entries: %v, %v", list, err)
	}
}

func TestPay(t *testing.T) {
	const limit = 5000
	fail := func(w http.ResponseWriter, _ string) {
		answer(w, map[string]any{"type": "payment_failed", "reason": "no route"})
	}
	cut := func(w http.ResponseWriter, _ string) { panic(http.ErrAbortHandler) }
	tell := func(paid bool, completed any) func(p *daemon) func(http.ResponseWriter, string) {
		return func(p *daemon) func(http.ResponseWriter, string) {
			return func(w http.ResponseWriter, hash string) {
				out := map[string]any{"paymentHash": hash, "isPaid": paid}
				if paid {
					out["preimage"] = p.payable[hash].String()
				}
				if completed != nil {
					out["completedAt"] = completed
				}
				answer(w, out)
			}
		}
	}
	for _, tt := range []struct {
		name     string
		pay      func(http.ResponseWriter, string)
		outgoing func(*daemon) func(http.ResponseWriter, string)
		want     error // nil: it is paid
		text     string
	}{
		{"failed", fail, nil, wallets.ErrPaymentFailed, "no route"},
		{"failed, but an earlier attempt went through", fail, tell(true, 1), nil, ""},
		{"failed, as did an earlier one", fail, tell(false, 1), wallets.ErrPaymentFailed, "no route"},
		{"cut, and paid", cut, tell(true, 1), nil, ""},
		{"cut, and failed", cut, tell(false, 1), wallets.ErrPaymentFailed, ""},
		{"cut, and not known", cut, nil, errDeadline, "may still succeed"},
		{"cut, and on its way", cut, tell(false, nil), errDeadline, "may still succeed"},
		{"cut, and another payment", cut, func(*daemon) func(http.ResponseWriter, string) {
			return func(w http.ResponseWriter, _ string) { answer(w, map[string]any{"isPaid": true}) }
		}, wallets.ErrBadAnswer, "another one"},
		{"wrong preimage", func(w http.ResponseWriter, _ string) {
			answer(w, map[string]any{"paymentPreimage": lntypes.Preimage{9}.String()})
		}, nil, wallets.ErrBadAnswer, "does not fit"},
		{"neither", func(w http.ResponseWriter, _ string) { answer(w, map[string]any{}) }, tell(true, 1), nil, ""},
		{"busy", func(w http.ResponseWriter, _ string) { text(w, 429, "slow") }, nil, wallets.ErrRateLimited, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newDaemon(t)
			p.pay = tt.pay
			if tt.outgoing != nil {
				p.outgoing = tt.outgoing(p)
			}
			w := p.open(t, wallettest.NewEnv(t), fullPassword)
			w.peer.FirstRetry = time.Millisecond
			invoice := p.foreign(t, 10_000)
			ctx, cancel := withTimeout(t)
			defer cancel()
			preimage, err := w.Pay(ctx, invoice, limit)
			if tt.want == nil {
				d, decodeErr := wallets.DecodeInvoice(invoice)
				if err != nil || decodeErr != nil || !preimage.Matches(d.PaymentHash) {
					t.Errorf("got %v", err)
				}
				return
			}
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("got %v, want %v, %q", err, tt.want, tt.text)
			}
			if tt.want != wallets.ErrPaymentFailed && errors.Is(err, wallets.ErrPaymentFailed) {
				t.Errorf("a payment of unclear outcome is called failed: %v", err)
			}
		})
	}
	t.Run("fee", func(t *testing.T) {
		p := newDaemon(t)
		w := p.open(t, wallettest.NewEnv(t), fullPassword)
		_, err := w.Pay(t.Context(), p.foreign(t, 1_000_000), 7999)
		if !errors.Is(err, wallets.ErrPaymentFailed) || !strings.Contains(err.Error(), "8000 msat") || p.Requests("/payinvoice") != 0 {
			t.Errorf("got %v", err)
		}
		if _, err := w.Pay(t.Context(), p.foreign(t, 1_000_000), 8000); err != nil {
			t.Error(err)
		}
	})
	t.Run("nobody there", func(t *testing.T) {
		p := newDaemon(t)
		invoice := p.foreign(t, 10_000)
		away := &daemon{Double: &peertest.Double{URL: "http://127.0.0.1:1"}}
		_, err := away.open(t, wallettest.NewEnv(t), fullPassword).Pay(t.Context(), invoice, limit)
		if !errors.Is(err, wallets.ErrPaymentFailed) {
			t.Errorf("got %v", err)
		}
	})
}

func FuzzAnswers(f *testing.F) {
	preimage := lntypes.Preimage{1}
	hash := preimage.Hash()
	f.Add([]byte(fmt.Sprintf(`{"paymentHash":%q,"preimage":%q,"isPaid":true,"receivedSat":1,"completedAt":1}`, hash, preimage)))
	f.Add([]byte(fmt.Sprintf(`{"type":"payment_received","paymentHash":%q}`, hash)))
	f.Add([]byte(fmt.Sprintf(`{"paymentHash":%q,"isPaid":false,"isExpired":true,"requestedSat":-1}`, hash)))
	f.Fuzz(func(t *testing.T, body []byte) {
		if h, ok := parseEvent(body); !ok && h != (lntypes.Hash{}) {
			t.Error("a hash came from no event")
		}
		var p incoming
		if decode(body, &p) != nil {
			return
		}
		st, err := p.status(hash)
		if err != nil {
			return
		}
		settled := st.State == wallets.StateSettled
		if !settled && (st.Preimage != nil || st.AmountPaid != 0 || !st.SettledAt.IsZero()) {
			t.Errorf("state %s with %+v", st.State, st)
		}
		if st.Preimage != nil && !st.Preimage.Matches(hash) {
			t.Error("another preimage")
		}
	})
}

func FuzzMemo(f *testing.F) {
	f.Add("memo")
	f.Add(strings.Repeat("🧾é", 100))
	f.Fuzz(func(t *testing.T, memo string) {
		if !utf8.ValidString(memo) {
			return
		}
		short := cut(memo)
		if units(short) > maxMemo || short != memo && (units(memo) <= maxMemo || !strings.HasPrefix(memo, strings.TrimSuffix(short, "…"))) {
			t.Errorf("%q became %q", memo, short)
		}
	})
}
