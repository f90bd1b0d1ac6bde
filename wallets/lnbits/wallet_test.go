package lnbits

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
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

var request = wallets.InvoiceRequest{Amount: 21_000, Memo: "memo", Expiry: time.Minute}

// TestErrors has the errors that LNbits' API knows, and answers that it never gives.
func TestErrors(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		body   string
		want   error
		text   string
	}{
		{"no key", 401, `{"detail":"No Api Key provided."}`, wallets.ErrUnauthorized, "set key to the wallet's invoice key"},
		{"wrong key", 404, `{"detail":"Wallet not found."}`, wallets.ErrUnauthorized, "no wallet has this key"},
		{"user not allowed", 403, `{"detail":"User not allowed."}`, wallets.ErrUnauthorized, "User not allowed"},
		{"no such call", 404, `{"detail":"Not Found"}`, wallets.ErrBadAnswer, "is this the address of LNbits?"},
		{"no such page", 404, `<html>not found</html>`, wallets.ErrBadAnswer, "is this the address of LNbits?"},
		{"bad parameters", 400, `{"detail":[{"loc":["body","amount"],"msg":"not a float"}]}`, wallets.ErrBadAnswer, "not a float"},
		{"unprocessable", 422, `{"detail":"no"}`, wallets.ErrBadAnswer, "status 422"},
		{"too high", 520, `{"detail":"Invoice amount 9 sats is too high. Max allowed: 1 sats.","status":"failed"}`,
			wallets.ErrAmount, "too high"},
		{"full", 520, `{"detail":"Wallet balance cannot exceed 1 sats.","status":"failed"}`, wallets.ErrUnavailable, "withdraw something"},
		{"no permission", 520, `{"detail":"Wallet does not have permission to create invoices.","status":"failed"}`,
			wallets.ErrUnauthorized, "permission"},
		{"funding source", 520, `{"detail":"Unable to connect to https://x.","status":"pending"}`, wallets.ErrUnavailable, "Unable to connect"},
		{"exception", 500, `{"detail":"Unexpected error! ID: 1"}`, wallets.ErrUnavailable, "Unexpected error"},
		{"busy", 429, `{"error":"Rate limit exceeded"}`, wallets.ErrRateLimited, ""},
		{"proxy without LNbits", 502, ``, wallets.ErrUnavailable, "status 502"},
		{"null", 201, `null`, wallets.ErrBadAnswer, "payment_hash is not a hash"},
		{"no invoice", 201, `{"payment_hash":"` + strings.Repeat("00", 32) + `"}`, wallets.ErrBadInvoice, ""},
		{"other types", 201, `{"payment_hash":7}`, wallets.ErrBadAnswer, ""},
		{"empty", 200, ``, wallets.ErrBadAnswer, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := scripted(t, tt.status, strings.Replace(tt.body, `"detail":"`, `"detail":"`+invoiceKey+" ", 1))
			if tt.status == 404 {
				w = scripted(t, tt.status, tt.body)
			}
			_, err := w.CreateInvoice(t.Context(), request)
			if !errors.Is(err, tt.want) || !strings.Contains(fmt.Sprint(err), tt.text) {
				t.Errorf("got %v, want %v, %q", err, tt.want, tt.text)
			}
			for name, call := range map[string]func() error{
				"CreateInvoice": func() error { return err },
				"LookupInvoice": func() error { _, err := w.LookupInvoice(t.Context(), lntypes.Hash{1}); return err },
				"Ping":          func() error { return w.Ping(t.Context()) },
				"Permissions":   func() error { _, err := w.Permissions(t.Context()); return err },
			} {
				if err := call(); err == nil || strings.Contains(err.Error(), invoiceKey) || errors.Is(err, wallets.ErrNotFound) {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

func TestInvoiceKeyIsEnough(t *testing.T) {
	s := newServer(t)
	w := s.open(t, wallettest.NewEnv(t), invoiceKey, false)
	if err := w.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	inv, err := w.CreateInvoice(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	s.settle(t, inv.PaymentRequest)
	if st, err := w.LookupInvoice(t.Context(), inv.PaymentHash); err != nil || st.State != wallets.StateSettled {
		t.Errorf("got %+v, %v", st, err)
	}
	if list, err := w.list(t.Context(), time.Now().Add(-time.Minute)); err != nil || len(list) != 1 {
		t.Errorf("got %+v, %v", list, err)
	}
	if _, err := w.Pay(t.Context(), s.foreign(t, 10_000), 5000); !errors.Is(err, wallets.ErrUnauthorized) ||
		!strings.Contains(err.Error(), "paying takes the admin key") {
		t.Errorf("paying: %v", err)
	}
	words, err := w.Permissions(t.Context())
	if err != nil || len(words) != 1 || !strings.HasPrefix(words[0], "invoice key") {
		t.Errorf("got %q, %v", words, err)
	}
	words, err = s.open(t, wallettest.NewEnv(t), adminKey, false).Permissions(t.Context())
	if err != nil || len(words) != 1 || !strings.HasPrefix(words[0], "admin key") {
		t.Errorf("got %q, %v", words, err)
	}
}

// TestForeignLookup has look-ups that LNbits answers without details, or about what is not an invoice
// of the wallet. None of them may look like a payment.
func TestForeignLookup(t *testing.T) {
	s := newServer(t)
	w := s.open(t, wallettest.NewEnv(t), adminKey, false)
	inv, err := w.CreateInvoice(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	s.settle(t, inv.PaymentRequest)
	if _, err := s.open(t, wallettest.NewEnv(t), "wrong-key", false).LookupInvoice(t.Context(), inv.PaymentHash); !errors.Is(err, wallets.ErrUnauthorized) {
		t.Errorf("with a wrong key: %v", err)
	}
	if _, err := s.open(t, wallettest.NewEnv(t), otherKey, false).LookupInvoice(t.Context(), inv.PaymentHash); !errors.Is(err, wallets.ErrNotFound) {
		t.Errorf("with the key of another wallet: %v", err)
	}
	// The wallet pays a foreign invoice: that is no invoice of its own that was paid.
	foreign := s.foreign(t, 10_000)
	if _, err := w.Pay(t.Context(), foreign, 5000); err != nil {
		t.Fatal(err)
	}
	d, err := wallets.DecodeInvoice(foreign)
	if err != nil {
		t.Fatal(err)
	}
	if st, err := w.LookupInvoice(t.Context(), d.PaymentHash); !errors.Is(err, wallets.ErrNotFound) {
		t.Errorf("an invoice that the wallet has paid: %+v, %v", st, err)
	}
	// And it pays one of its own: there are two payments of one hash then.
	own, err := w.CreateInvoice(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Pay(t.Context(), own.PaymentRequest, 5000); err != nil {
		t.Fatal(err)
	}
	if st, err := w.LookupInvoice(t.Context(), own.PaymentHash); err != nil || st.State != wallets.StatePending || st.Preimage != nil {
		t.Errorf("before it arrived: %+v, %v", st, err)
	}
	s.settle(t, own.PaymentRequest)
	if st, err := w.LookupInvoice(t.Context(), own.PaymentHash); err != nil || st.State != wallets.StateSettled ||
		st.AmountPaid != request.Amount || st.Preimage == nil {
		t.Errorf("after it arrived: %+v, %v", st, err)
	}
}

// TestInternalPayments are settled without a preimage, or with one that is none.
func TestInternalPayments(t *testing.T) {
	s := newServer(t)
	w := s.open(t, wallettest.NewEnv(t), invoiceKey, false)
	for name, preimage := range map[string]string{
		"none": "", "zeros": strings.Repeat("0", 64), "another": lntypes.Preimage{7}.String(), "no hex": "internal",
	} {
		inv, err := w.CreateInvoice(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		s.settleWith(t, inv.PaymentRequest, func() string { return preimage })
		st, err := w.LookupInvoice(t.Context(), inv.PaymentHash)
		if err != nil || st.State != wallets.StateSettled || st.AmountPaid != request.Amount || st.Preimage != nil {
			t.Errorf("%s: got %+v, %v", name, st, err)
		}
	}
}

func TestContradictions(t *testing.T) {
	hash := lntypes.Hash{1}
	for name, tt := range map[string]struct {
		body string
		want error
	}{
		"paid but pending":  {`{"paid":true,"details":{"payment_hash":"HASH","amount":1,"status":"pending"}}`, wallets.ErrBadAnswer},
		"settled, not paid": {`{"paid":false,"details":{"payment_hash":"HASH","amount":1,"status":"success"}}`, wallets.ErrBadAnswer},
		"no status":         {`{"paid":false,"details":{"payment_hash":"HASH","amount":1}}`, wallets.ErrBadAnswer},
		"another hash":      {`{"paid":true,"details":{"payment_hash":"00","amount":1,"status":"success"}}`, wallets.ErrBadAnswer},
		"no details":        {`{"paid":true,"preimage":"00"}`, wallets.ErrUnauthorized},
	} {
		_, err := scripted(t, 200, strings.Replace(tt.body, "HASH", hash.String(), 1)).LookupInvoice(t.Context(), hash)
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestTitle has the site's title stand in for an empty memo.
func TestTitle(t *testing.T) {
	s := newServer(t)
	s.title = "LNbits"
	w := s.open(t, wallettest.NewEnv(t), invoiceKey, false)
	for memo, want := range map[string]string{"": "LNbits", " ": " ", "<b>&amp;": "<b>&amp;"} {
		req := request
		req.Memo = memo
		inv, err := w.CreateInvoice(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if d, err := wallets.DecodeInvoice(inv.PaymentRequest); err != nil || d.Memo != want {
			t.Errorf("%q became %q, %v", memo, d.Memo, err)
		}
	}
}

func TestPages(t *testing.T) {
	for _, old := range []bool{false, true} {
		t.Run(fmt.Sprint("old ", old), func(t *testing.T) {
			s := newServer(t)
			s.old = old
			w := s.open(t, wallettest.NewEnv(t), adminKey, false)
			const n = 2*page + 3
			var invoices []*wallets.Invoice
			for range n {
				inv, err := w.CreateInvoice(t.Context(), request)
				if err != nil {
					t.Fatal(err)
				}
				invoices = append(invoices, inv)
			}
			start := s.Now()
			// They are paid in another order than that of making.
			for i := range n {
				s.settle(t, invoices[n-1-i].PaymentRequest)
			}
			if _, err := w.Pay(t.Context(), s.foreign(t, 10_000), 5000); err != nil {
				t.Fatal(err)
			}
			list, err := w.list(t.Context(), start)
			if err != nil || len(list) != n {
				t.Fatalf("got %d, %v", len(list), err)
			}
			for i, st := range list {
				if st.PaymentHash != invoices[n-1-i].PaymentHash || st.AmountPaid != request.Amount {
					t.Fatalf("settlement %d is another one", i)
				}
			}
			if list, err = w.list(t.Context(), s.Now()); err != nil || !old && len(list) != 0 {
				t.Errorf("after the last: %d, %v", len(list), err)
			}
		})
	}
	for _, body := range []string{"null", "{}", `[{"amount":"x"}]`} {
		if _, err := scripted(t, 200, body).list(t.Context(), time.Now()); !errors.Is(err, wallets.ErrBadAnswer) {
			t.Errorf("%s: %v", body, err)
		}
	}
	if _, err := scripted(t, 400, `{"detail":"no"}`).list(t.Context(), time.Now()); !errors.Is(err, wallets.ErrBadAnswer) {
		t.Errorf("got %v", err)
	}
}

// TestKeyInAddress has the websocket fail, whose address holds the key.
func TestKeyInAddress(t *testing.T) {
	s := newServer(t)
	s.Deafen(true)
	env := wallettest.NewEnv(t)
	w := s.open(t, env, invoiceKey, false)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := w.SubscribeSettlements(ctx, "", func(wallets.Settlement) {}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	log := env.Log()
	if !strings.Contains(log, "subscription lost") || strings.Contains(log, "invoice&key") || strings.Contains(log, "invoice%26key") {
		t.Errorf("the log is %s", log)
	}
	if s.Requests("/api/v1/ws/"+invoiceKey) == 0 {
		t.Error("the websocket was not tried")
	}
}

func TestPay(t *testing.T) {
	refuse := func(status int, detail, state string) func(http.ResponseWriter, string) {
		return func(w http.ResponseWriter, _ string) {
			answer(w, status, map[string]any{"detail": detail, "status": state})
		}
	}
	// record has the server know of a payment in the state, and answer in its own way.
	record := func(state string, preimage bool, then func(http.ResponseWriter, string)) func(*server) func(http.ResponseWriter, string) {
		return func(s *server) func(http.ResponseWriter, string) {
			return func(w http.ResponseWriter, hash string) {
				p := &row{hash: hash, amount: -10_000, status: state}
				if preimage {
					p.preimage = s.payable[hash]
				}
				s.rows = append(s.rows, p)
				then(w, hash)
			}
		}
	}
	plain := func(pay func(http.ResponseWriter, string)) func(*server) func(http.ResponseWriter, string) {
		return func(*server) func(http.ResponseWriter, string) { return pay }
	}
	cut := func(http.ResponseWriter, string) { panic(http.ErrAbortHandler) }
	accept := func(w http.ResponseWriter, _ string) {
		answer(w, http.StatusCreated, map[string]any{"status": statePending})
	}
	for _, tt := range []struct {
		name string
		pay  func(*server) func(http.ResponseWriter, string)
		want error // nil: it is paid
		text string
	}{
		{"failed", plain(refuse(520, "Insufficient balance.", stateFailed)), wallets.ErrPaymentFailed, "Insufficient balance"},
		{"not tried", plain(refuse(400, "Daily limit", "")), wallets.ErrPaymentFailed, "Daily limit"},
		{"paid earlier", record(stateSuccess, true, refuse(520, "Payment already paid.", stateSuccess)), nil, ""},
		{"failed, but paid earlier", record(stateSuccess, true, refuse(520, "Internal invoice already paid.", stateFailed)), nil, ""},
		{"pending", record(statePending, false, accept), context.DeadlineExceeded, "may still succeed"},
		{"accepted, and failed", record(stateFailed, false, accept), wallets.ErrPaymentFailed, ""},
		{"cut, and paid", record(stateSuccess, true, cut), nil, ""},
		{"cut, and failed", record(stateFailed, false, cut), wallets.ErrPaymentFailed, ""},
		{"cut, and not known", plain(cut), context.DeadlineExceeded, "may still succeed"},
		{"paid without a preimage", record(stateSuccess, false, accept), ErrNoPreimage, "show the token without one"},
		{"busy", plain(refuse(429, "slow", "")), wallets.ErrRateLimited, ""},
		{"broken", plain(refuse(500, "Unexpected error!", "")), context.DeadlineExceeded, "may still succeed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t)
			s.pay = tt.pay(s)
			w := s.open(t, wallettest.NewEnv(t), adminKey, false)
			w.peer.FirstRetry = time.Millisecond
			invoice := s.foreign(t, 10_000)
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			preimage, err := w.Pay(ctx, invoice, 5000)
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
	s := newServer(t)
	w := s.open(t, wallettest.NewEnv(t), adminKey, false)
	if _, err := w.Pay(t.Context(), s.foreign(t, 10_000), 1999); !errors.Is(err, wallets.ErrPaymentFailed) ||
		!strings.Contains(err.Error(), "2000 msat") || s.Requests("/api/v1/payments") != 0 {
		t.Errorf("fee over the limit: %v", err)
	}
	s.change(func() { s.reserve = -1 })
	if _, err := w.Pay(t.Context(), s.foreign(t, 10_000), 1999); !errors.Is(err, wallets.ErrPaymentFailed) {
		t.Errorf("no fee: %v", err)
	}
}

func TestStamp(t *testing.T) {
	want := time.Date(2026, 3, 20, 10, 41, 2, 0, time.UTC)
	for _, text := range []string{
		`"2026-03-20T10:41:02+00:00"`, `"2026-03-20T11:41:02+01:00"`, `"2026-03-20T10:41:02Z"`, `"2026-03-20T10:41:02"`,
		`"2026-03-20 10:41:02"`, `1774003262`, `1774003262.0`,
	} {
		var s stamp
		if err := json.Unmarshal([]byte(text), &s); err != nil || !time.Time(s).Equal(want) {
			t.Errorf("%s is %s, %v", text, time.Time(s), err)
		}
	}
	for _, text := range []string{`null`, `"soon"`, `-1`, `1e300`, `{}`, `[]`, `true`} {
		s := stamp(want)
		if err := json.Unmarshal([]byte(text), &s); err != nil || text != "null" && !time.Time(s).IsZero() {
			t.Errorf("%s is %s, %v", text, time.Time(s), err)
		}
	}
}

func FuzzAnswers(f *testing.F) {
	preimage := lntypes.Preimage{1}
	hash := preimage.Hash()
	for _, status := range []string{stateSuccess, statePending, stateFailed} {
		f.Add([]byte(fmt.Sprintf(`{"payment_hash":%q,"preimage":%q,"amount":1000,"status":%q,"expiry":"2026-03-20T10:41:02","updated_at":1.5}`,
			hash, preimage, status)))
	}
	f.Add([]byte(fmt.Sprintf(`{"payment":{"payment_hash":%q,"amount":1}}`, hash)))
	f.Fuzz(func(t *testing.T, body []byte) {
		if h, ok := parseEvent(body); !ok && h != (lntypes.Hash{}) {
			t.Error("a hash came from no event")
		}
		shown, err := showsPreimage(200, body, hash)
		// An escaped digit is one too.
		if shown && !strings.Contains(string(body), `\\`) && !strings.Contains(strings.ToLower(string(body)), preimage.String()) {
			t.Errorf("shown by none, %v", err)
		}
		var p payment
		if json.Unmarshal(body, &p) != nil {
			return
		}
		st, err := p.incoming(hash, time.Now())
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
