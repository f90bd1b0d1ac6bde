// Package socks is a SOCKS5 proxy (RFC 1928) for tests. It stands in for Tor: it asks for a user
// name and a password (RFC 1929), resolves names that nobody else can, and keeps the names that it
// was asked for.
package socks

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// Proxy is a running proxy that connects to the hosts it knows and to nothing else.
type Proxy struct {
	// Addr is the host and port to connect to.
	Addr string
	// User and Password are what the proxy asks for.
	User, Password string

	hosts map[string]string

	mu    sync.Mutex
	asked []string
	conns map[net.Conn]struct{}
}

// Start runs a proxy until the test ends. hosts gives, for each host:port by name, the address that
// the proxy connects to.
func Start(t testing.TB, hosts map[string]string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{
		Addr: l.Addr().String(), User: "caddy", Password: "a-circuit-of-its-own",
		hosts: hosts, conns: make(map[net.Conn]struct{}),
	}
	var running sync.WaitGroup
	// Owned by the test; ends when the listener closes.
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			// Ends when either side closes, or at the test's end.
			running.Go(func() { p.serve(t, conn) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.mu.Lock()
		for c := range p.conns {
			c.Close()
		}
		p.mu.Unlock()
		running.Wait()
	})
	return p
}

// Asked lists what the proxy was asked to connect to, in order: "host:port" for a name, and
// "address host:port" for an IP address, which the client resolved itself.
func (p *Proxy) Asked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}

func (p *Proxy) serve(t testing.TB, client net.Conn) {
	p.hold(client)
	defer p.drop(client)
	_ = client.SetDeadline(time.Now().Add(10 * time.Second))
	target, err := p.handshake(client)
	if err != nil {
		t.Logf("SOCKS5: %v", err)
		return
	}
	server, err := net.Dial("tcp", target)
	if err != nil {
		_, _ = client.Write([]byte{5, 5, 0, 1, 0, 0, 0, 0, 0, 0}) // connection refused
		return
	}
	p.hold(server)
	defer p.drop(server)
	if _, err := client.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0}); err != nil {
		return
	}
	_ = client.SetDeadline(time.Time{})
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			client.Close()
			server.Close()
		})
	}
	both.Wait()
}

func (p *Proxy) hold(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[c] = struct{}{}
}

func (p *Proxy) drop(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
	c.Close()
}

// handshake reads methods, password and request and returns where to connect to.
func (p *Proxy) handshake(c net.Conn) (string, error) {
	methods, err := field(c, 1)
	if err != nil {
		return "", fmt.Errorf("reading methods: %w", err)
	}
	if !slices.Contains(methods, 2) {
		_, _ = c.Write([]byte{5, 0xff})
		return "", errors.New("the client offers no password")
	}
	if _, err := c.Write([]byte{5, 2}); err != nil {
		return "", err
	}
	user, err := field(c, 1)
	if err != nil {
		return "", fmt.Errorf("reading the user name: %w", err)
	}
	password, err := field(c, 0)
	if err != nil {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	if string(user) != p.User || string(password) != p.Password {
		_, _ = c.Write([]byte{1, 1})
		return "", errors.New("wrong user name or password")
	}
	if _, err := c.Write([]byte{1, 0}); err != nil {
		return "", err
	}
	return p.request(c)
}

// request reads version, command, a reserved byte and the address.
func (p *Proxy) request(c net.Conn) (string, error) {
	var head [4]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return "", fmt.Errorf("reading a request: %w", err)
	}
	var host, note string
	switch head[3] {
	case 1, 4:
		ip := make(net.IP, map[byte]int{1: 4, 4: 16}[head[3]])
		if _, err := io.ReadFull(c, ip); err != nil {
			return "", fmt.Errorf("reading an address: %w", err)
		}
		host, note = ip.String(), "address "
	case 3:
		name, err := field(c, 0)
		if err != nil {
			return "", fmt.Errorf("reading a name: %w", err)
		}
		host = string(name)
	}
	var port [2]byte
	if _, err := io.ReadFull(c, port[:]); err != nil {
		return "", fmt.Errorf("reading a port: %w", err)
	}
	name := net.JoinHostPort(host, strconv.Itoa(int(port[0])<<8|int(port[1])))
	p.mu.Lock()
	p.asked = append(p.asked, note+name)
	p.mu.Unlock()
	target, ok := p.hosts[name]
	if head[1] != 1 || !ok || note != "" {
		_, _ = c.Write([]byte{5, 4, 0, 1, 0, 0, 0, 0, 0, 0}) // host unreachable
		return "", fmt.Errorf("asked for %s%s, which this proxy does not serve", note, name)
	}
	return target, nil
}

// field reads so many bytes to skip, a length of one byte and so many bytes.
func field(c net.Conn, skip int) ([]byte, error) {
	head := make([]byte, skip+1)
	if _, err := io.ReadFull(c, head); err != nil {
		return nil, err
	}
	value := make([]byte, head[skip])
	_, err := io.ReadFull(c, value)
	return value, err
}
