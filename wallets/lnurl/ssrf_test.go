package lnurl

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddy-l402/caddy-l402/wallets"
)

func TestCheckPublic(t *testing.T) {
	for _, text := range []string{
		"1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.15.0.1", "172.32.0.1", "193.0.0.1",
		"198.17.0.1", "198.20.0.1", "223.255.255.255", "2606:4700:4700::1111", "2a00:1450::1",
		"::ffff:1.1.1.1", "64:ff9b::1.1.1.1",
	} {
		if err := checkPublic(netip.MustParseAddr(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.255",
		"169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1",
		"192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1",
		"239.255.255.255", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1",
		"64:ff9b::127.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b:1::1", "100::1", "2001::1",
		"2001:db8::1", "2002:7f00:1::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1",
		"fe80::1%eth0", "fec0::1", "ff02::1", "2606:4700::1%eth0",
	} {
		if err := checkPublic(netip.MustParseAddr(text)); !errors.Is(err, errPrivate) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if checkPublic(netip.Addr{}) == nil {
		t.Error("no address at all is public")
	}
}

// inside is a server in the operator's network that must not be reached.
func inside(t *testing.T, address string) (port string, reached *atomic.Int64) {
	t.Helper()
	reached = new(atomic.Int64)
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	_ = server.Listener.Close()
	server.Listener = listener
	server.Config.ConnState = func(net.Conn, http.ConnState) { reached.Add(1) }
	server.StartTLS()
	t.Cleanup(server.Close)
	_, port, err = net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port, reached
}

func TestForeignAddressesStayOutside(t *testing.T) {
	w, _ := openPublic(t, newEnv(t), nil)
	mustInvoice(t, w) // without tricks it works

	names := map[string]string{
		"loopback.test": "127.0.0.1", "metadata.test": "169.254.169.254", "lan.test": "192.168.0.1",
		"mapped.test": "::ffff:127.0.0.1", "six.test": "::1", "nat.test": "64:ff9b::7f00:1",
	}
	port, reached := inside(t, "127.0.0.1:0")
	for name, host := range map[string]string{
		"name of loopback": "loopback.test", "name of metadata": "metadata.test", "name in the LAN": "lan.test",
		"name of a mapped address": "mapped.test", "name of ::1": "six.test", "name by NAT64": "nat.test",
		"loopback": "127.0.0.1", "metadata": "169.254.169.254", "mapped": "[::ffff:127.0.0.1]",
		"mapped in hex": "[::ffff:7f00:1]", "six": "[::1]", "zero": "0.0.0.0", "localhost": "localhost",
		"decimal": "2130706433", "octal": "0177.0.0.1", "short": "127.1", "hex": "0x7f.1",
	} {
		address := "https://" + host + ":" + port + "/x"
		t.Run("callback/"+name, func(t *testing.T) {
			w, server := openPublic(t, newEnv(t), names)
			server.Change(func(_ string, a map[string]any) {
				if a["callback"] != nil {
					a["callback"] = address
				}
			})
			if _, err := invoice(w, usual); err == nil {
				t.Error("an invoice was made")
			}
		})
		t.Run("redirect/"+name, func(t *testing.T) {
			w, server := openPublic(t, newEnv(t), names)
			server.Change(func(path string, a map[string]any) { a["redirect"] = address })
			if err := w.Ping(t.Context()); err == nil {
				t.Error("the redirect was followed")
			}
		})
		t.Run("verify/"+name, func(t *testing.T) {
			w, server := openPublic(t, newEnv(t), names)
			server.Change(func(_ string, a map[string]any) {
				if a["verify"] != nil {
					a["verify"] = address
				}
			})
			inv := mustInvoice(t, w)
			if _, err := lookup(w, inv.PaymentHash); err == nil || errors.Is(err, wallets.ErrNotFound) {
				t.Errorf("got %v", err)
			}
		})
	}
	if n := reached.Load(); n > 0 {
		t.Errorf("the server inside was reached %d times", n)
	}
}

// TestRebinding has a name change where it leads to after it was looked at.
func TestRebinding(t *testing.T) {
	port, reached := inside(t, "127.0.0.1:0")
	names := map[string]string{"example.com.": public.String(), "rebind.test.": public.String()}
	w, server := openPublic(t, newEnv(t), nil)
	w.dialer.resolver = fakeDNS(t, names)
	server.Change(func(_ string, a map[string]any) {
		if a["callback"] != nil {
			a["callback"] = "https://rebind.test:" + port + "/x"
		}
	})
	if err := w.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	names["rebind.test."] = "127.0.0.1"
	_, err := invoice(w, usual)
	wantErr(t, err, wallets.ErrUnavailable, "not on the public internet")
	if reached.Load() > 0 {
		t.Error("the server inside was reached")
	}
}

func TestForeignAddressesThatAreNotFollowed(t *testing.T) {
	for name, c := range map[string]struct{ address, says string }{
		"http":      {"http://example.com/x", "plain http"},
		"file":      {"file:///etc/passwd", "no host"},
		"ftp":       {"ftp://example.com/x", "https://"},
		"password":  {"https://user:pass@example.com/x", "password"},
		"no host":   {"https:///x", "no host"},
		"relative":  {"/x", "no host"},
		"empty":     {"", "no host"},
		"opaque":    {"https:example.com", "no host"},
		"port":      {"https://example.com:0/", "port"},
		"big port":  {"https://example.com:65536/", "port"},
		"unicode":   {"https://exämple.com/", "ASCII"},
		"onion":     {"http://abc.onion/", "proxy"},
		"long":      {"https://example.com/" + strings.Repeat("x", maxURL), "longer"},
		"bad label": {"https://-a.example.com/", "malformed"},
		"control":   {"https://example.com/\x00", "not a URL"},
	} {
		t.Run(name, func(t *testing.T) {
			w, server := openPublic(t, newEnv(t), nil)
			server.Change(func(_ string, a map[string]any) {
				if a["callback"] != nil {
					a["callback"] = c.address
				}
			})
			_, err := invoice(w, usual)
			wantErr(t, err, wallets.ErrBadAnswer, c.says)
			server.Change(func(_ string, a map[string]any) {
				if a["verify"] != nil {
					a["verify"] = c.address
				}
			})
			// The invoice is good, and only the look-up is missing.
			inv := mustInvoice(t, w)
			_, err = lookup(w, inv.PaymentHash)
			wantErr(t, err, wallets.ErrLookupUnsupported, "")
		})
	}
}

func TestRedirects(t *testing.T) {
	w, server := openPublic(t, newEnv(t), nil)
	var hops atomic.Int64
	server.Change(func(path string, a map[string]any) {
		if hops.Add(-1) >= 0 {
			a["redirect"] = path
		}
	})
	hops.Store(2)
	if err := w.Ping(t.Context()); err != nil {
		t.Errorf("two redirects to the public internet: %v", err)
	}
	hops.Store(1000)
	if err := w.Ping(t.Context()); err == nil {
		t.Error("followed redirects without end")
	}
	hops.Store(0)
	server.Change(func(_ string, a map[string]any) { a["redirect"] = "http://example.com/" })
	wantErr(t, w.Ping(t.Context()), wallets.ErrBadAnswer, "plain http")
}
