package lnurl

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/httpjson"
	"github.com/caddy-l402/caddy-l402/wallets/lnurl/lnurltest"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

func newServer(t testing.TB, o lnurltest.Options) *lnurltest.Server {
	t.Helper()
	return lnurltest.New(t, wallets.Regtest, o)
}

// callback gives the calls of the callback so far, and how many calls were no callbacks.
func callback(s *lnurltest.Server) (calls []lnurltest.Call, others int) {
	for _, c := range s.Calls() {
		if strings.HasPrefix(c.Path, "/callback/") {
			calls = append(calls, c)
		} else {
			others++
		}
	}
	return calls, others
}

func TestOneRoundTrip(t *testing.T) {
	server := newServer(t, lnurltest.Options{})
	w := open(t, newEnv(t), server, nil)
	var ahead atomic.Int64
	w.now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := invoice(w, usual); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if made, asked := callback(server); len(made) != 20 || asked != 1 {
		t.Errorf("20 invoices at once cost %d and %d calls", len(made), asked)
	}
	ahead.Store(int64(requestLife - time.Second))
	mustInvoice(t, w)
	if made, asked := callback(server); len(made) != 21 || asked != 1 {
		t.Errorf("within a minute: %d and %d calls", len(made), asked)
	}
	ahead.Store(int64(requestLife + time.Second))
	mustInvoice(t, w)
	if made, asked := callback(server); len(made) != 22 || asked != 2 {
		t.Errorf("after a minute: %d and %d calls", len(made), asked)
	}
}

func TestCallbackIsKept(t *testing.T) {
	server := newServer(t, lnurltest.Options{Query: "k1=a%2Fb&x=%20&flag", Comment: 8})
	w := open(t, newEnv(t), server, func(p *Payee) { p.Comment = "héllo wörld &amount=1" })
	mustInvoice(t, w)
	calls, _ := callback(server)
	q := calls[0].Query
	if calls[0].Path != "/callback/of/shop" || q.Get("k1") != "a/b" || q.Get("x") != " " || !q.Has("flag") {
		t.Errorf("callback was called as %+v", calls[0])
	}
	if q["amount"][0] != "21000" || len(q["amount"]) != 1 {
		t.Errorf("amount %q", q["amount"])
	}
	if q.Get("comment") != "héllo wö" {
		t.Errorf("comment %q", q.Get("comment"))
	}
}

func TestComment(t *testing.T) {
	for name, c := range map[string]struct {
		setting string
		allowed any
		want    string
	}{
		"not set":      {"", 100, ""},
		"not allowed":  {"hello", 0, ""},
		"no number":    {"hello", true, ""},
		"text":         {"hello", "100", ""},
		"negative":     {"hello", -5, ""},
		"fits":         {"hello", 5, "hello"},
		"cut":          {"hello", 4, "hell"},
		"wide letters": {"☕☕☕", 2, "☕☕"},
		"huge":         {"hello", 1e300, "hello"},
		"not there":    {"hello", nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			server := newServer(t, lnurltest.Options{})
			server.Change(func(_ string, a map[string]any) {
				if a["callback"] != nil {
					a["commentAllowed"] = c.allowed
				}
			})
			w := open(t, newEnv(t), server, func(p *Payee) { p.Comment = c.setting })
			mustInvoice(t, w)
			calls, _ := callback(server)
			if got := calls[0].Query.Get("comment"); got != c.want || calls[0].Query.Has("comment") != (c.want != "") {
				t.Errorf("sent %q, want %q", got, c.want)
			}
		})
	}
}

func TestAmountLimits(t *testing.T) {
	server := newServer(t, lnurltest.Options{Min: 1500, Max: 2_000_000})
	w := open(t, newEnv(t), server, nil)
	for _, amount := range []lnwire.MilliSatoshi{1, 1499, 2_000_001, 0, 1 << 63, 1<<64 - 1} {
		_, err := invoice(w, amount)
		wantErr(t, err, wallets.ErrAmount, "takes from 1.500 sat to 2000 sat")
	}
	if made, _ := callback(server); len(made) > 0 {
		t.Error("an amount out of bounds reached the callback")
	}
	for _, amount := range []lnwire.MilliSatoshi{1500, 1501, 2_000_000} {
		if _, err := invoice(w, amount); err != nil {
			t.Errorf("%d msat: %v", uint64(amount), err)
		}
	}
}

func TestMetadataChanges(t *testing.T) {
	server := newServer(t, lnurltest.Options{})
	w := open(t, newEnv(t), server, nil)
	mustInvoice(t, w)
	server.SetMetadata(`["text/plain","new words"]`)
	mustInvoice(t, w)
	if _, asked := callback(server); asked != 2 {
		t.Errorf("the pay request was asked for %d times", asked)
	}
}

func TestWrongInvoices(t *testing.T) {
	node := wallettest.NewNode(t, wallets.Regtest)
	var other [32]byte
	issue := func(change func(*wallettest.Terms)) string {
		terms := wallettest.Terms{Amount: usual, DescriptionHash: &other}
		change(&terms)
		issued, err := node.Issue(terms)
		if err != nil {
			t.Fatal(err)
		}
		return issued.Invoice
	}
	for name, c := range map[string]struct {
		pr   any
		kind error
		says string
	}{
		"another description": {issue(func(*wallettest.Terms) {}), wallets.ErrBadInvoice, "description hash"},
		"a memo":              {issue(func(t *wallettest.Terms) { t.DescriptionHash, t.Memo = nil, "memo" }), wallets.ErrBadInvoice, "description hash"},
		"another amount":      {issue(func(t *wallettest.Terms) { t.Amount++ }), wallets.ErrBadInvoice, "21001 msat, not 21000 msat"},
		"no amount":           {issue(func(t *wallettest.Terms) { t.Amount = 0 }), wallets.ErrBadInvoice, "0 msat"},
		"another network": {issue(func(t *wallettest.Terms) { t.Fault.Kind = wallettest.WrongNetwork }),
			wallets.ErrBadInvoice, "testnet, not for regtest"},
		"BOLT 12":    {issue(func(t *wallettest.Terms) { t.Bolt12 = true }), wallets.ErrBadInvoice, "BOLT 12"},
		"no invoice": {"lnbcrt1", wallets.ErrBadInvoice, "decoding"},
		"empty":      {"", wallets.ErrBadInvoice, "decoding"},
		"null":       {nil, wallets.ErrBadInvoice, "decoding"},
		"a number":   {17, wallets.ErrBadAnswer, "JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			server := newServer(t, lnurltest.Options{})
			server.Change(func(_ string, a map[string]any) {
				if a["pr"] != nil {
					a["pr"] = c.pr
				}
			})
			w := open(t, newEnv(t), server, nil)
			_, err := invoice(w, usual)
			wantErr(t, err, c.kind, c.says)
			server.Change(nil)
			mustInvoice(t, w)
		})
	}
	t.Run("right description but expired", func(t *testing.T) {
		server := newServer(t, lnurltest.Options{})
		w := open(t, newEnv(t), server, nil)
		w.now = func() time.Time { return time.Now().Add(2 * time.Hour) }
		_, err := w.CreateInvoice(t.Context(), wallets.InvoiceRequest{Amount: usual, Expiry: time.Minute})
		wantErr(t, err, wallets.ErrBadInvoice, "expired")
	})
}

func TestPayRequestsThatAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(map[string]any)
		says   string
	}{
		"no tag":          {func(a map[string]any) { delete(a, "tag") }, "tag"},
		"withdraw":        {func(a map[string]any) { a["tag"] = "withdrawRequest" }, "tag"},
		"no callback":     {func(a map[string]any) { delete(a, "callback") }, "callback"},
		"no metadata":     {func(a map[string]any) { a["metadata"] = "" }, "metadata"},
		"metadata list":   {func(a map[string]any) { a["metadata"] = []string{"x"} }, "JSON"},
		"no minimum":      {func(a map[string]any) { delete(a, "minSendable") }, "limits"},
		"crossed limits":  {func(a map[string]any) { a["minSendable"], a["maxSendable"] = 2, 1 }, "limits"},
		"negative":        {func(a map[string]any) { a["minSendable"] = -1 }, "whole number"},
		"a fraction":      {func(a map[string]any) { a["minSendable"] = 1.5 }, "whole number"},
		"text as number":  {func(a map[string]any) { a["minSendable"] = "1" }, "whole number"},
		"beyond all bits": {func(a map[string]any) { a["maxSendable"] = 1e30 }, "whole number"},
	} {
		t.Run(name, func(t *testing.T) {
			server := newServer(t, lnurltest.Options{})
			server.Change(func(_ string, a map[string]any) { c.change(a) })
			w := open(t, newEnv(t), server, nil)
			_, err := invoice(w, usual)
			wantErr(t, err, wallets.ErrBadAnswer, c.says)
			wantErr(t, w.Ping(t.Context()), wallets.ErrBadAnswer, c.says)
		})
	}
	server := newServer(t, lnurltest.Options{})
	server.Change(func(_ string, a map[string]any) {
		if a["minSendable"] != nil {
			a["minSendable"], a["maxSendable"] = 1e3, 1e11
		}
	})
	mustInvoice(t, open(t, newEnv(t), server, nil))
}

func TestServerRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		reason any
		kind   error
		says   string
	}{
		"plainly":         {0, "we are closed", wallets.ErrUnavailable, "refuses: we are closed"},
		"with 400":        {400, "bad amount", wallets.ErrUnavailable, "bad amount"},
		"with 401":        {401, "go away", wallets.ErrUnauthorized, "go away"},
		"with 429":        {429, "slow down", wallets.ErrRateLimited, "slow down"},
		"with 500":        {500, "broken", wallets.ErrUnavailable, "broken"},
		"without reason":  {0, nil, wallets.ErrUnavailable, "no reason given"},
		"odd reason":      {0, []int{1}, wallets.ErrUnavailable, "no reason given"},
		"control letters": {0, "a\x1b[31mb\nc", wallets.ErrUnavailable, "a [31mb c"},
		"a key":           {0, "your key is " + strings.Repeat("0a", 32), wallets.ErrUnavailable, "your key is …"},
	} {
		t.Run(name, func(t *testing.T) {
			server := newServer(t, lnurltest.Options{})
			server.Change(func(_ string, a map[string]any) {
				clear(a)
				a["status"], a["reason"] = "Error", c.reason
				if c.status > 0 {
					a["http"] = c.status
				}
			})
			_, err := invoice(open(t, newEnv(t), server, nil), usual)
			wantErr(t, err, c.kind, c.says)
		})
	}
	t.Run("at length", func(t *testing.T) {
		server := newServer(t, lnurltest.Options{})
		server.Change(func(_ string, a map[string]any) {
			clear(a)
			a["status"], a["reason"] = "ERROR", strings.Repeat("no ", 10_000)
		})
		if _, err := invoice(open(t, newEnv(t), server, nil), usual); err == nil || len(err.Error()) > 500 {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
	})
	t.Run("no such payee", func(t *testing.T) {
		server := newServer(t, lnurltest.Options{})
		w := open(t, newEnv(t), server, func(p *Payee) { p.Address = server.URL("nobody") })
		_, err := invoice(w, usual)
		wantErr(t, err, wallets.ErrUnavailable, "no such user")
	})
	t.Run("gone without words", func(t *testing.T) {
		server := newServer(t, lnurltest.Options{})
		server.Change(func(_ string, a map[string]any) { clear(a); a["http"] = http.StatusNotFound })
		_, err := invoice(open(t, newEnv(t), server, nil), usual)
		wantErr(t, err, wallets.ErrBadAnswer, "knows no such payee")
	})
}

// TestCallbackMoves has the callback that was remembered be gone.
func TestCallbackMoves(t *testing.T) {
	server := newServer(t, lnurltest.Options{})
	w := open(t, newEnv(t), server, nil)
	mustInvoice(t, w)
	var failed atomic.Bool
	server.Change(func(_ string, a map[string]any) {
		if a["pr"] != nil && failed.CompareAndSwap(false, true) {
			clear(a)
			a["http"] = http.StatusNotFound
		}
	})
	mustInvoice(t, w)
	if made, asked := callback(server); len(made) != 3 || asked != 2 {
		t.Errorf("%d and %d calls", len(made), asked)
	}
}

// TestWaitingForTheOneWhoAsks has a second caller give up while the first still asks.
func TestWaitingForTheOneWhoAsks(t *testing.T) {
	server := newServer(t, lnurltest.Options{})
	w := open(t, newEnv(t), server, nil)
	server.Inflict(wallettest.Fault{Kind: wallettest.Hang})
	first, cancelFirst := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { // ends with cancelFirst
		_, err := w.CreateInvoice(first, wallets.InvoiceRequest{Amount: usual, Expiry: time.Minute})
		done <- err
	}()
	for len(server.Calls()) == 0 {
		time.Sleep(time.Millisecond)
	}
	second, cancelSecond := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancelSecond()
	_, err := w.CreateInvoice(second, wallets.InvoiceRequest{Amount: usual, Expiry: time.Minute})
	wantErr(t, err, context.DeadlineExceeded, "")
	server.Inflict(wallettest.Fault{Kind: wallettest.None})
	cancelFirst()
	if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	mustInvoice(t, w)
}

func FuzzAnswers(f *testing.F) {
	for _, seed := range []string{
		`{"tag":"payRequest","callback":"https://x.example/","minSendable":1,"maxSendable":1e3,"metadata":"[]"}`,
		`{"status":"OK","pr":"lnbcrt1","verify":"https://x.example/v"}`, `{"status":"ERROR","reason":"Not found"}`,
		`{"status":"OK","settled":true,"preimage":"00","pr":"lnbc"}`, `null`, `[]`, `{"status":17}`, `{"verify":{}}`,
	} {
		f.Add(seed)
	}
	w, err := newWallet(newEnv(f), &settings{target: &target{name: "x"}, network: wallets.Regtest})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body string) {
		answer := &httpjson.Answer{Status: 200, Body: []byte(body)}
		var request payRequestAnswer
		if readAnswer(answer, nil, &request) == nil {
			r, err := request.check(rules{})
			if err == nil && (r.min < 1 || r.max < r.min || !strings.HasPrefix(r.callback, "https://")) {
				t.Errorf("%q became %+v", body, r)
			}
		}
		var made invoiceAnswer
		if readAnswer(answer, nil, &made) == nil {
			if v := w.verifyAddress(&made); v != "" && !strings.HasPrefix(v, "https://") {
				t.Errorf("%q has the verify address %q", body, v)
			}
		}
		var verified verifyAnswer
		if readAnswer(answer, nil, &verified) == nil {
			st, err := w.status([32]byte{1}, nil, &verified)
			if err == nil {
				t.Errorf("%q was taken for an invoice's state %v", body, st)
			}
		}
	})
}
