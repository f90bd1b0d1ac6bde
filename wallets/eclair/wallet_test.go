package eclair

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/restpeer/peertest"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

var request = wallets.InvoiceRequest{Amount: 21_001, Memo: "memo", Expiry: time.Minute}

// TestErrors has the errors that Eclair's API knows, and answers that it never gives.
func TestErrors(t *testing.T) {
	hash := lntypes.Hash{1}
	entry := func(status string) string {
		return fmt.Sprintf(`{"invoice":{"paymentHash":%q,"serialized":"x"},"status":%s}`, hash, status)
	}
	for _, tt := range []struct {
		name   string
		status int
		body   string
		want   error
		text   string
	}{
		{"no password", 401, `{"error":"The resource requires authentication, which was not supplied with the request"}`,
			wallets.ErrUnauthorized, "set password to eclair.api.password"},
		{"wrong password", 401, `{"error":"The supplied authentication is invalid"}`, wallets.ErrUnauthorized, "invalid"},
		{"proxy refuses", 403, ``, wallets.ErrUnauthorized, ""},
		{"no such payment", 404, `{"error":"Not found"}`, wallets.ErrNotFound, ""},
		{"no such call", 404, `{"error":"The requested resource could not be found."}`, wallets.ErrBadAnswer, "is this the address of Eclair"},
		{"a proxy's 404", 404, `Not found`, wallets.ErrBadAnswer, "is this the address of Eclair"},
		{"wrong method", 405, `{"error":"HTTP method not allowed, supported methods: POST"}`, wallets.ErrBadAnswer, "status 405"},
		{"bad field", 400, `{"error":"The form field 'paymentHash' was malformed:"}`, wallets.ErrBadAnswer, "malformed"},
		{"exception", 500, `{"error":"API call failed: check logs for more details"}`, wallets.ErrUnavailable, "check logs"},
		{"timed out", 408, `{"error":"request timed out"}`, wallets.ErrUnavailable, "timed out"},
		{"busy", 429, ``, wallets.ErrRateLimited, ""},
		{"proxy without Eclair", 502, ``, wallets.ErrUnavailable, "status 502"},
		{"empty", 200, ``, wallets.ErrBadAnswer, ""},
		{"null", 200, `null`, wallets.ErrBadAnswer, "another payment hash"},
		{"another hash", 200, strings.Replace(entry(`{"type":"received"}`), "01", "02", 1), wallets.ErrBadAnswer, "another payment hash"},
		{"no state", 200, entry(`{}`), wallets.ErrBadAnswer, "unknown status"},
		{"unknown state", 200, entry(`{"type":"settled"}`), wallets.ErrBadAnswer, "unknown status"},
		{"negative amount", 200, entry(`{"type":"received","amount":-1}`), wallets.ErrBadAnswer, ""},
		{"absurd amount", 200, entry(`{"type":"received","amount":18446744073709551615}`), wallets.ErrBadAnswer, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := scripted(t, tt.status, strings.Replace(tt.body, `"error":"The supplied`, `"error":"`+password+" The supplied", 1))
			_, err := w.LookupInvoice(t.Context(), hash)
			if !errors.Is(err, tt.want) || !strings.Contains(fmt.Sprint(err), tt.text) {
				t.Errorf("got %v, want %v, %q", err, tt.want, tt.text)
			}
			for name, call := range map[string]func() error{
				"LookupInvoice": func() error { return err },
				"CreateInvoice": func() error { _, err := w.CreateInvoice(t.Context(), request); return err },
				"Ping":          func() error { return w.Ping(t.Context()) },
				"Permissions":   func() error { _, err := w.Permissions(t.Context()); return err },
			} {
				if err := call(); err == nil || strings.Contains(err.Error(), password) {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

func TestPingChecksTheChain(t *testing.T) {
	n := newNode(t)
	w := n.open(t, wallettest.NewEnv(t))
	words, err := w.Permissions(t.Context())
	if err != nil || len(words) != 1 || !strings.HasPrefix(words[0], "everything") {
		t.Errorf("got %q, %v", words, err)
	}
	n.mu.Lock()
	n.network = "mainnet"
	n.mu.Unlock()
	if err := w.Ping(t.Context()); !errors.Is(err, wallets.ErrBadAnswer) ||
		!strings.Contains(err.Error(), "it is on mainnet and not on regtest: set network") {
		t.Errorf("got %v", err)
	}
}

func TestPrivateChannels(t *testing.T) {
	n := newNode(t)
	w := n.open(t, wallettest.NewEnv(t), channel, strings.Repeat("cd", 32))
	if _, err := w.CreateInvoice(t.Context(), request); err != nil || n.channels != channel+","+strings.Repeat("cd", 32) {
		t.Errorf("got %q, %v", n.channels, err)
	}
}

func TestPages(t *testing.T) {
	n := newNode(t)
	w := n.open(t, wallettest.NewEnv(t))
	const count = 2*page + 3
	var invoices []*wallets.Invoice
	for range count {
		inv, err := w.CreateInvoice(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		invoices = append(invoices, inv)
	}
	// The first was paid before, and does not count.
	n.receive(t, invoices[0].PaymentRequest)
	start := n.Now()
	// They are paid in another order than that of making, which is Eclair's.
	for i := count - 1; i > 0; i-- {
		n.receive(t, invoices[i].PaymentRequest)
	}
	list, err := w.list(t.Context(), start, false)
	if err != nil || len(list) != count-1 {
		t.Fatalf("got %d, %v", len(list), err)
	}
	for i, st := range list {
		if st.PaymentHash != invoices[count-1-i].PaymentHash || st.AmountPaid != request.Amount {
			t.Fatalf("settlement %d is another one", i)
		}
	}
	for _, body := range []string{"null", "{}", `[{"status":1}]`} {
		if _, err := scripted(t, 200, body).list(t.Context(), start, true); !errors.Is(err, wallets.ErrBadAnswer) {
			t.Errorf("%s: %v", body, err)
		}
	}
	if list, err := scripted(t, 200, `[{},{"invoice":{"paymentHash":"zz"}}]`).list(t.Context(), start, true); err != nil || len(list) != 0 {
		t.Errorf("broken entries: %v, %v", list, err)
	}
}

// TestReach has invoices that were made long before they are paid. Eclair lists by the time of
// making, so the list must go back far enough.
func TestReach(t *testing.T) {
	n := newNode(t)
	w := n.open(t, wallettest.NewEnv(t))
	inv, err := w.CreateInvoice(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	start := n.Now()
	n.receive(t, inv.PaymentRequest)
	age := func(d time.Duration) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.entries[0].created = time.Now().Add(-d)
	}
	found := func(first bool) int {
		list, err := w.list(t.Context(), start, first)
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	age(23 * time.Hour)
	if found(false) != 1 {
		t.Error("an invoice of the same day is not found")
	}
	age(6 * 24 * time.Hour)
	if found(true) != 1 {
		t.Error("an invoice of the last week is not found at the start")
	}
	age(20 * 24 * time.Hour)
	if found(false) != 0 {
		t.Error("the list goes back further than it needs to")
	}
	req := request
	req.Expiry = 30 * 24 * time.Hour
	if _, err := w.CreateInvoice(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	if found(false) != 1 {
		t.Error("an invoice that lives for long is not found")
	}
}

func TestPay(t *testing.T) {
	failed := func(w http.ResponseWriter, _ string) {
		answer(w, 200, map[string]any{"type": "payment-failed", "failures": []any{}})
	}
	cut := func(http.ResponseWriter, string) { panic(http.ErrAbortHandler) }
	status := func(code int, text string) func(http.ResponseWriter, string) {
		return func(w http.ResponseWriter, _ string) { fail(w, code, text) }
	}
	attempts := func(states ...string) func(*node) func(http.ResponseWriter, string) {
		return func(n *node) func(http.ResponseWriter, string) {
			return func(w http.ResponseWriter, hash string) {
				out := []any{attempt(lntypes.Hash{5}.String(), "sent", "")}
				for _, state := range states {
					out = append(out, attempt(hash, state, n.payable[hash]))
				}
				answer(w, 200, out)
			}
		}
	}
	for _, tt := range []struct {
		name string
		pay  func(http.ResponseWriter, string)
		sent func(*node) func(http.ResponseWriter, string)
		want error // nil: it is paid
		text string
	}{
		{"failed", failed, nil, wallets.ErrPaymentFailed, "see the node's log"},
		{"failed, but an earlier attempt went through", failed, attempts("failed", "sent", "pending"), nil, ""},
		{"failed, but an earlier attempt is on its way", failed, attempts("failed", "pending"), context.DeadlineExceeded, "may still succeed"},
		{"timed out, and paid", status(408, "request timed out"), attempts("sent"), nil, ""},
		{"cut, and failed", cut, attempts("failed"), wallets.ErrPaymentFailed, ""},
		{"cut, and not known", cut, nil, context.DeadlineExceeded, "may still succeed"},
		{"cut, and cannot be asked for", cut, func(*node) func(http.ResponseWriter, string) { return status(404, "no") },
			wallets.ErrBadAnswer, "may still succeed"},
		{"exception", status(500, "API call failed"), nil, context.DeadlineExceeded, "may still succeed"},
		{"refused", status(401, "no"), nil, wallets.ErrUnauthorized, ""},
		{"busy", status(429, "slow"), nil, wallets.ErrRateLimited, ""},
		{"wrong preimage", func(w http.ResponseWriter, _ string) {
			answer(w, 200, map[string]any{"type": "payment-sent", "paymentPreimage": lntypes.Preimage{9}.String()})
		}, nil, wallets.ErrBadAnswer, "does not fit"},
		{"id instead of an outcome", func(w http.ResponseWriter, _ string) { answer(w, 200, map[string]any{"id": "1"}) },
			attempts("sent"), nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := newNode(t)
			n.pay = tt.pay
			if tt.sent != nil {
				n.sent = tt.sent(n)
			}
			w := n.open(t, wallettest.NewEnv(t))
			w.peer.FirstRetry = time.Millisecond
			invoice := n.foreign(t, 10_000)
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			preimage, err := w.Pay(ctx, invoice, 5000)
			if tt.want == nil {
				if err != nil || !preimage.Matches(peertest.Hash(t, invoice)) {
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
	n := newNode(t)
	w := n.open(t, wallettest.NewEnv(t))
	if _, err := w.Pay(t.Context(), n.foreign(t, 10_000), 5999); err != nil || n.maxFee != "5" || n.maxPct != "0" {
		t.Errorf("limits are %s sat and %s %%: %v", n.maxFee, n.maxPct, err)
	}
	invoice := n.foreign(t, 10_000)
	away := &node{Double: &peertest.Double{URL: "http://127.0.0.1:1"}}
	if _, err := away.open(t, wallettest.NewEnv(t)).Pay(t.Context(), invoice, 5000); !errors.Is(err, wallets.ErrPaymentFailed) {
		t.Errorf("nobody there: %v", err)
	}
}

func TestStamp(t *testing.T) {
	for text, want := range map[string]int64{
		`{"iso":"2021-10-05T13:12:23.777Z","unix":1633439543}`: 1633439543777,
		`{"unix":1633439543}`:              1633439543000,
		`{"iso":"soon","unix":1633439543}`: 1633439543000,
	} {
		var s stamp
		if err := json.Unmarshal([]byte(text), &s); err != nil || time.Time(s).UnixMilli() != want {
			t.Errorf("%s is %s, %v", text, time.Time(s), err)
		}
	}
	for _, text := range []string{`{}`, `1`, `"x"`, `{"unix":-1}`, `{"unix":9223372036854775807}`, `{"unix":1e99}`} {
		s := stamp(time.Now())
		if err := json.Unmarshal([]byte(text), &s); err != nil || !time.Time(s).IsZero() {
			t.Errorf("%s is %s, %v", text, time.Time(s), err)
		}
	}
}

func FuzzAnswers(f *testing.F) {
	preimage := lntypes.Preimage{1}
	hash := preimage.Hash()
	for _, state := range []string{"pending", "expired", "received"} {
		f.Add([]byte(fmt.Sprintf(`{"invoice":{"serialized":"x","paymentHash":%q},"paymentPreimage":%q,`+
			`"status":{"type":%q,"amount":42,"receivedAt":{"iso":"2021-10-05T13:12:23.777Z","unix":1633439543}}}`, hash, preimage, state)))
	}
	f.Add([]byte(fmt.Sprintf(`{"type":"payment-received","paymentHash":%q,"parts":[]}`, hash)))
	f.Fuzz(func(t *testing.T, body []byte) {
		if h, ok := parseEvent(body); !ok && h != (lntypes.Hash{}) {
			t.Error("a hash came from no event")
		}
		var r received
		if json.Unmarshal(body, &r) != nil {
			return
		}
		st, err := r.read(hash)
		if err != nil {
			return
		}
		if st.State != wallets.StateSettled && (st.Preimage != nil || st.AmountPaid != 0 || !st.SettledAt.IsZero()) {
			t.Errorf("state %s with %+v", st.State, st)
		}
		if st.Preimage != nil && !st.Preimage.Matches(hash) {
			t.Error("another preimage")
		}
	})
}
