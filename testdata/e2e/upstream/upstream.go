// Package upstream is the server behind the gateway: it answers everything, counts it and keeps
// what arrived, so that a test can say what never came through.
package upstream

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Request is one request that arrived.
type Request struct {
	// Method is the verb as received.
	Method string
	// Target is the request line's target, not decoded.
	Target string
	// Header holds the fields, without Host.
	Header http.Header
	// Body is at most 1 MiB of the content.
	Body string
}

// Server is the upstream. Its special paths, below any prefix, are
//
//	…/status/<code>   answers with that code
//	…/slow/<ms>       answers after so many milliseconds
//	…/ws              takes a websocket upgrade and echoes bytes as they come
//
// Everything else gets 200 and "METHOD TARGET".
type Server struct {
	// Addr is the host and port to send requests to.
	Addr string

	mu   sync.Mutex
	seen []Request
}

// Start runs a server until the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{}
	ts := httptest.NewServer(s)
	t.Cleanup(ts.Close)
	s.Addr = ts.Listener.Addr().String()
	return s
}

// ServeHTTP records the request and answers it.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.seen = append(s.seen, Request{Method: r.Method, Target: r.RequestURI, Header: r.Header.Clone(), Body: string(body)})
	s.mu.Unlock()
	parts := strings.Split(r.URL.Path, "/")
	last, before := parts[len(parts)-1], ""
	if len(parts) > 1 {
		before = parts[len(parts)-2]
	}
	switch {
	case last == "ws" && strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
		echo(w, r)
		return
	case before == "status":
		if code, err := strconv.Atoi(last); err == nil {
			w.WriteHeader(code)
			return
		}
	case before == "slow":
		if ms, err := strconv.Atoi(last); err == nil {
			time.Sleep(time.Duration(ms) * time.Millisecond)
		}
	}
	fmt.Fprintf(w, "%s %s", r.Method, r.RequestURI)
}

// echo answers the websocket handshake (RFC 6455, section 4.2.2) and sends back each byte that
// comes; it does not look into frames.
func echo(w http.ResponseWriter, r *http.Request) {
	conn, rw, err := w.(http.Hijacker).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:]))
	copyBytes(conn, rw.Reader)
}

func copyBytes(conn net.Conn, from *bufio.Reader) {
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if _, err := conn.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// Requests returns what arrived so far, in order.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.seen...)
}

// Count is the number of requests that arrived so far.
func (s *Server) Count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen)
}

// Last is the latest request; the test fails when there is none.
func (s *Server) Last(t testing.TB) Request {
	t.Helper()
	all := s.Requests()
	if len(all) == 0 {
		t.Fatal("no request reached the upstream")
	}
	return all[len(all)-1]
}

// Reached lists the requests so far that ask for something below prefix, which ends in a slash, as
// a usual server understands their paths: percent-decoded once, dots and double slashes resolved,
// in any case of letters.
func (s *Server) Reached(prefix string) []string {
	var hits []string
	for _, r := range s.Requests() {
		if below(prefix, r.Target) {
			hits = append(hits, r.Method+" "+r.Target)
		}
	}
	return hits
}

func below(prefix, target string) bool {
	p, _, _ := strings.Cut(target, "?")
	if decoded, err := url.PathUnescape(p); err == nil {
		p = decoded
	}
	return strings.HasPrefix(strings.ToLower(path.Clean("/"+p)), strings.ToLower(prefix))
}
