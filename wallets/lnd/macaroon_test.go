package lnd

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"gopkg.in/macaroon.v2"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/lnd/lndtest"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

func TestParseMacaroon(t *testing.T) {
	b := lndtest.New(t, wallets.Regtest).Bake(t, lndtest.InvoiceRights)
	v1, err := macaroon.New([]byte("key"), []byte("id"), "lnd", macaroon.V1)
	if err != nil {
		t.Fatal(err)
	}
	old, err := v1.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		in   []byte
		ok   bool
	}{
		{"bytes", b, true},
		{"hex", []byte(hex.EncodeToString(b)), true},
		{"hex with a newline", []byte(hex.EncodeToString(b) + "\n"), true},
		{"HEX", bytes.ToUpper([]byte(hex.EncodeToString(b))), true},
		{"base64", []byte(base64.StdEncoding.EncodeToString(b)), true},
		{"URL-safe base64 without padding", []byte(base64.RawURLEncoding.EncodeToString(b)), true},
		{"nothing", nil, false},
		{"cut", b[:len(b)-1], false},
		{"more than one", append(slices.Clone(b), 0), false},
		{"cut hex", []byte(hex.EncodeToString(b)[1:]), false},
		{"version 1", old, false},
		{"huge", bytes.Repeat(b, 1000), false},
		{"text", []byte("invoice.macaroon"), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := ParseMacaroon(c.in)
			if (err == nil) != c.ok {
				t.Fatalf("got %v, want success: %t", err, c.ok)
			}
			if err != nil {
				if len(c.in) > 8 && strings.Contains(err.Error(), string(c.in[:8])) {
					t.Error("the error repeats the text")
				}
				return
			}
			if got, _ := header(m); got != hex.EncodeToString(b) {
				t.Error("another macaroon came out")
			}
		})
	}
}

func FuzzParseMacaroon(f *testing.F) {
	b := lndtest.New(f, wallets.Regtest).Bake(f, lndtest.InvoiceRights, "time-before 2030-01-01T00:00:00Z")
	f.Add(b)
	f.Add([]byte(hex.EncodeToString(b)))
	f.Add([]byte{2, 2, 1, 3, 0, 0, 6, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseMacaroon(b)
		if err != nil {
			return
		}
		if _, err := header(m); err != nil {
			t.Errorf("it cannot be sent: %v", err)
		}
		// The words are the other side's; they must come without panic and in bounds.
		words, err := DescribeMacaroon(m)
		for _, w := range words {
			if err == nil && len(w) > maxErrorText+64 {
				t.Errorf("a word of %d bytes", len(w))
			}
		}
	})
}

func TestPermissions(t *testing.T) {
	r := newRig(t, wallettest.NewEnv(t), nil, nil)
	for _, c := range []struct {
		name    string
		rights  []string
		caveats []string
		want    []string
	}{
		{"invoices", lndtest.InvoiceRights, nil, []string{
			"address:read", "address:write", "invoices:read", "invoices:write", "onchain:read",
		}},
		{"caveats", []string{"invoices:read"}, []string{"time-before 2030-01-01T00:00:00Z", "ipaddr 10.0.0.1"},
			[]string{"invoices:read", "only if time-before 2030-01-01T00:00:00Z", "only if ipaddr 10.0.0.1"}},
		{"twice", []string{"invoices:read", "invoices:read"}, nil, []string{"invoices:read"}},
		{"a method", []string{"uri:/lnrpc.Lightning/AddInvoice"}, nil, []string{"uri:/lnrpc.Lightning/AddInvoice"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			write(t, r.macaroonPath(), r.node.Bake(t, c.rights, c.caveats...))
			got, err := r.wallet.Permissions(t.Context())
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("got %q, %v; want %q", got, err, c.want)
			}
		})
	}
	t.Run("not of LND", func(t *testing.T) {
		m, err := macaroon.New([]byte("key"), []byte("id"), "", macaroon.V2)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := m.MarshalBinary()
		write(t, r.macaroonPath(), b)
		if _, err := r.wallet.Permissions(t.Context()); !errors.Is(err, wallets.ErrUnauthorized) {
			t.Errorf("got %v, want ErrUnauthorized", err)
		}
	})
	t.Run("missing", func(t *testing.T) {
		if err := os.Remove(r.macaroonPath()); err != nil {
			t.Fatal(err)
		}
		if _, err := r.wallet.Permissions(t.Context()); !errors.Is(err, wallets.ErrUnavailable) {
			t.Errorf("got %v, want ErrUnavailable", err)
		}
	})
}

// TestMacaroonFileAppearsLater opens the wallet first.
func TestMacaroonFileAppearsLater(t *testing.T) {
	r := newRig(t, wallettest.NewEnv(t), lndtest.InvoiceRights, func(r *rig) { r.guest.Macaroon += ".later" })
	if err := create(t, r); !errors.Is(err, wallets.ErrUnavailable) || !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("got %v, want ErrUnavailable and ErrNotExist", err)
	}
	if err := r.wallet.Ping(t.Context()); !errors.Is(err, wallets.ErrUnavailable) {
		t.Errorf("Ping: got %v, want ErrUnavailable", err)
	}
	// In hex this time.
	mac := r.node.Bake(t, lndtest.InvoiceRights)
	write(t, r.macaroonPath()+".later", []byte(hex.EncodeToString(mac)+"\n"))
	if err := create(t, r); err != nil {
		t.Error(err)
	}
}

// TestMacaroonIsRenewed changes LND's root key: the old macaroon is refused, the one that the
// file holds by then is taken within the same call.
func TestMacaroonIsRenewed(t *testing.T) {
	r := newRig(t, wallettest.NewEnv(t), lndtest.InvoiceRights, nil)
	if err := create(t, r); err != nil {
		t.Fatal(err)
	}
	r.node.NewRootKey()
	if err := create(t, r); !errors.Is(err, wallets.ErrUnauthorized) {
		t.Fatalf("got %v, want ErrUnauthorized", err)
	}
	// A file that is being written must not hide the reason.
	write(t, r.macaroonPath(), []byte{2, 1})
	if err := create(t, r); !errors.Is(err, wallets.ErrUnauthorized) {
		t.Fatalf("with half a file: got %v, want ErrUnauthorized", err)
	}
	write(t, r.macaroonPath(), r.node.Bake(t, lndtest.InvoiceRights))
	if err := create(t, r); err != nil {
		t.Error(err)
	}
}

func TestInlineMacaroon(t *testing.T) {
	r := newRig(t, wallettest.NewEnv(t), nil, func(r *rig) {
		r.guest.Macaroon, r.guest.MacaroonHex = "", hex.EncodeToString(r.node.Bake(t, lndtest.InvoiceRights))
	})
	if err := create(t, r); err != nil {
		t.Fatal(err)
	}
	r.node.NewRootKey()
	err := create(t, r)
	if !errors.Is(err, wallets.ErrUnauthorized) {
		t.Errorf("got %v, want ErrUnauthorized", err)
	}
	if strings.Contains(err.Error(), r.guest.MacaroonHex[:40]) {
		t.Error("the error holds the macaroon")
	}
}
