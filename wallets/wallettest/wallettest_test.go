package wallettest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// TestSound runs the suite against a wallet that keeps all rules.
func TestSound(t *testing.T) { Run(t, toyHarness("")) }

// TestCatches runs single checks against wallets with one bug each.
func TestCatches(t *testing.T) {
	for _, c := range []struct {
		bug   bug
		check string
		says  string
	}{
		{"wrong amount", "create", "amount"},
		{"wrong hash", "create", "payment hash"},
		{"short expiry", "create", "expiry"},
		{"forgets the memo", "create", "memo"},
		{"forgets the memo", "memos", "memo"},
		{"rounds amounts up", "amounts", "amount"},
		{"duplicate hash", "unique hashes", "twice"},
		{"panics", "create", "panicked"},
		{"stores under a bad name", "create", "../key"},
		{"needs storage for ever", "storage errors", "not work again"},
		{"leaks goroutines", "create", "goroutines outlive"},

		{"tells preimages early", "lookup", "preimage"},
		{"settled at once", "lookup", "not pending"},
		{"takes errors for unknown hashes", "server error", "no such invoice"},
		{"takes errors for unknown hashes", "disconnect", "no such invoice"},
		{"lookup succeeds on errors", "lookup of an unknown hash", "ErrNotFound"},
		{"lookup succeeds on errors", "server error", "succeeded"},
		{"lookup succeeds on errors", "disconnect", "succeeded"},

		{"ignores its context", "hanging peer", "did not return soon"},
		{"ignores its context", "canceled context", "context.Canceled"},
		{"hides why it failed", "canceled context", "context.Canceled"},
		{"hides why it failed", "credential refused", "credential"},
		{"reads without end", "huge answer", "MiB for an endless answer"},
		{"does not reconnect", "disconnect", "not work again"},
		{"does not reconnect", "server error", "not work again"},
		{"takes garbage", "garbage", "succeeded"},
		{"leaks a secret in errors", "server error", "an error holds a secret"},
		{"leaks a secret in hex", "server error", "an error holds a secret"},
		{"leaks a secret in its log", "credential refused", "the log holds a secret"},

		{"ignores the cursor", "subscription", "after a pause"},
		{"loses settlements", "subscription", "after a lost connection"},
		{"subscription ends with the connection", "subscription", "ended by itself"},
		{"subscription ignores its context", "subscription alone", "does not end"},
		{"tells out of order", "subscription", "in order"},
		{"tells at the same time", "subscription", "earlier call"},

		{"always says that all is well", "credential refused", "Ping succeeded"},
		{"tells its credential", "permissions", "an error holds a secret"},
		{"holds another hash", "hold invoices", "hash"},
		{"makes preimages up", "outgoing payments", "preimage"},
	} {
		t.Run(string(c.bug)+"/"+c.check, func(t *testing.T) {
			h := toyHarness(c.bug)
			h.Prompt, h.Patience = 500*time.Millisecond, 1200*time.Millisecond
			if c.bug == "reads without end" {
				// Reading takes as long as the machine takes.
				h.Prompt, h.Patience = 10*time.Second, 10*time.Second
			}
			failures := record(t, h, c.check)
			if !says(failures, c.says) {
				t.Errorf("failures %q, want one that says %q", failures, c.says)
			}
			if says(failures, peerKey) {
				t.Error("the suite itself tells the secret")
			}
		})
	}
}

// TestLies demands that the suite sees through each lie of the peer on its own.
func TestLies(t *testing.T) {
	for _, kind := range []Ability{WrongAmount, WrongHash, WrongNetwork} {
		h := toyHarness("")
		open := h.Open
		h.Open = func(t testing.TB, env *Env) *Subject {
			s := open(t, env)
			s.Fault(t, Fault{Kind: kind})
			return s
		}
		if failures := record(t, h, "create"); len(failures) == 0 {
			t.Errorf("%s was taken", kind)
		}
	}
}

// TestHarness refuses harnesses that test less than they seem to.
func TestHarness(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Harness)
		says   string
	}{
		"no Open":         {func(h *Harness) { h.Open = nil }, "Open is nil"},
		"unknown network": {func(h *Harness) { h.Network = "moon" }, "unknown"},
		"unknown ability": {func(h *Harness) { h.Cannot = map[Ability]string{"fly": "it has no wings at all"} }, "no ability"},
		"no reason":       {func(h *Harness) { h.Cannot = map[Ability]string{Lookup: "no"} }, "no reason"},
	} {
		h := toyHarness("")
		c.change(&h)
		if _, err := h.complete(); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v, want one that says %q", name, err, c.says)
		}
	}
	for name, c := range map[string]struct {
		change func(*Subject)
		says   string
	}{
		"no Pay":       {func(s *Subject) { s.Pay = nil }, "Subject.Pay"},
		"no Expire":    {func(s *Subject) { s.Expire = nil }, "Subject.Expire"},
		"no Cancel":    {func(s *Subject) { s.Cancel = nil }, "Subject.Cancel"},
		"no Fault":     {func(s *Subject) { s.Fault = nil }, "Subject.Fault"},
		"short secret": {func(s *Subject) { s.Secrets = []string{"abc"} }, "too short"},
		"no wallet":    {func(s *Subject) { s.Wallet = nil }, "no wallet"},
	} {
		h := toyHarness("")
		open := h.Open
		h.Open = func(t testing.TB, env *Env) *Subject {
			s := open(t, env)
			c.change(s)
			return s
		}
		if failures := record(t, h, "create"); !says(failures, c.says) {
			t.Errorf("%s: failures %q, want one that says %q", name, failures, c.says)
		}
	}
}

// TestCannot demands the right words of a wallet that cannot do everything.
func TestCannot(t *testing.T) {
	for check, a := range map[string]Ability{
		"lookup": Lookup, "amounts": Millisatoshi, "subscription": Subscribe,
	} {
		h := toyHarness("")
		h.Patience = time.Second
		h.Cannot = map[Ability]string{a: "said in order to see it denied"}
		if failures := record(t, h, check); !says(failures, "want Err") {
			t.Errorf("a wallet that can %s passes for one that cannot: %q", a, failures)
		}
	}
}

// TestWithoutOrder forgives a wrong order only where the harness says so.
func TestWithoutOrder(t *testing.T) {
	h := toyHarness("tells out of order")
	h.Cannot = map[Ability]string{
		Order:  "the toy turns the order around",
		Resume: "a cursor means nothing without an order",
	}
	if failures := record(t, h, "subscription"); len(failures) > 0 {
		t.Errorf("failures %q", failures)
	}
}

func TestEnv(t *testing.T) {
	env := NewEnv(t)
	ctx := t.Context()
	if _, err := env.Load(ctx, "x"); err == nil || !strings.Contains(err.Error(), "not exist") {
		t.Errorf("loading what was never stored: %v", err)
	}
	value := []byte("v")
	if err := env.Store(ctx, "a.b-c_1", value); err != nil {
		t.Fatal(err)
	}
	value[0] = 'x'
	if got, err := env.Load(ctx, "a.b-c_1"); err != nil || string(got) != "v" {
		t.Errorf("got %q, %v", got, err)
	}
	down := errors.New("down")
	env.FailStorage(down)
	if err := env.Store(ctx, "b", nil); !errors.Is(err, down) {
		t.Errorf("storing while the storage is down: %v", err)
	}
	env.FailStorage(nil)
	for _, name := range []string{"", "A", "a/b", "..", "ä", strings.Repeat("a", 129)} {
		if err := env.Store(ctx, name, nil); err == nil {
			t.Errorf("stored under the name %q", name)
		}
	}
	if names := env.Names(); len(names) != 1 || env.Stores() != 1 || len(env.wrongNames()) != 6 {
		t.Errorf("names %q, %d stores, wrong names %q", names, env.Stores(), env.wrongNames())
	}
	env.Logger().Debug("hello")
	if !strings.Contains(env.Log(), "hello") {
		t.Error("the log holds no debug lines")
	}
}

func TestNodeFaults(t *testing.T) {
	n := NewNode(t, wallets.Regtest)
	req := wallets.InvoiceRequest{Amount: 5000, Expiry: time.Hour}
	for _, bolt12 := range []bool{false, true} {
		for kind, refused := range map[Ability]bool{
			None: false, Slow: false, WrongAmount: true, WrongHash: true, WrongNetwork: true,
		} {
			in, err := n.Issue(Terms{Amount: 5000, Bolt12: bolt12, Fault: Fault{Kind: kind}})
			if err != nil {
				t.Fatal(err)
			}
			inv := &wallets.Invoice{PaymentRequest: in.Invoice, PaymentHash: in.Hash}
			if err := wallets.CheckInvoice(wallets.Regtest, req, inv, time.Now(), nil); (err != nil) != refused {
				t.Errorf("%s: %v", kind, err)
			}
		}
		a, _ := n.Issue(Terms{Amount: 5000, Bolt12: bolt12})
		b, _ := n.Issue(Terms{Amount: 5000, Bolt12: bolt12, Fault: Fault{Kind: DuplicateHash}})
		if *a != *b {
			t.Error("DuplicateHash gives another invoice")
		}
		if !a.Preimage.Matches(a.Hash) {
			t.Error("preimage and hash do not match")
		}
	}
}
