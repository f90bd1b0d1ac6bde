package buyer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/internal/ledger"
	"github.com/caddy-l402/caddy-l402/l402"
	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

func wantRefusal(t *testing.T, err error, code string) *Refusal {
	t.Helper()
	var refusal *Refusal
	if !errors.As(err, &refusal) || refusal.Code != code {
		t.Fatalf("got %v, want %s", err, code)
	}
	return refusal
}

func wantPage(t *testing.T, b *Buyer, target, want string) {
	t.Helper()
	status, body, err := ask(t, b, "GET", target, "")
	if err != nil || status != 200 || body != want {
		t.Fatalf("%s: %d %q, %v", target, status, body, err)
	}
}

func TestBuysOnceAndKeepsTheToken(t *testing.T) {
	w := newWorld(t)
	s := w.shop()
	h := w.house()
	b := w.buyer(h, "1000 sat/day")
	var cost uint64
	b.Events.Paid = func(msat uint64) { cost += msat }
	if status, body, err := ask(t, b, "POST", s.URL+"/a", "the body"); err != nil || status != 200 || body != "POST /a the body" {
		t.Fatalf("%d %q, %v", status, body, err)
	}
	wantPage(t, b, s.URL+"/b", "GET /b ")
	if requests, challenges := s.count(); requests != 3 || challenges != 1 || w.spent() != 1 || cost != uint64(price) {
		t.Errorf("%d requests, %d challenges, %d payments, %d msat", requests, challenges, w.spent(), cost)
	}
	// Another process finds the token, at the price of one more request.
	wantPage(t, w.buyer(w.house(), "1 sat/day"), s.URL+"/a", "GET /a ")
	if w.spent() != 1 {
		t.Errorf("%d payments", w.spent())
	}
}

// TestParallel has many requests come to a cold upstream: they share one purchase.
func TestParallel(t *testing.T) {
	w := newWorld(t)
	s := w.shop()
	houses := []*House{w.house(), w.house()} // two instances on one storage
	var wg sync.WaitGroup
	for n := range 50 {
		b := w.buyer(houses[n%2], "1000 sat/day")
		wg.Go(func() { wantGood(t, b, fmt.Sprintf("%s/%d", s.URL, n)) })
	}
	wg.Wait()
	if w.spent() != 1 {
		t.Errorf("%d payments", w.spent())
	}
}

func wantGood(t *testing.T, b *Buyer, target string) {
	if status, _, err := ask(t, b, "GET", target, ""); err != nil || status != 200 {
		t.Errorf("%s: %d, %v", target, status, err)
	}
}

// TestSingleUse has each of many requests pay for itself, and none for another.
func TestSingleUse(t *testing.T) {
	w := newWorld(t)
	s := w.shop()
	s.sells = func(*http.Request) l402.Terms {
		return l402.Terms{Service: "data", ValidUntil: time.Now().Add(time.Hour), Uses: 1}
	}
	b := w.buyer(w.house(), "1000 sat/day")
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() { wantGood(t, b, s.URL+"/x") })
	}
	wg.Wait()
	if w.spent() != 10 {
		t.Errorf("%d payments for 10 requests", w.spent())
	}
}

// TestUsesRunOut shows that a spent token makes room for a new one.
func TestUsesRunOut(t *testing.T) {
	w := newWorld(t)
	s := w.shop()
	s.sells = func(*http.Request) l402.Terms {
		return l402.Terms{Service: "data", ValidUntil: time.Now().Add(time.Hour), Uses: 3}
	}
	b := w.buyer(w.house(), "1000 sat/day")
	for range 7 {
		wantGood(t, b, s.URL+"/x")
	}
	if w.spent() != 3 {
		t.Errorf("%d payments for 7 requests", w.spent())
	}
}

func TestOverBudget(t *testing.T) {
	w := newWorld(t)
	a, c := w.shop(), w.shop()
	b := w.buyer(w.house(), "15 sat/day") // one purchase with its greatest fee
	wantGood(t, b, a.URL)
	_, _, err := ask(t, b, "GET", c.URL, "")
	r := wantRefusal(t, err, CodeOverBudget)
	if r.RetryAfter <= 0 || strings.Contains(r.Detail, "sat") || !strings.Contains(err.Error(), "11 sat are spent") {
		t.Errorf("%+v: %v", r, err)
	}
	wantGood(t, b, a.URL) // what was bought goes on
	// The budget outlives the process.
	_, _, err = ask(t, w.buyer(w.house(), "15 sat/day"), "GET", c.URL, "")
	wantRefusal(t, err, CodeOverBudget)
	_, _, err = ask(t, w.buyer(w.house(), "10 sat/day"), "GET", w.shop().URL, "")
	if r := wantRefusal(t, err, CodeOverBudget); r.RetryAfter != 0 {
		t.Errorf("a price that never fits: %+v", r)
	}
	if w.spent() != 1 {
		t.Errorf("%d payments", w.spent())
	}
}

// TestBudgetOfInstances has two instances spend from one budget at the same time.
func TestBudgetOfInstances(t *testing.T) {
	w := newWorld(t)
	houses := []*House{w.house(), w.house()}
	var wg sync.WaitGroup
	for n := range 8 {
		s, b := w.shop(), w.buyer(houses[n%2], "34 sat/day") // three times 11 sat
		wg.Go(func() {
			if _, _, err := ask(t, b, "GET", s.URL, ""); err != nil {
				var r *Refusal
				if !errors.As(err, &r) || r.Code != CodeOverBudget {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if w.spent() != 3 {
		t.Errorf("%d payments", w.spent())
	}
}

// TestDishonestUpstreams pays none of them.
func TestDishonestUpstreams(t *testing.T) {
	other := wallettest.NewNode(t, wallets.Mainnet)
	for name, test := range map[string]struct {
		prepare func(*world, *shop)
		code    string
	}{
		"too dear":        {func(_ *world, s *shop) { s.terms.Amount = 100_001 }, CodeTooDear},
		"any amount":      {func(_ *world, s *shop) { s.terms.Amount = 0 }, CodeBadChallenge},
		"expired":         {func(_ *world, s *shop) { s.terms.Timestamp = time.Now().Add(-2 * time.Hour) }, CodeBadChallenge},
		"another payment": {func(w *world, s *shop) { s.alter = swapInvoice(w, price) }, CodeBadChallenge},
		"another network": {func(w *world, s *shop) {
			s.alter = func(c *l402.Challenge) {
				issued, err := other.Issue(wallettest.Terms{Amount: price, Expiry: time.Hour})
				if err != nil {
					w.t.Error(err)
				}
				*c = mint(w, s, issued)
			}
		}, CodeBadChallenge},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := w.shop()
			test.prepare(w, s)
			_, _, err := ask(t, w.buyer(w.house(), "1000 sat/day"), "GET", s.URL, "")
			wantRefusal(t, err, test.code)
			if w.spent() != 0 || w.begun != 0 {
				t.Errorf("%d payments", w.spent())
			}
		})
	}
}

func swapInvoice(w *world, amount lnwire.MilliSatoshi) func(*l402.Challenge) {
	return func(c *l402.Challenge) {
		issued, err := w.node.Issue(wallettest.Terms{Amount: amount, Expiry: time.Hour})
		if err != nil {
			w.t.Error(err)
		}
		c.Invoice = issued.Invoice
	}
}

func mint(w *world, s *shop, issued *wallettest.Issued) l402.Challenge {
	tokenID, err := l402.NewTokenID(l402.KeyID{2}, time.Now(), nil)
	if err != nil {
		w.t.Error(err)
	}
	mac, err := l402.Mint(&s.key, l402.Identifier{PaymentHash: issued.Hash, TokenID: tokenID}, s.sells(nil).Caveats())
	if err != nil {
		w.t.Error(err)
	}
	return l402.Challenge{Macaroon: mac, Invoice: issued.Invoice}
}

// TestTakesTheMoneyAndRefuses pays once, and leaves such an upstream alone for longer and longer.
func TestTakesTheMoneyAndRefuses(t *testing.T) {
	w := newWorld(t)
	s := w.shop()
	s.refuseAll = true
	b := w.buyer(w.house(), "1000 sat/day")
	now := time.Now()
	b.Now = func() time.Time { return now }
	_, _, err := ask(t, b, "GET", s.URL, "")
	if r := wantRefusal(t, err, CodeRefused); r.RetryAfter != refusedFirst || w.spent() != 1 {
		t.Fatalf("%+v, %d payments", r, w.spent())
	}
	for range 5 {
		_, _, err = ask(t, b, "GET", s.URL, "")
		wantRefusal(t, err, CodeRefused)
	}
	if w.spent() != 1 {
		t.Errorf("%d payments while it should be left alone", w.spent())
	}
	now = now.Add(refusedFirst)
	_, _, err = ask(t, b, "GET", s.URL, "")
	if r := wantRefusal(t, err, CodeRefused); r.RetryAfter != 2*refusedFirst || w.spent() != 2 {
		t.Errorf("%+v, %d payments", r, w.spent())
	}
	now = now.Add(2 * refusedFirst)
	s.mu.Lock()
	s.refuseAll = false
	s.mu.Unlock()
	wantGood(t, b, s.URL)
}

// TestPaymentFails spends nothing, and tries again after a pause.
func TestPaymentFails(t *testing.T) {
	w := newWorld(t)
	s := w.shop()
	b := w.buyer(w.house(), "15 sat/day")
	now := time.Now()
	b.Now = func() time.Time { return now }
	w.fails(wallets.ErrPaymentFailed)
	for range 3 {
		_, _, err := ask(t, b, "GET", s.URL, "")
		wantRefusal(t, err, CodePaymentFailed)
	}
	if w.begun != 1 {
		t.Errorf("%d tries without a pause", w.begun)
	}
	w.fails(nil)
	now = now.Add(failedFirst)
	wantGood(t, b, s.URL) // the budget was given back
}

// TestUnknownPayment takes the same invoice up again, in the next request and in the next process, and
// never pays another one for the same.
func TestUnknownPayment(t *testing.T) {
	w := newWorld(t)
	s := w.shop()
	b := w.buyer(w.house(), "15 sat/day")
	w.fails(wallets.ErrUnavailable)
	for range 3 {
		_, _, err := ask(t, b, "GET", s.URL, "")
		wantRefusal(t, err, CodePaymentUnknown)
	}
	other := w.buyer(w.house(), "15 sat/day")
	_, _, err := ask(t, other, "GET", s.URL, "")
	wantRefusal(t, err, CodePaymentUnknown)
	w.fails(nil)
	wantGood(t, other, s.URL)
	wantGood(t, b, s.URL)
	if w.spent() != 1 {
		t.Errorf("%d invoices were paid", w.spent())
	}
}

// TestProcessDies has the process end after the payment and before the token is stored.
func TestProcessDies(t *testing.T) {
	w := newWorld(t)
	s := w.shop()
	h := w.house()
	real := h.store.Ledger
	b := w.buyer(h, "15 sat/day")
	b.Events.Payment = func(string) { // the payment is made
		h.store.Ledger = func() *ledger.Ledger { return nil }
	}
	wantGood(t, b, s.URL) // from memory
	h.store.Ledger = real
	wantGood(t, w.buyer(w.house(), "15 sat/day"), s.URL)
	if w.spent() != 1 {
		t.Errorf("%d invoices were paid", w.spent())
	}
}

// TestClientLeaves shows that a purchase goes on when the request that began it ends.
func TestClientLeaves(t *testing.T) {
	w := newWorld(t)
	s := w.shop()
	b := w.buyer(w.house(), "1000 sat/day")
	hold := make(chan struct{})
	w.hold = hold
	ctx, leave := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { // ends with the request
		_, _, err := askWith(ctx, t, b, "GET", s.URL, nil)
		done <- err
	}()
	for {
		w.mu.Lock()
		begun := w.begun
		w.mu.Unlock()
		if begun > 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	leave()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	close(hold)
	wantGood(t, b, s.URL)
	if w.spent() != 1 {
		t.Errorf("%d payments", w.spent())
	}
}

// TestNoStorage pays nothing that cannot be written down.
func TestNoStorage(t *testing.T) {
	w := newWorld(t)
	s := w.shop()
	h := w.house()
	real := h.store.Ledger
	h.store.Ledger = func() *ledger.Ledger { return nil }
	b := w.buyer(h, "1000 sat/day")
	_, _, err := ask(t, b, "GET", s.URL, "")
	wantRefusal(t, err, CodeNoAccount)
	if w.begun != 0 {
		t.Error("it paid")
	}
	h.store.Ledger = real
	wantGood(t, b, s.URL)
}

func TestBodies(t *testing.T) {
	w := newWorld(t)
	s := w.shop()
	b := w.buyer(w.house(), "1000 sat/day")
	large := strings.Repeat("x", 1001)
	for name, body := range map[string]io.Reader{"known": strings.NewReader(large), "unknown": io.MultiReader(strings.NewReader(large))} {
		_, _, err := askWith(t.Context(), t, b, "POST", s.URL, body)
		if wantRefusal(t, err, CodeBodyTooLarge); w.begun != 0 {
			t.Errorf("%s: it paid", name)
		}
	}
	streamed := func(text string) (int, string, error) {
		return askWith(t.Context(), t, b, "POST", s.URL+"/s", io.MultiReader(strings.NewReader(text)))
	}
	if status, body, err := streamed("short"); err != nil || status != 200 || body != "POST /s short" {
		t.Fatalf("%d %q, %v", status, body, err)
	}
	if status, body, err := streamed(large); err != nil || status != 200 || body != "POST /s "+large {
		t.Errorf("with a token: %d, %d bytes, %v", status, len(body), err)
	}
	if status, body, err := ask(t, b, "POST", s.URL+"/s", large); err != nil || status != 200 || body != "POST /s "+large {
		t.Errorf("with a token: %d, %d bytes, %v", status, len(body), err)
	}
	// A free upstream gets bodies of any length.
	s.sells = func(*http.Request) l402.Terms { return l402.Terms{} }
	if status, body, err := ask(t, w.buyer(w.house()), "POST", s.URL+"/s", large); err != nil || status != 200 || body != "POST /s "+large {
		t.Errorf("free: %d, %d bytes, %v", status, len(body), err)
	}
}

// TestCredentialsStay shows that neither our clients' credentials nor our tokens go where they should
// not.
func TestCredentialsStay(t *testing.T) {
	w := newWorld(t)
	free, paid := w.shop(), w.shop()
	free.sells = func(*http.Request) l402.Terms { return l402.Terms{} }
	b := w.buyer(w.house(), "1000 sat/day")
	foreign := "L402 AAAA:" + strings.Repeat("00", 32)
	headers := []string{"Authorization", foreign, "Authorization", "lsat x:y", "Authorization", "Payment abc", "Authorization", "Bearer key",
		"Payment-Authorization", "p", "Cookie", "l402=AAAA:" + strings.Repeat("00", 32) + "; a=b"}
	wantGood(t, b, paid.URL)
	if _, _, err := ask(t, b, "GET", free.URL, "", headers...); err != nil {
		t.Fatal(err)
	}
	got := free.seen[0]
	if strings.Join(got["Authorization"], ",") != "Bearer key" || got.Get("Payment-Authorization") != "" || strings.Contains(got.Get("Cookie"), "l402") {
		t.Errorf("the upstream got %v", got)
	}
	// The same address under another name is another origin.
	if _, _, err := ask(t, b, "GET", paid.URL, "", "Host", "other.test"); err != nil {
		t.Fatal(err)
	}
	if got := paid.seen[2]; len(got["Authorization"]) != 0 {
		t.Errorf("the token went to another name: %v", got)
	}
	if w.spent() != 2 {
		t.Errorf("%d payments", w.spent())
	}
}

// TestOtherAnswers passes what is no challenge of L402, and stops what would send our clients to pay
// somebody else.
func TestOtherAnswers(t *testing.T) {
	w := newWorld(t)
	b := w.buyer(w.house(), "1000 sat/day")
	for header, code := range map[string]string{`Payment id="x", method="lightning"`: CodeUnpayable, "": "", "Basic": ""} {
		next := roundTripper(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 402, Header: http.Header{"Www-Authenticate": {header}}, Body: http.NoBody, Request: r}, nil
		})
		r, err := http.NewRequest("GET", "http://a.test/", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := b.RoundTrip(r, next)
		if code != "" {
			wantRefusal(t, err, code)
		} else if err != nil || resp.StatusCode != 402 {
			t.Errorf("%q: %v, %v", header, resp, err)
		}
	}
}

// TestRestlessUpstream ends with an upstream that names another product each time.
func TestRestlessUpstream(t *testing.T) {
	w := newWorld(t)
	s := w.shop()
	n := 0
	s.sells = func(*http.Request) l402.Terms {
		n++
		return l402.Terms{Service: fmt.Sprintf("s%d", n%3), ValidUntil: time.Now().Add(time.Hour)}
	}
	b := w.buyer(w.house(), "1000 sat/day")
	for range 20 {
		_, _, _ = ask(t, b, "GET", s.URL, "") // must end
	}
	if w.spent() > 20 {
		t.Errorf("%d payments for 20 requests", w.spent())
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestCodesHaveDetails(t *testing.T) {
	for _, code := range Codes() {
		if r := refuse(code, nil, 0); r.Detail == "" || r.Error() != code {
			t.Errorf("%+v", r)
		}
	}
}
