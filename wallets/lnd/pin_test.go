package lnd

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/lnd/lndtest"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

func request() wallets.InvoiceRequest {
	return wallets.InvoiceRequest{Amount: 21_000, Memo: "a memo", Expiry: 10 * time.Minute}
}

// create makes an invoice and returns the error.
func create(t *testing.T, r *rig) error {
	t.Helper()
	_, err := r.wallet.CreateInvoice(t.Context(), request())
	return err
}

func der(t testing.TB, c *lndtest.Certificate) []byte {
	t.Helper()
	block, _ := pem.Decode(c.PEM)
	if block == nil {
		t.Fatal("no PEM")
	}
	return block.Bytes
}

// TestPinForms dials by the address 127.0.0.1, which is not in the certificate: a pin takes no
// interest in names.
func TestPinForms(t *testing.T) {
	for _, c := range []struct {
		name string
		text func(*lndtest.Certificate) string
	}{
		{"DER in hex", func(c *lndtest.Certificate) string { return hex.EncodeToString(der(t, c)) }},
		{"DER in HEX", func(c *lndtest.Certificate) string { return strings.ToUpper(hex.EncodeToString(der(t, c))) }},
		{"DER in base64", func(c *lndtest.Certificate) string { return base64.StdEncoding.EncodeToString(der(t, c)) }},
		{"DER in URL-safe base64", func(c *lndtest.Certificate) string { return base64.RawURLEncoding.EncodeToString(der(t, c)) }},
		{"PEM", func(c *lndtest.Certificate) string { return string(c.PEM) }},
		{"PEM in hex", func(c *lndtest.Certificate) string { return hex.EncodeToString(c.PEM) }},
		{"PEM in base64", func(c *lndtest.Certificate) string { return base64.StdEncoding.EncodeToString(c.PEM) }},
		{"among others", func(c *lndtest.Certificate) string {
			other := lndtest.NewCertificate(t, "other", time.Now().Add(time.Hour))
			return string(other.PEM) + string(c.PEM)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, wallettest.NewEnv(t), lndtest.InvoiceRights, func(r *rig) {
				r.guest.TLSCert, r.guest.TLSCertHex = "", c.text(r.cert)
			})
			if err := create(t, r); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestPinRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*rig)
		want   string
	}{
		{"another certificate", func(r *rig) {
			write(t, r.certPath(), lndtest.NewCertificate(t, "some.node", time.Now().Add(time.Hour)).PEM)
		}, "is not the pinned one"},
		{"the system's authorities", func(r *rig) { r.guest.TLSCert = "system" }, "authentication handshake failed"},
		{"a file that is no certificate", func(r *rig) { write(t, r.certPath(), []byte("hello")) }, "not a certificate"},
		{"a missing file", func(r *rig) { r.guest.TLSCert += ".missing" }, "no such file"},
		{"a directory", func(r *rig) { r.guest.TLSCert = r.dir }, "not a regular file"},
		{"a huge file", func(r *rig) { write(t, r.certPath(), make([]byte, 1<<20)) }, "more than 65536 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, wallettest.NewEnv(t), lndtest.InvoiceRights, c.change)
			err := create(t, r)
			if !errors.Is(err, wallets.ErrUnavailable) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want ErrUnavailable with %q", err, c.want)
			}
			if n := r.node.Calls("/lnrpc.Lightning/AddInvoice"); n != 0 {
				t.Errorf("%d calls, and with them the macaroon, reached a node that is not the pinned one", n)
			}
		})
	}
}

// TestPinnedFileIsRenewed restarts the node with another certificate. It is refused until the
// file says so too.
func TestPinnedFileIsRenewed(t *testing.T) {
	r := newRig(t, wallettest.NewEnv(t), lndtest.InvoiceRights, nil)
	if err := create(t, r); err != nil {
		t.Fatal(err)
	}
	r.server.Stop()
	renewed := lndtest.NewCertificate(t, "some.node", time.Now().Add(time.Hour))
	r.node.Serve(t, renewed, r.server.Address)
	end := time.Now().Add(10 * time.Second)
	for err := create(t, r); err == nil || !strings.Contains(err.Error(), "not the pinned one"); err = create(t, r) {
		if err == nil || time.Now().After(end) {
			t.Fatalf("got %v, want the new certificate to be refused", err)
		}
	}
	write(t, r.certPath(), renewed.PEM)
	for err := create(t, r); err != nil; err = create(t, r) {
		if time.Now().After(end) {
			t.Fatalf("the renewed file is not read: %v", err)
		}
	}
}

// issue makes a certificate by the authority for the host.
func issue(t *testing.T, by *lndtest.Certificate, host string) *x509.Certificate {
	t.Helper()
	parent, err := x509.ParseCertificate(der(t, by))
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{host}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, parent, &key.PublicKey, by.Pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(b)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestVerify(t *testing.T) {
	authority := lndtest.NewCertificate(t, "authority", time.Now().Add(time.Hour))
	other := lndtest.NewCertificate(t, "authority", time.Now().Add(time.Hour))
	old := lndtest.NewCertificate(t, "node.example", time.Now().Add(-time.Hour))
	parse := func(c *lndtest.Certificate) *x509.Certificate {
		cert, err := x509.ParseCertificate(der(t, c))
		if err != nil {
			t.Fatal(err)
		}
		return cert
	}
	leaf, foreign := issue(t, authority, "node.example"), issue(t, other, "node.example")
	for _, c := range []struct {
		name   string
		pinned *x509.Certificate
		shown  []*x509.Certificate
		host   string
		want   string
	}{
		{"the pinned leaf", leaf, []*x509.Certificate{leaf}, "whatever.onion", ""},
		{"by the pinned authority", parse(authority), []*x509.Certificate{leaf}, "node.example", ""},
		{"by the pinned authority for another name", parse(authority), []*x509.Certificate{leaf}, "10.0.0.1", "not for 10.0.0.1"},
		{"by another authority", parse(authority), []*x509.Certificate{foreign}, "node.example", "not the pinned one"},
		{"the pinned one only as the second", leaf, []*x509.Certificate{foreign, leaf}, "node.example", "not the pinned one"},
		{"expired", parse(old), []*x509.Certificate{parse(old)}, "node.example", "let LND renew it"},
		{"none", leaf, nil, "node.example", "no certificate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &pin{now: time.Now}
			err := p.verify([]*x509.Certificate{c.pinned}, c.shown, c.host)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestPinAsksForModernTLS(t *testing.T) {
	if v := (&pin{now: time.Now}).config("host").MinVersion; v < tls.VersionTLS12 {
		t.Errorf("least version is %x", v)
	}
}

func FuzzParseCertificates(f *testing.F) {
	c := lndtest.NewCertificate(f, "node", time.Now().Add(time.Hour))
	f.Add(c.PEM)
	f.Add(der(f, c))
	f.Add([]byte(hex.EncodeToString(der(f, c))))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		certs, err := ParseCertificates(b)
		if (err == nil) != (len(certs) > 0) {
			t.Errorf("%d certificates and the error %v", len(certs), err)
		}
	})
}
