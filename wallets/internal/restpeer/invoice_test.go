package restpeer

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

func TestCheckRequest(t *testing.T) {
	good := wallets.InvoiceRequest{Amount: 1, Memo: "m", Expiry: time.Second}
	if err := CheckRequest(good); err != nil {
		t.Error(err)
	}
	for name, tt := range map[string]struct {
		change func(*wallets.InvoiceRequest)
		want   error
	}{
		"no amount":   {func(r *wallets.InvoiceRequest) { r.Amount = 0 }, wallets.ErrAmount},
		"absurd":      {func(r *wallets.InvoiceRequest) { r.Amount = 1 << 63 }, wallets.ErrAmount},
		"short":       {func(r *wallets.InvoiceRequest) { r.Expiry = time.Millisecond }, nil},
		"long":        {func(r *wallets.InvoiceRequest) { r.Expiry = 1 << 62 }, nil},
		"long memo":   {func(r *wallets.InvoiceRequest) { r.Memo = strings.Repeat("a", 640) }, nil},
		"broken memo": {func(r *wallets.InvoiceRequest) { r.Memo = "\xff" }, nil},
	} {
		req := good
		tt.change(&req)
		if err := CheckRequest(req); err == nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestAmounts(t *testing.T) {
	if sats, err := WholeSats(21000, "x"); sats != 21 || err != nil {
		t.Errorf("got %d, %v", sats, err)
	}
	if _, err := WholeSats(21001, "x"); !errors.Is(err, wallets.ErrAmount) {
		t.Errorf("got %v", err)
	}
	for sats, want := range map[int64]lnwire.MilliSatoshi{-1: 0, 0: 0, 1: 1000, 1 << 62: 0} {
		if got := Msat(sats); got != want {
			t.Errorf("%d sat is %d", sats, got)
		}
	}
	for ms, zero := range map[int64]bool{-1: true, 0: true, 1 << 60: true, 1e12: false} {
		if got := UnixMilli(ms); got.IsZero() != zero {
			t.Errorf("%d ms is %s", ms, got)
		}
	}
}

func TestProof(t *testing.T) {
	preimage := lntypes.Preimage{1}
	if p := Proof(preimage.String(), preimage.Hash()); p == nil || *p != preimage {
		t.Errorf("got %v", p)
	}
	for _, bad := range []string{"", "00", strings.Repeat("0", 64), strings.Repeat("x", 64), preimage.Hash().String()} {
		if Proof(bad, preimage.Hash()) != nil {
			t.Errorf("%q is taken for a proof", bad)
		}
	}
}

func TestPayable(t *testing.T) {
	node := wallettest.NewNode(t, wallets.Regtest)
	for name, terms := range map[string]wallettest.Terms{
		"good":          {Amount: 1000},
		"no amount":     {},
		"expired":       {Amount: 1000, Timestamp: time.Now().Add(-time.Hour), Expiry: time.Minute},
		"other network": {Amount: 1000, Fault: wallettest.Fault{Kind: wallettest.WrongNetwork}},
		"BOLT 12":       {Amount: 1000, Bolt12: true},
	} {
		in, err := node.Issue(terms)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Payable(in.Invoice, wallets.Regtest, time.Now())
		if name == "good" && err != nil || name != "good" && !errors.Is(err, wallets.ErrBadInvoice) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := Payable("lnbc1", wallets.Mainnet, time.Now()); !errors.Is(err, wallets.ErrBadInvoice) {
		t.Errorf("got %v", err)
	}
}
