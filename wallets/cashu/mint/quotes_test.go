package mint_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/mint"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/minttest"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

func TestMintQuote(t *testing.T) {
	for name, opts := range map[string]minttest.Options{"full": {}, "bare quotes": {Bare: true}, "msat": {Unit: "msat"}} {
		t.Run(name, func(t *testing.T) {
			m := minttest.New(t, opts)
			c := newClient(t, m, nil)
			unit := opts.Unit
			if unit == "" {
				unit = "sat"
			}
			k := active(t, c, unit)
			q, err := c.RequestMint(t.Context(), 21, unit, "a thing")
			if err != nil || q.State != mint.QuoteUnpaid || q.Amount != 21 || q.Unit != unit || q.Expiry.Before(time.Now()) {
				t.Fatalf("got %+v, %v", q, err)
			}
			outputs := newWallet(t).outputs(t, k.ID, 1, 4, 16)
			if _, err := c.Mint(t.Context(), q.ID, outputs); !errors.Is(err, mint.ErrNotPaid) {
				t.Errorf("unpaid: %v", err)
			}
			m.Pay(t, q.Request)
			if q, err := c.LookupMint(t.Context(), q.ID, 21, unit); err != nil || q.State != mint.QuotePaid {
				t.Errorf("got %+v, %v", q, err)
			}
			out, err := c.Mint(t.Context(), q.ID, outputs)
			if sum, _ := token.Sum(out); err != nil || sum != 21 || m.Outstanding() != 21 {
				t.Errorf("got %d, %v", sum, err)
			}
			if _, err := c.Mint(t.Context(), q.ID, newWallet2(t).outputs(t, k.ID, 1, 4, 16)); !errors.Is(err, mint.ErrIssued) {
				t.Errorf("twice: %v", err)
			}
			if q, err := c.LookupMint(t.Context(), q.ID, 21, unit); err != nil || q.State != mint.QuoteIssued {
				t.Errorf("got %+v, %v", q, err)
			}
		})
	}
}

func TestMintQuoteRefuses(t *testing.T) {
	m := minttest.New(t, minttest.Options{})
	c := newClient(t, m, nil)
	if _, err := c.RequestMint(t.Context(), 1, "usd", ""); !errors.Is(err, mint.ErrUnit) {
		t.Errorf("dollars: %v", err)
	}
	if _, err := c.RequestMint(t.Context(), 1<<63, "sat", ""); !errors.Is(err, token.ErrAmount) {
		t.Errorf("too much: %v", err)
	}
	invoice := m.Invoice(t, 21)
	other := m.Invoice(t, 20)
	for name, page := range map[string]string{
		"invoice over another amount": `{"quote":"q","request":"` + other + `","state":"UNPAID"}`,
		"quote over another amount":   `{"quote":"q","request":"` + invoice + `","state":"UNPAID","amount":22}`,
		"quote of another unit":       `{"quote":"q","request":"` + invoice + `","state":"UNPAID","unit":"usd"}`,
		"unknown state":               `{"quote":"q","request":"` + invoice + `","state":"MAYBE"}`,
		"no state":                    `{"quote":"q","request":"` + invoice + `"}`,
		"no id":                       `{"request":"` + invoice + `","state":"UNPAID"}`,
		"id that leaves the path":     `{"quote":"../../x","request":"` + invoice + `","state":"UNPAID"}`,
		"id of dots":                  `{"quote":"..","request":"` + invoice + `","state":"UNPAID"}`,
		"id with a question":          `{"quote":"q?x","request":"` + invoice + `","state":"UNPAID"}`,
		"long id":                     `{"quote":"` + strings.Repeat("q", 300) + `","request":"` + invoice + `","state":"UNPAID"}`,
		"negative amount":             `{"quote":"q","request":"` + invoice + `","state":"UNPAID","amount":-21}`,
	} {
		if q, err := answers(t, map[string]string{"/v1/mint/quote/bolt11": page}).RequestMint(t.Context(), 21, "sat", ""); !errors.Is(err, wallets.ErrBadAnswer) {
			t.Errorf("%s: got %+v, %v", name, q, err)
		}
	}
	if q, err := answers(t, map[string]string{"/v1/mint/quote/bolt11": `{"quote":"q","request":"lnbc1x","state":"UNPAID"}`}).RequestMint(t.Context(), 21, "sat", ""); !errors.Is(err, wallets.ErrBadInvoice) {
		t.Errorf("no invoice: got %+v, %v", q, err)
	}
	for page, want := range map[string]mint.QuoteState{
		`{"quote":"q","request":"` + invoice + `","paid":false,"expiry":null}`: mint.QuoteUnpaid,
		`{"quote":"q","request":"` + invoice + `","paid":true,"expiry":1e300}`: mint.QuotePaid,
	} {
		q, err := answers(t, map[string]string{"/v1/mint/quote/bolt11": page}).RequestMint(t.Context(), 21, "sat", "")
		if err != nil || q.State != want || !q.Expiry.IsZero() {
			t.Errorf("mint of old: got %+v, %v", q, err)
		}
	}
	if _, err := answers(t, map[string]string{"/v1/mint/quote/bolt11/q": `{"quote":"r","state":"PAID"}`}).LookupMint(t.Context(), "q", 21, "sat"); !errors.Is(err, mint.ErrCheated) {
		t.Errorf("another quote: %v", err)
	}
	if _, err := c.LookupMint(t.Context(), "../x", 21, "sat"); !errors.Is(err, mint.ErrCheated) {
		t.Errorf("id that leaves the path: %v", err)
	}
}

func TestMelt(t *testing.T) {
	m := minttest.New(t, minttest.Options{FeePPK: 100, FeeReserve: 10, LightningFee: 3})
	c := newClient(t, m, nil)
	k := active(t, c, "sat")
	q, err := c.RequestMelt(t.Context(), m.Invoice(t, 100), "sat")
	if err != nil || q.Amount != 100 || q.FeeReserve != 10 || q.State != mint.QuoteUnpaid {
		t.Fatalf("got %+v, %v", q, err)
	}
	in := m.Issue(t, nil, 64, 32, 8, 4, 2, 1)
	blanks := newWallet(t).outputs(t, k.ID, 0, 0, 0, 0)
	if _, err := c.Melt(t.Context(), q, in[:2], nil); !errors.Is(err, mint.ErrRefused) {
		t.Errorf("too little: %v", err)
	}
	r, err := c.Melt(t.Context(), q, in, blanks)
	if err != nil || r.State != mint.QuotePaid || r.Preimage == nil {
		t.Fatalf("got %+v, %v", r, err)
	}
	if change, _ := token.Sum(r.Change); change != 111-1-100-3 || m.Outstanding() != change {
		t.Errorf("change %d, mint owes %d", change, m.Outstanding())
	}
	again, err := c.LookupMelt(t.Context(), q, blanks)
	if err != nil || again.State != mint.QuotePaid || len(again.Change) != len(r.Change) {
		t.Errorf("got %+v, %v", again, err)
	}
	if _, err := c.Melt(t.Context(), q, in, blanks); !errors.Is(err, mint.ErrPaid) {
		t.Errorf("twice: %v", err)
	}
}

func TestMeltFailsAndStalls(t *testing.T) {
	m := minttest.New(t, minttest.Options{FeeReserve: 2})
	c := newClient(t, m, nil)
	k := active(t, c, "sat")
	q, err := c.RequestMelt(t.Context(), m.Invoice(t, 6), "sat")
	if err != nil {
		t.Fatal(err)
	}
	in := m.Issue(t, nil, 8)
	m.SetPayment(minttest.Fail)
	if _, err := c.Melt(t.Context(), q, in, nil); !errors.Is(err, mint.ErrPaymentFailed) {
		t.Errorf("got %v", err)
	}
	m.SetPayment(minttest.Stall)
	blanks := newWallet(t).outputs(t, k.ID, 0)
	if r, err := c.Melt(t.Context(), q, in, blanks); err != nil || r.State != mint.QuotePending || r.Change != nil {
		t.Errorf("got %+v, %v", r, err)
	}
	if states, err := c.CheckState(t.Context(), in); err != nil || states[0] != mint.StatePending {
		t.Errorf("got %v, %v", states, err)
	}
	m.Settle(t, true)
	if r, err := c.LookupMelt(t.Context(), q, blanks); err != nil || r.State != mint.QuotePaid || len(r.Change) != 1 || r.Change[0].Amount != 2 {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestMeltRefuses(t *testing.T) {
	m := minttest.New(t, minttest.Options{})
	invoice := m.Invoice(t, 100)
	good := `"quote":"q","state":"UNPAID","fee_reserve":1`
	for name, page := range map[string]string{
		"more than the invoice": `{` + good + `,"amount":101}`,
		"less than the invoice": `{` + good + `,"amount":99}`,
		"no amount":             `{` + good + `}`,
		"another unit":          `{` + good + `,"amount":100,"unit":"usd"}`,
		"negative fee":          `{"quote":"q","state":"UNPAID","fee_reserve":-1,"amount":100}`,
	} {
		if q, err := answers(t, map[string]string{"/v1/melt/quote/bolt11": page}).RequestMelt(t.Context(), invoice, "sat"); !errors.Is(err, wallets.ErrBadAnswer) {
			t.Errorf("%s: got %+v, %v", name, q, err)
		}
	}
	c := newClient(t, m, nil)
	if _, err := c.RequestMelt(t.Context(), "lnbc1", "sat"); !errors.Is(err, wallets.ErrBadInvoice) {
		t.Errorf("no invoice: %v", err)
	}
	if _, err := c.RequestMelt(t.Context(), m.Invoice(t, 0), "sat"); !errors.Is(err, wallets.ErrBadInvoice) {
		t.Errorf("no amount: %v", err)
	}
	if _, err := c.RequestMelt(t.Context(), invoice, "usd"); !errors.Is(err, mint.ErrUnit) {
		t.Errorf("dollars: %v", err)
	}
}

// A mint that answers with a preimage that is not the invoice's has proved nothing, but what change
// it gives is kept.
func TestFalsePreimage(t *testing.T) {
	m := minttest.New(t, minttest.Options{})
	for _, preimage := range []string{"", "zz", strings.Repeat("00", 32), strings.Repeat("ab", 32)} {
		page := fmt.Sprintf(`{"quote":"q","state":"PAID","amount":100,"fee_reserve":1,"payment_preimage":%q}`, preimage)
		c := answers(t, map[string]string{"/v1/melt/quote/bolt11": page, "/v1/melt/bolt11": page})
		q, err := c.RequestMelt(t.Context(), m.Invoice(t, 100), "sat")
		if err != nil {
			t.Fatal(err)
		}
		if r, err := c.Melt(t.Context(), q, nil, nil); err != nil || r.State != mint.QuotePaid || r.Preimage != nil {
			t.Errorf("%q: got %+v, %v", preimage, r, err)
		}
	}
}
