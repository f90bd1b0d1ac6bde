package bolt12

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/caddyserver/caddy/v2"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cln"
	"github.com/caddy-l402/caddy-l402/wallets/cln/clntest"
	tlv "github.com/caddy-l402/caddy-l402/wallets/internal/bolt12"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

var usual = wallets.InvoiceRequest{Amount: 10_000, Memo: "test", Expiry: 10 * time.Minute}

func newKey(t testing.TB) *btcec.PrivateKey {
	t.Helper()
	key, err := btcec.NewPrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func pub(key *btcec.PrivateKey) []byte { return key.PubKey().SerializeCompressed() }

func TestCreate(t *testing.T) {
	node := clntest.New(t, wallets.Regtest)
	offer := node.AddOffer(t)
	w := open(t, wallettest.NewEnv(t), offer.Text, &cln.Node{Address: node.ServeSocket(t)}, 7*time.Second)
	inv, err := w.CreateInvoice(t.Context(), usual)
	if err != nil {
		t.Fatal(err)
	}
	d, err := wallets.DecodeInvoice(inv.PaymentRequest)
	if err != nil {
		t.Fatal(err)
	}
	if !d.Bolt12 || inv.Offer != offer.Text || d.PaymentHash != inv.PaymentHash || d.Memo != "an offer" {
		t.Errorf("got %+v of %+v", inv, d)
	}
	if p := w.Payee(); p == nil || *p != d.Payee {
		t.Errorf("payee is %x, want %x", p, d.Payee)
	}
	call := node.Calls()[0]
	if call.Method != "fetchinvoice" || string(call.Params["timeout"]) != "7" || string(call.Params["amount_msat"]) != "10000" {
		t.Errorf("called %s %s", call.Method, call.Params)
	}
}

// TestForeignInvoices refuses invoices that do not answer the offer, though all else is right.
func TestForeignInvoices(t *testing.T) {
	replace := func(typ uint64, value []byte) func([]tlv.Record) []tlv.Record {
		return func(records []tlv.Record) []tlv.Record {
			out := slices.DeleteFunc(slices.Clone(records), func(r tlv.Record) bool { return r.Type == typ })
			if value != nil {
				out = append(out, tlv.Record{Type: typ, Value: value})
			}
			return out
		}
	}
	thief := newKey(t)
	for name, tt := range map[string]struct {
		alter func([]tlv.Record) []tlv.Record
		key   *btcec.PrivateKey
		want  string
	}{
		"another payee":        {replace(176, pub(thief)), thief, "whom the offer does not name"},
		"another description":  {replace(10, []byte("a trap")), nil, "field 10"},
		"no description":       {replace(10, nil), nil, "field 10"},
		"one more field":       {replace(18, []byte("issuer")), nil, "field"},
		"unknown offer field":  {replace(79, []byte("x")), nil, "field 79"},
		"experimental field":   {replace(1_000_000_001, []byte("x")), nil, "field 1000000001"},
		"another issuer's id":  {replace(22, pub(thief)), nil, "field 22"},
		"signed by another":    {func(r []tlv.Record) []tlv.Record { return r }, thief, "signature"},
		"no chain of the test": {replace(2, nil), nil, "field 2"},
	} {
		t.Run(name, func(t *testing.T) {
			node := clntest.New(t, wallets.Regtest)
			offer := node.AddOffer(t)
			w := open(t, wallettest.NewEnv(t), offer.Text, &cln.Node{Address: node.ServeSocket(t)}, 0)
			if _, err := w.CreateInvoice(t.Context(), usual); err != nil {
				t.Fatalf("before: %v", err)
			}
			offer.Alter = tt.alter
			payee := pub(offer.Key)
			if tt.key != nil {
				offer.Key = tt.key
				if name == "signed by another" {
					offer.Alter = replace(176, payee)
				}
			}
			_, err := w.CreateInvoice(t.Context(), usual)
			if !errors.Is(err, wallets.ErrBadInvoice) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestBolt11InPlace(t *testing.T) {
	node := clntest.New(t, wallets.Regtest)
	offer := node.AddOffer(t)
	o, err := parseOffer(offer.Text, wallets.Regtest)
	if err != nil {
		t.Fatal(err)
	}
	d, err := wallets.DecodeInvoice(node.Payable(t, 1000))
	if err != nil {
		t.Fatal(err)
	}
	if err := o.match(d); err == nil {
		t.Error("a BOLT 11 invoice was taken for the offer's")
	}
}

// TestPathOffer takes an offer without issuer, whose paths end at the key that signs.
func TestPathOffer(t *testing.T) {
	node := clntest.New(t, wallets.Regtest)
	key, other := newKey(t), newKey(t)
	paths := append(blinded(t, false, pub(other), pub(key)), blinded(t, true, pub(other))...)
	offer := node.AddOffer(t, tlv.Record{Type: 16, Value: paths})
	offer.Key = key
	w := open(t, wallettest.NewEnv(t), offer.Text, &cln.Node{Address: node.ServeSocket(t)}, 0)
	if _, err := w.CreateInvoice(t.Context(), usual); err != nil {
		t.Error(err)
	}
	if w.Payee() != nil {
		t.Error("one of two possible payees is named")
	}
	offer.Key = newKey(t)
	if _, err := w.CreateInvoice(t.Context(), usual); !errors.Is(err, wallets.ErrBadInvoice) {
		t.Errorf("signed by a stranger: %v", err)
	}
}

// blinded makes a path over the keys.
func blinded(t testing.TB, byChannel bool, keys ...[]byte) []byte {
	t.Helper()
	out := slices.Clone(keys[0])
	if byChannel {
		out = make([]byte, 9)
	}
	out = append(append(out, pub(newKey(t))...), byte(len(keys)))
	for _, key := range keys {
		out = append(append(out, key...), 0, 3, 1, 2, 3)
	}
	return out
}

func TestAmounts(t *testing.T) {
	node := clntest.New(t, wallets.Regtest)
	offer := node.AddOffer(t, tlv.Record{Type: 8, Value: tlv.AppendUint(nil, 5000)})
	w := open(t, wallettest.NewEnv(t), offer.Text, &cln.Node{Address: node.ServeSocket(t)}, 0)
	for msat, ok := range map[uint64]bool{0: false, 1: false, 4999: false, 5000: true, 5001: true, uint64(maxAmount) + 1: false} {
		req := usual
		req.Amount = lnwire.MilliSatoshi(msat)
		_, err := w.CreateInvoice(t.Context(), req)
		if ok && err != nil || !ok && !errors.Is(err, wallets.ErrAmount) {
			t.Errorf("%d msat: %v", msat, err)
		}
	}
}

func TestExpiredOffer(t *testing.T) {
	node := clntest.New(t, wallets.Regtest)
	soon := time.Now().Add(time.Hour)
	offer := node.AddOffer(t, tlv.Record{Type: 14, Value: tlv.AppendUint(nil, uint64(soon.Unix()))})
	env := wallettest.NewEnv(t)
	w := open(t, env, offer.Text, &cln.Node{Address: node.ServeSocket(t)}, 0)
	if _, err := w.CreateInvoice(t.Context(), usual); err != nil {
		t.Error(err)
	}
	w.now = func() time.Time { return soon.Add(time.Second) }
	_, err := w.CreateInvoice(t.Context(), usual)
	if !errors.Is(err, cln.ErrOffer) || !errors.Is(err, wallets.ErrUnavailable) {
		t.Errorf("after its expiry: %v", err)
	}
	if strings.Contains(env.Log(), "expired") {
		t.Error("a valid offer is warned of")
	}
	past := node.AddOffer(t, tlv.Record{Type: 14, Value: tlv.AppendUint(nil, 1)})
	open(t, env, past.Text, &cln.Node{Address: node.ServeSocket(t)}, 0)
	if !strings.Contains(env.Log(), "expired") {
		t.Error("an expired offer is not warned of")
	}
}

// TestShortInvoice refuses an invoice that the buyer would hardly have time to pay.
func TestShortInvoice(t *testing.T) {
	node := clntest.New(t, wallets.Regtest)
	offer := node.AddOffer(t)
	offer.Alter = func(records []tlv.Record) []tlv.Record {
		return append(slices.Clone(records), tlv.Record{Type: 166, Value: tlv.AppendUint(nil, 10)})
	}
	w := open(t, wallettest.NewEnv(t), offer.Text, &cln.Node{Address: node.ServeSocket(t)}, 0)
	if _, err := w.CreateInvoice(t.Context(), usual); !errors.Is(err, wallets.ErrBadInvoice) {
		t.Errorf("got %v", err)
	}
}

// TestSilentIssuer has the issuer not answer: the fetch ends in its own time, and nothing else is
// held up by it.
func TestSilentIssuer(t *testing.T) {
	node := clntest.New(t, wallets.Regtest)
	offer := node.AddOffer(t)
	w := open(t, wallettest.NewEnv(t), offer.Text, &cln.Node{Address: node.ServeSocket(t)}, 3*time.Second)
	paid, err := w.CreateInvoice(t.Context(), usual)
	if err != nil {
		t.Fatal(err)
	}
	offer.Delay = time.Minute
	start := time.Now()
	var wg sync.WaitGroup
	// More than there are places, so that the last ones wait in vain.
	for range maxFetches + 5 {
		// Ends with the fetch; wg.Wait below.
		wg.Go(func() {
			_, err := w.CreateInvoice(context.Background(), usual)
			if !errors.Is(err, wallets.ErrUnavailable) {
				t.Errorf("silent issuer: %v", err)
			}
		})
	}
	time.Sleep(50 * time.Millisecond)
	before := time.Now()
	if _, err := w.LookupInvoice(t.Context(), paid.PaymentHash); err != nil {
		t.Error(err)
	}
	if err := w.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if took := time.Since(before); took > 2*time.Second {
		t.Errorf("look-up and ping took %s beside hanging fetches", took)
	}
	wg.Wait()
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("fetches of three seconds ended after %s", took)
	}
}

func TestForeignOffer(t *testing.T) {
	node := clntest.New(t, wallets.Regtest)
	offer := node.AddOffer(t)
	offer.Foreign = true
	w := open(t, wallettest.NewEnv(t), offer.Text, &cln.Node{Address: node.ServeSocket(t)}, 0)
	inv, err := w.CreateInvoice(t.Context(), usual)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.LookupInvoice(t.Context(), inv.PaymentHash); !errors.Is(err, wallets.ErrLookupUnsupported) {
		t.Errorf("an invoice of another node's offer: %v", err)
	}
	if _, err := w.LookupInvoice(t.Context(), lntypes.Hash{1}); !errors.Is(err, wallets.ErrNotFound) {
		t.Errorf("an unknown hash: %v", err)
	}
}

func TestRuneTooNarrow(t *testing.T) {
	node := clntest.New(t, wallets.Regtest)
	offer := node.AddOffer(t)
	w := open(t, wallettest.NewEnv(t), offer.Text, overREST(t, node, node.Rune("listinvoices", "waitanyinvoice")), 0)
	if _, err := w.CreateInvoice(t.Context(), usual); !errors.Is(err, wallets.ErrUnauthorized) {
		t.Errorf("got %v", err)
	}
	if err := w.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestOfferErrors(t *testing.T) {
	node := clntest.New(t, wallets.Regtest)
	offer := node.AddOffer(t)
	w := open(t, wallettest.NewEnv(t), offer.Text, overREST(t, node, node.Rune()), 0)
	for _, code := range []int{907, 1002, 1003, 1004, 1005, 1007} {
		node.Before(func(clntest.Call) *clntest.Error { return &clntest.Error{Code: code, Message: "because"} })
		_, err := w.CreateInvoice(t.Context(), usual)
		if !errors.Is(err, cln.ErrOffer) || !errors.Is(err, wallets.ErrUnavailable) {
			t.Errorf("code %d: got %v", code, err)
		}
	}
	node.Before(nil)
	node.Hide("fetchinvoice")
	if _, err := w.CreateInvoice(t.Context(), usual); !errors.Is(err, cln.ErrNoMethod) {
		t.Errorf("without the command: %v", err)
	}
}

func TestReconfigure(t *testing.T) {
	node := clntest.New(t, wallets.Regtest)
	offer := node.AddOffer(t)
	w := open(t, wallettest.NewEnv(t), offer.Text, &cln.Node{Address: node.ServeSocket(t)}, 0)
	g := &Guest{Offer: offer.Text, CLN: &cln.Node{Address: "/x", NetworkName: "regtest"}, FetchTimeout: caddy.Duration(3 * time.Second)}
	if err := g.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	w.Reconfigure(g)
	if _, err := w.CreateInvoice(t.Context(), usual); err != nil {
		t.Fatal(err)
	}
	if got := string(node.Calls()[0].Params["timeout"]); got != "3" {
		t.Errorf("timeout is %s", got)
	}
}

func TestRecent(t *testing.T) {
	var r recent
	for i := range 3 * maxRecent {
		r.add(lntypes.Hash{byte(i), byte(i >> 8), byte(i >> 16)})
	}
	last := 3*maxRecent - 1
	if !r.has(lntypes.Hash{byte(last), byte(last >> 8), byte(last >> 16)}) || r.has(lntypes.Hash{0, 0, 0}) {
		t.Error("the latest is forgotten or the first remembered")
	}
	if n := len(r.young) + len(r.old); n > 2*maxRecent {
		t.Errorf("%d hashes are kept", n)
	}
}
