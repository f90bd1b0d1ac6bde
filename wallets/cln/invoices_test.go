package cln

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cln/clntest"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

func TestEncode(t *testing.T) {
	for _, in := range []string{
		"plain", `quote " and \ backslash`, `\u2028 as text`, `\\u2028`, "<a>&amp;", "a\u2028b\u2029", "\\\u2028",
		"tab\tline\r\nfeed\fback\b", "東京 ☕ \U0001F9FE", "del\x7f",
	} {
		b, err := encode(map[string]string{"k": in})
		if err != nil {
			t.Fatal(err)
		}
		var out map[string]string
		if err := json.Unmarshal(b, &out); err != nil || out["k"] != in {
			t.Errorf("%q became %s (%v)", in, b, err)
		}
		if text := strings.ReplaceAll(string(b), `\\`, ""); strings.Contains(text, `\u`) {
			t.Errorf("%q became %s, with an escape that CLN refuses", in, b)
		}
	}
}

func FuzzEncode(f *testing.F) {
	f.Add("a\u2028\\u2028\x01")
	f.Fuzz(func(t *testing.T, in string) {
		in = strings.ToValidUTF8(printable(in), "?")
		b, err := encode(map[string]string{"k": in})
		if err != nil {
			t.Fatal(err)
		}
		var out map[string]string
		if err := json.Unmarshal(b, &out); err != nil || out["k"] != in {
			t.Errorf("%q became %s (%v)", in, b, err)
		}
		if text := strings.ReplaceAll(string(b), `\\`, ""); strings.Contains(text, `\u`) {
			t.Errorf("%q became %s", in, b)
		}
	})
}

func TestHardMemos(t *testing.T) {
	both(t, func(t *testing.T, _ *clntest.Node, c *Client) {
		for memo, want := range map[string]string{
			"a\u2028b\u2029c": "a\u2028b\u2029c",
			"<a>&'\"\\":       "<a>&'\"\\",
			"a\x00b\x1bc":     "a b c",
			"del\x7f":         "del\x7f",
		} {
			req := usual
			req.Memo = memo
			inv, err := c.CreateInvoice(t.Context(), req)
			if err != nil {
				t.Errorf("memo %q: %v", memo, err)
				continue
			}
			if d, err := wallets.DecodeInvoice(inv.PaymentRequest); err != nil || d.Memo != want {
				t.Errorf("memo %q became %q (%v)", memo, d.Memo, err)
			}
		}
	})
}

func TestRequestsRefusedBeforehand(t *testing.T) {
	node := clntest.New(t, wallets.Regtest)
	c := openSocket(t, wallettest.NewEnv(t), node)
	for name, tt := range map[string]struct {
		change func(*wallets.InvoiceRequest)
		want   error
	}{
		"no amount":     {func(r *wallets.InvoiceRequest) { r.Amount = 0 }, wallets.ErrAmount},
		"too much":      {func(r *wallets.InvoiceRequest) { r.Amount = maxAmount + 1 }, wallets.ErrAmount},
		"no expiry":     {func(r *wallets.InvoiceRequest) { r.Expiry = 0 }, nil},
		"short expiry":  {func(r *wallets.InvoiceRequest) { r.Expiry = time.Second - 1 }, nil},
		"long expiry":   {func(r *wallets.InvoiceRequest) { r.Expiry = maxExpiry + 1 }, nil},
		"long memo":     {func(r *wallets.InvoiceRequest) { r.Memo = strings.Repeat("x", wallets.MaxMemo+1) }, nil},
		"memo no UTF-8": {func(r *wallets.InvoiceRequest) { r.Memo = "\xff" }, nil},
	} {
		req := usual
		tt.change(&req)
		_, err := c.CreateInvoice(t.Context(), req)
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if n := len(node.Calls()); n != 0 {
		t.Errorf("%d calls were made", n)
	}
}

func TestParametersAsDocumented(t *testing.T) {
	both(t, func(t *testing.T, node *clntest.Node, c *Client) {
		if _, err := c.CreateInvoice(t.Context(), usual); err != nil {
			t.Fatal(err)
		}
		p := node.Calls()[0].Params
		if string(p["amount_msat"]) != "10000" || string(p["expiry"]) != "600" || string(p["description"]) != `"test"` ||
			!strings.HasPrefix(string(p["label"]), `"l402-`) || len(p) != 4 {
			t.Errorf("sent %s", p)
		}
	})
}

func TestLookupOfLies(t *testing.T) {
	hash := lntypes.Hash{1}
	entry := func(fields string) string {
		return `{"invoices":[{"payment_hash":"` + hash.String() + `",` + fields + `}]}`
	}
	for name, tt := range map[string]struct {
		result string
		want   error
	}{
		"no list":         {`{}`, wallets.ErrBadAnswer},
		"null":            {`{"invoices":null}`, wallets.ErrBadAnswer},
		"list only":       {`[]`, wallets.ErrBadAnswer},
		"text":            {`"none"`, wallets.ErrBadAnswer},
		"empty list":      {`{"invoices":[]}`, wallets.ErrNotFound},
		"another":         {`{"invoices":[{"payment_hash":"` + lntypes.Hash{2}.String() + `","status":"paid"}]}`, wallets.ErrBadAnswer},
		"no hash":         {`{"invoices":[{"status":"paid"}]}`, wallets.ErrBadAnswer},
		"two":             {`{"invoices":[{},{}]}`, wallets.ErrBadAnswer},
		"unknown status":  {entry(`"status":"settled"`), wallets.ErrBadAnswer},
		"no status":       {entry(`"bolt11":"x"`), wallets.ErrBadAnswer},
		"negative amount": {entry(`"status":"paid","amount_received_msat":-1`), wallets.ErrBadAnswer},
		"amount in words": {entry(`"status":"paid","amount_received_msat":"ten"`), wallets.ErrBadAnswer},
		"fractions":       {entry(`"status":"paid","amount_received_msat":1.5`), wallets.ErrBadAnswer},
	} {
		c := newClient(&fixed{result: tt.result}, "double", wallettest.NewEnv(t).Logger, Options{})
		if st, err := c.LookupInvoice(t.Context(), hash); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, %v", name, st, err)
		}
	}
}

// TestForeignPreimage keeps a preimage back that is not the invoice's.
func TestForeignPreimage(t *testing.T) {
	right := lntypes.Preimage{7}
	for preimage, keep := range map[string]bool{right.String(): true, (lntypes.Preimage{8}).String(): false, "": false, "zz": false} {
		c := newClient(&fixed{result: `{"invoices":[{"payment_hash":"` + right.Hash().String() +
			`","status":"paid","amount_received_msat":"1001msat","paid_at":1700000000,"pay_index":3,"payment_preimage":"` + preimage + `"}]}`},
			"double", wallettest.NewEnv(t).Logger, Options{})
		st, err := c.LookupInvoice(t.Context(), right.Hash())
		if err != nil {
			t.Fatal(err)
		}
		if (st.Preimage != nil) != keep || st.AmountPaid != 1001 || st.State != wallets.StateSettled || st.SettledAt.Unix() != 1700000000 {
			t.Errorf("preimage %q: got %+v", preimage, st)
		}
	}
}

func TestWarnings(t *testing.T) {
	node := clntest.New(t, wallets.Regtest)
	env := wallettest.NewEnv(t)
	c := openSocket(t, env, node)
	now := time.Now()
	c.now = func() time.Time { return now }
	node.Warn("warning_capacity")
	for range 5 {
		settle(t, node, c)
	}
	if n := strings.Count(env.Log(), "may not be payable"); n != 1 {
		t.Errorf("%d warnings of 5 invoices in one minute", n)
	}
	for field, want := range map[string]string{
		"warning_offline": "offline", "warning_deadends": "dead ends", "warning_private_unused": "set private",
	} {
		now = now.Add(time.Minute)
		node.Warn(field)
		settle(t, node, c)
		if !strings.Contains(env.Log(), want) {
			t.Errorf("%s is not told", field)
		}
	}
}
