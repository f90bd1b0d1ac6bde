package httpjson

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// issued is a certificate with its key.
type issued struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
}

func issue(t testing.TB, by *issued, name string, until time.Time) *issued {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until, DNSNames: []string{name},
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
	parent, signer := template, key
	if by == nil {
		template.IsCA, template.BasicConstraintsValid = true, true
		template.KeyUsage |= x509.KeyUsageCertSign
	} else {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &issued{cert, key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))}
}

// serve starts a TLS server that shows the certificate.
func serve(t testing.TB, c *issued) string {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "{}")
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{c.cert.Raw}, PrivateKey: c.key}}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL
}

func TestPin(t *testing.T) {
	later := time.Now().Add(time.Hour)
	authority := issue(t, nil, "authority", later)
	other := issue(t, nil, "authority", later)
	cln := issue(t, authority, "cln", later)
	local := issue(t, authority, "localhost", later)
	expired := issue(t, authority, "cln", time.Now().Add(-time.Hour))
	path := filepath.Join(t.TempDir(), "ca.pem")
	write(t, path, authority.pem)
	empty := filepath.Join(t.TempDir(), "empty.pem")
	write(t, empty, "nothing")
	for _, tt := range []struct {
		name, pin, host string
		shown           *issued
		want            string
	}{
		{"the node's own, by another name", cln.pem, "127.0.0.1", cln, ""},
		{"by the authority, name fits", authority.pem, "localhost", local, ""},
		{"by the authority in a file", path, "cln", cln, ""},
		{"several pinned", other.pem + cln.pem, "x", cln, ""},
		{"by the authority, other name", authority.pem, "127.0.0.1", cln, "not for 127.0.0.1"},
		{"expired", expired.pem, "cln", expired, "renew it"},
		{"by the authority, expired", authority.pem, "cln", expired, "set ca"},
		{"namesake authority", other.pem, "cln", cln, "set ca"},
		{"other node", local.pem, "localhost", cln, "set ca"},
		{"missing file", path + "x", "cln", cln, "reading the pinned certificate"},
		{"empty file", empty, "cln", cln, "no certificate in PEM"},
		{"system", "", "localhost", local, "set ca"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			base, err := ParseBase("address", serve(t, tt.shown))
			if err != nil {
				t.Fatal(err)
			}
			cfg := Config{Base: base, Timeout: 5 * time.Second}
			if tt.pin != "" {
				pin, err := ParsePin("ca", tt.pin)
				if err != nil {
					t.Fatal(err)
				}
				cfg.TLS = pin.Config(tt.host)
			}
			c, err := New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_, err = c.Do(t.Context(), Request{Path: "a"})
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
			} else if !errors.Is(err, wallets.ErrUnavailable) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestParsePinRefuses(t *testing.T) {
	for _, bad := range []string{
		"", "  ", "a\nb", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "-----BEGIN RSA PRIVATE KEY-----",
	} {
		if _, err := ParsePin("ca", bad); err == nil || !strings.Contains(err.Error(), "ca") {
			t.Errorf("%q: got %v", bad, err)
		}
	}
}

func FuzzParsePin(f *testing.F) {
	f.Add("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
	f.Add("/etc/ca.pem")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePin("ca", text)
		if err == nil && p.path == "" && len(p.certs) == 0 {
			t.Errorf("%q pins nothing", text)
		}
	})
}
