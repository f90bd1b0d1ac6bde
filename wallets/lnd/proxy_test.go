package lnd

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/lnd/lndtest"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

// socks is a SOCKS5 server (RFC 1928, RFC 1929) that connects every name to one address.
type socks struct {
	listener       net.Listener
	to             string
	user, password string

	mu    sync.Mutex
	asked []string
	wg    sync.WaitGroup
}

func newSocks(t *testing.T, to, user, password string) *socks {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &socks{listener: l, to: to, user: user, password: password}
	// Ends when the listener is closed by the cleanup, which waits for it.
	s.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			// Ends with either connection, and those end with the wallet and the node.
			s.wg.Go(func() { _ = s.serve(c) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); s.wg.Wait() })
	return s
}

func (s *socks) serve(c net.Conn) error {
	defer c.Close()
	in := bufio.NewReader(c)
	head := make([]byte, 2)
	if _, err := io.ReadFull(in, head); err != nil {
		return err
	}
	if _, err := in.Discard(int(head[1])); err != nil {
		return err
	}
	if s.user != "" {
		if _, err := c.Write([]byte{5, 2}); err != nil {
			return err
		}
		if err := s.login(in, c); err != nil {
			return err
		}
	} else if _, err := c.Write([]byte{5, 0}); err != nil {
		return err
	}
	req := make([]byte, 4)
	if _, err := io.ReadFull(in, req); err != nil {
		return err
	}
	host, err := readHost(in, req[3])
	if err != nil {
		return err
	}
	port := make([]byte, 2)
	if _, err := io.ReadFull(in, port); err != nil {
		return err
	}
	s.mu.Lock()
	s.asked = append(s.asked, net.JoinHostPort(host, fmt.Sprint(binary.BigEndian.Uint16(port))))
	s.mu.Unlock()
	out, err := net.Dial("tcp", s.to)
	if err != nil {
		_, err = c.Write([]byte{5, 4, 0, 1, 0, 0, 0, 0, 0, 0})
		return err
	}
	defer out.Close()
	if _, err := c.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0}); err != nil {
		return err
	}
	// Ends when serve closes out.
	s.wg.Go(func() { _, _ = io.Copy(out, in); _ = out.Close() })
	_, err = io.Copy(c, out)
	return err
}

func readHost(in *bufio.Reader, kind byte) (string, error) {
	n := 4
	switch kind {
	case 3:
		b, err := in.ReadByte()
		if err != nil {
			return "", err
		}
		n = int(b)
	case 4:
		n = 16
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(in, b); err != nil {
		return "", err
	}
	if kind == 3 {
		return string(b), nil
	}
	return net.IP(b).String(), nil
}

func (s *socks) login(in *bufio.Reader, c net.Conn) error {
	read := func() (string, error) {
		n, err := in.ReadByte()
		if err != nil {
			return "", err
		}
		b := make([]byte, n)
		_, err = io.ReadFull(in, b)
		return string(b), err
	}
	if _, err := in.Discard(1); err != nil {
		return err
	}
	user, err := read()
	if err != nil {
		return err
	}
	password, err := read()
	if err != nil {
		return err
	}
	if user != s.user || password != s.password {
		_, _ = c.Write([]byte{1, 1})
		return errors.New("login refused")
	}
	_, err = c.Write([]byte{1, 0})
	return err
}

func (s *socks) names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.asked...)
}

// TestProxyResolvesNames reaches the node by a name that only the proxy knows.
func TestProxyResolvesNames(t *testing.T) {
	const onion = "vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd.onion"
	for _, c := range []struct{ name, user, password string }{
		{"open", "", ""},
		{"with a password", "tor", "pass word"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s *socks
			r := newRig(t, wallettest.NewEnv(t), lndtest.InvoiceRights, func(r *rig) {
				s = newSocks(t, r.server.Address, c.user, c.password)
				r.guest.Address = onion + ":10009"
				r.guest.Proxy = "socks5://" + s.listener.Addr().String()
				if c.user != "" {
					r.guest.Proxy = "socks5://tor:pass%20word@" + s.listener.Addr().String()
				}
			})
			if err := create(t, r); err != nil {
				t.Fatal(err)
			}
			if got := s.names(); len(got) == 0 || got[0] != onion+":10009" {
				t.Errorf("the proxy was asked for %q", got)
			}
		})
	}
}

func TestProxyFails(t *testing.T) {
	for _, c := range []struct {
		name  string
		proxy func(*socks) string
		to    string
	}{
		{"wrong password", func(s *socks) string { return "socks5://tor:hunter22@" + s.listener.Addr().String() }, ""},
		{"node unreachable", func(s *socks) string { return "socks5://tor:right-one@" + s.listener.Addr().String() }, "127.0.0.1:1"},
		{"no proxy there", func(*socks) string { return "socks5://tor:hunter22@127.0.0.1:1" }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			env := wallettest.NewEnv(t)
			r := newRig(t, env, lndtest.InvoiceRights, func(r *rig) {
				to := c.to
				if to == "" {
					to = r.server.Address
				}
				r.guest.Proxy = c.proxy(newSocks(t, to, "tor", "right-one"))
			})
			err := create(t, r)
			if !errors.Is(err, wallets.ErrUnavailable) {
				t.Fatalf("got %v, want ErrUnavailable", err)
			}
			for _, secret := range []string{"hunter22", "right-one"} {
				if strings.Contains(err.Error()+env.Log(), secret) {
					t.Errorf("the proxy's password is told: %v", err)
				}
			}
			if r.node.Calls("/lnrpc.Lightning/AddInvoice") != 0 {
				t.Error("the node was reached past the proxy")
			}
		})
	}
}
