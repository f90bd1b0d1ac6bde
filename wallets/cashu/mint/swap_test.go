package mint_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/ecash"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/mint"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/minttest"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

func TestSwap(t *testing.T) {
	for name, opts := range map[string]minttest.Options{
		"plain":      {},
		"fees":       {FeePPK: 100},
		"version 1":  {Version: 1, FeePPK: 100},
		"no DLEQ":    {NoDLEQ: true},
		"msat":       {Unit: "msat"},
		"large keys": {Keys: 64},
	} {
		t.Run(name, func(t *testing.T) {
			m := minttest.New(t, opts)
			c := newClient(t, m, nil)
			unit := opts.Unit
			if unit == "" {
				unit = "sat"
			}
			k := active(t, c, unit)
			in := m.Issue(t, nil, 8, 2)
			fee, err := c.Fee(t.Context(), in)
			if err != nil || fee != (2*opts.FeePPK+999)/1000 {
				t.Fatalf("fee %d, %v", fee, err)
			}
			amounts := []uint64{1, 1, 8}
			if fee == 1 {
				amounts = []uint64{1, 8}
			}
			out, err := c.Swap(t.Context(), in, newWallet(t).outputs(t, k.ID, amounts...))
			if err != nil {
				t.Fatal(err)
			}
			sum, err := token.Sum(out)
			if err != nil || sum+fee != 10 || m.Outstanding() != sum {
				t.Errorf("got %d, mint owes %d, %v", sum, m.Outstanding(), err)
			}
			for _, p := range out {
				if opts.NoDLEQ {
					continue
				}
				if err := p.VerifyDLEQ(k.Keys[p.Amount]); err != nil {
					t.Error(err)
				}
			}
			// What came out is money: it can be spent again.
			if _, err := c.Swap(t.Context(), out[len(out)-1:], newWallet2(t).outputs(t, k.ID, split(8-(opts.FeePPK+999)/1000)...)); err != nil {
				t.Error(err)
			}
			states, err := c.CheckState(t.Context(), append(in, out...))
			if err != nil || states[0] != mint.StateSpent || states[2] != mint.StateUnspent || states[len(states)-1] != mint.StateSpent {
				t.Errorf("states %v, %v", states, err)
			}
			if _, err := c.Swap(t.Context(), in, newWallet3(t).outputs(t, k.ID, amounts...)); !errors.Is(err, mint.ErrSpent) || !errors.Is(err, mint.ErrRefused) {
				t.Errorf("spent twice: %v", err)
			}
		})
	}
}

func newWallet2(t testing.TB) *wallet { w := newWallet(t); w.counter = 1000; return w }
func newWallet3(t testing.TB) *wallet { w := newWallet(t); w.counter = 2000; return w }

func split(amount uint64) []uint64 {
	var out []uint64
	for bit := range 64 {
		if amount&(1<<bit) != 0 {
			out = append(out, 1<<bit)
		}
	}
	return out
}

// A mint that cheats is found out.
func TestCheatingMint(t *testing.T) {
	for name, v := range map[string]struct {
		kind    minttest.Kind
		opts    minttest.Options
		require bool
	}{
		"wrong amounts":          {kind: minttest.WrongAmounts},
		"forged DLEQ":            {kind: minttest.ForgedDLEQ},
		"key not published":      {kind: minttest.WrongKey},
		"another keyset":         {kind: minttest.OtherKeyset},
		"fewer signatures":       {kind: minttest.FewerSignatures},
		"no DLEQ where required": {kind: -1, opts: minttest.Options{NoDLEQ: true}, require: true},
	} {
		t.Run(name, func(t *testing.T) {
			m := minttest.New(t, v.opts)
			c := newClient(t, m, func(cfg *mint.Config) { cfg.RequireDLEQ = v.require })
			k := active(t, c, "sat")
			m.Break(minttest.Fault{Path: "/v1/swap", Kind: v.kind})
			outputs := newWallet(t).outputs(t, k.ID, 8)
			out, err := c.Swap(t.Context(), m.Issue(t, nil, 8), outputs)
			if !errors.Is(err, mint.ErrCheated) || !errors.Is(err, wallets.ErrBadAnswer) || out != nil {
				t.Errorf("got %v, %v", out, err)
			}
			if mint.NotSent(err) {
				t.Errorf("it was sent: %v", err)
			}
		})
	}
}

// Whatever stands in the way is an error in time, of bounded size, and holds no secret.
func TestBrokenMint(t *testing.T) {
	for name, v := range map[string]struct {
		kind minttest.Kind
		want error
	}{
		"hangs":               {minttest.Hang, wallets.ErrUnavailable},
		"hangs after":         {minttest.HangAfter, wallets.ErrUnavailable},
		"drops":               {minttest.Drop, wallets.ErrUnavailable},
		"loses the answer":    {minttest.LoseAnswer, wallets.ErrUnavailable},
		"unavailable":         {minttest.Unavailable, wallets.ErrUnavailable},
		"bad gateway":         {minttest.UnavailableAfter, wallets.ErrUnavailable},
		"garbage":             {minttest.Garbage, wallets.ErrBadAnswer},
		"huge":                {minttest.Huge, wallets.ErrBadAnswer},
		"redirects":           {minttest.Redirect, wallets.ErrBadAnswer},
		"proofs are pending":  {minttest.ProofsPending, mint.ErrPending},
		"also proofs pending": {minttest.ProofsPending, mint.ErrRefused},
	} {
		t.Run(name, func(t *testing.T) {
			m := minttest.New(t, minttest.Options{})
			c := newClient(t, m, func(cfg *mint.Config) { cfg.Timeout = 500 * time.Millisecond })
			k := active(t, c, "sat")
			m.Break(minttest.Fault{Path: "/v1/swap", Kind: v.kind})
			in := m.Issue(t, nil, 8)
			outputs := newWallet(t).outputs(t, k.ID, 8)
			begun := time.Now()
			_, err := c.Swap(t.Context(), in, outputs)
			if !errors.Is(err, v.want) {
				t.Errorf("got %v", err)
			}
			if took := time.Since(begun); took > 3*time.Second {
				t.Errorf("it took %s", took)
			}
			if err != nil && (strings.Contains(err.Error(), in[0].Secret) || strings.Contains(err.Error(), outputs[0].Coin.Secret)) {
				t.Errorf("the error tells a secret: %v", err)
			}
			if m.Calls("/elsewhere") != 0 {
				t.Error("the redirect was followed")
			}
		})
	}
}

func TestNoRedirectOnGet(t *testing.T) {
	m := minttest.New(t, minttest.Options{})
	m.Break(minttest.Fault{Path: "/v1/keysets", Kind: minttest.Redirect})
	c := newClient(t, m, nil)
	if _, err := c.Keysets(t.Context()); !errors.Is(err, wallets.ErrBadAnswer) || m.Calls("/elsewhere") != 0 {
		t.Errorf("got %v, %d calls elsewhere", err, m.Calls("/elsewhere"))
	}
}

func TestRestore(t *testing.T) {
	m := minttest.New(t, minttest.Options{})
	c := newClient(t, m, nil)
	k := active(t, c, "sat")
	w := newWallet(t)
	outputs := w.outputs(t, k.ID, 8)
	m.Break(minttest.Fault{Path: "/v1/swap", Kind: minttest.LoseAnswer, Times: 1})
	if _, err := c.Swap(t.Context(), m.Issue(t, nil, 8), outputs); !errors.Is(err, wallets.ErrUnavailable) {
		t.Fatal(err)
	}
	never := w.outputs(t, k.ID, make([]uint64, 250)...)
	for i := range never {
		never[i].Amount = 1
	}
	found, err := c.Restore(t.Context(), append(append(never[:120:120], outputs...), never[120:]...))
	if err != nil || len(found) != 251 {
		t.Fatalf("%d proofs, %v", len(found), err)
	}
	for i, p := range found {
		switch {
		case i != 120 && p != nil:
			t.Errorf("output %d was never signed", i)
		case i == 120 && (p == nil || p.Amount != 8 || p.VerifyDLEQ(k.Keys[8]) != nil):
			t.Errorf("got %+v", p)
		}
	}
	blank := outputs
	blank[0].Amount = 0
	if found, err := c.Restore(t.Context(), blank); err != nil || found[0] == nil || found[0].Amount != 8 {
		t.Errorf("amount unknown: %v", err)
	}
	blank[0].Amount = 4
	if _, err := c.Restore(t.Context(), blank); !errors.Is(err, mint.ErrCheated) {
		t.Errorf("another amount: %v", err)
	}
}

func TestRestoreUnsupported(t *testing.T) {
	m := minttest.New(t, minttest.Options{NoRestore: true})
	c := newClient(t, m, nil)
	k := active(t, c, "sat")
	if _, err := c.Restore(t.Context(), newWallet(t).outputs(t, k.ID, 1)); !errors.Is(err, mint.ErrUnsupported) {
		t.Errorf("got %v", err)
	}
}

func TestSwapRefusesBeforeSending(t *testing.T) {
	m := minttest.New(t, minttest.Options{Version: 1})
	c := newClient(t, m, nil)
	k := active(t, c, "sat")
	w := newWallet(t)
	if _, err := c.Swap(t.Context(), m.Issue(t, nil, 8), w.outputs(t, k.ID, 3, 5)); !errors.Is(err, token.ErrAmount) {
		t.Errorf("amounts without key: %v", err)
	}
	if _, err := c.Swap(t.Context(), m.Issue(t, nil, 8), w.outputs(t, "00ffffffffffffff", 8)); !errors.Is(err, ecash.ErrUnknownKeyset) {
		t.Errorf("unknown keyset: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Swap(ctx, m.Issue(t, nil, 8), w.outputs(t, k.ID, 8)); !errors.Is(err, context.Canceled) {
		t.Errorf("context: %v", err)
	}
	if n := m.Calls("/v1/swap"); n != 0 {
		t.Errorf("%d calls", n)
	}
}
