package lnurl

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/lnurl/lnurltest"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

const usual lnwire.MilliSatoshi = 21_000

func invoice(w *Wallet, amount lnwire.MilliSatoshi) (*wallets.Invoice, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req := wallets.InvoiceRequest{Amount: amount, Memo: "memo", Expiry: 10 * time.Minute}
	inv, err := w.CreateInvoice(ctx, req)
	if err == nil {
		err = wallets.CheckInvoice(wallets.Regtest, req, inv, time.Now(), nil)
	}
	return inv, err
}

func mustInvoice(t testing.TB, w *Wallet) *wallets.Invoice {
	t.Helper()
	inv, err := invoice(w, usual)
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

func lookup(w *Wallet, hash lntypes.Hash) (*wallets.Status, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return w.LookupInvoice(ctx, hash)
}

func wantState(t testing.TB, w *Wallet, hash lntypes.Hash, want wallets.State) *wallets.Status {
	t.Helper()
	st, err := lookup(w, hash)
	if err != nil || st.State != want {
		t.Fatalf("got %v, %v; want %s", st, err, want)
	}
	return st
}

// wantErr demands an error of a kind that says something.
func wantErr(t testing.TB, err, kind error, says string) {
	t.Helper()
	if !errors.Is(err, kind) || !strings.Contains(err.Error(), says) {
		t.Errorf("got %v; want an error that wraps %q and says %q", err, kind, says)
	}
}

// public is where a server is that the tests take for one on the public internet.
var public = netip.MustParseAddr("127.0.0.2")

// openPublic opens a wallet that may only go to the public internet, for a server that is there
// and is called example.com. Further names resolve as given.
func openPublic(t testing.TB, env wallets.Env, names map[string]string) (*Wallet, *lnurltest.Server) {
	t.Helper()
	server := lnurltest.New(t, wallets.Regtest, lnurltest.Options{
		Listen: public.String() + ":0", Name: "example.com",
	})
	w := open(t, env, server, func(p *Payee) { p.AllowPrivate = false })
	all := map[string]string{"example.com.": public.String()}
	for name, addr := range names {
		all[name+"."] = addr
	}
	w.dialer.resolver = fakeDNS(t, all)
	w.dialer.permit = func(addr netip.Addr) error {
		if addr == public {
			return nil
		}
		return checkPublic(addr)
	}
	return w, server
}

// fakeDNS resolves the names that are given and no others.
func fakeDNS(t testing.TB, names map[string]string) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		go func() { // ends with the resolver's end of the pipe
			defer there.Close()
			for serveDNS(t, there, names) == nil {
			}
		}()
		return here, nil
	}}
}

// serveDNS answers one question in the form that DNS has on streams.
func serveDNS(t testing.TB, conn net.Conn, names map[string]string) error {
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return err
	}
	raw := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, raw); err != nil {
		return err
	}
	var m dnsmessage.Message
	if err := m.Unpack(raw); err != nil || len(m.Questions) != 1 {
		t.Errorf("the resolver asked %v, %v", m, err)
		return io.ErrUnexpectedEOF
	}
	q := m.Questions[0]
	m.Response, m.Additionals = true, nil
	text, known := names[q.Name.String()]
	if !known {
		m.RCode = dnsmessage.RCodeNameError
	} else if addr := netip.MustParseAddr(text); addr.Is4() && q.Type == dnsmessage.TypeA {
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
			Body:   &dnsmessage.AResource{A: addr.As4()},
		}}
	} else if addr.Is6() && q.Type == dnsmessage.TypeAAAA {
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
			Body:   &dnsmessage.AAAAResource{AAAA: addr.As16()},
		}}
	}
	packed, err := m.Pack()
	if err != nil {
		return err
	}
	_, err = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(packed))), packed...))
	return err
}

func newEnv(t testing.TB) *wallettest.Env { return wallettest.NewEnv(t) }
