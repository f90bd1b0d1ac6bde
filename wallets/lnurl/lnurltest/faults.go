package lnurltest

import (
	"bytes"
	"fmt"
	"net/http"
	"time"

	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

// misbehave plays the faults that concern whole answers and tells whether it wrote one.
func (s *Server) misbehave(w http.ResponseWriter, r *http.Request, f wallettest.Fault, healed <-chan struct{}) bool {
	switch f.Kind {
	case wallettest.Slow:
		timer := time.NewTimer(f.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
		case <-s.done:
		}
		return false
	case wallettest.Hang:
		select {
		case <-healed:
		case <-r.Context().Done():
		case <-s.done:
		}
		// To return would be to answer 200, and what hangs never answers.
		panic(http.ErrAbortHandler)
	case wallettest.Garbage:
		fmt.Fprint(w, "<html>welcome to the café\x00\xff")
	case wallettest.Huge:
		s.endless(w, r)
	case wallettest.Disconnect:
		s.cut(w)
	case wallettest.Unauthorized:
		http.Error(w, "who are you?", http.StatusUnauthorized)
	case wallettest.ServerError:
		http.Error(w, "broken at "+r.URL.String(), http.StatusInternalServerError)
	default:
		return false
	}
	return true
}

// endless begins a JSON object that never ends.
func (s *Server) endless(w http.ResponseWriter, r *http.Request) {
	chunk := bytes.Repeat([]byte("x"), 32<<10)
	if _, err := w.Write([]byte(`{"status":"OK","pr":"`)); err != nil {
		return
	}
	for {
		select {
		case <-r.Context().Done():
			return
		case <-s.done:
			return
		default:
		}
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

// cut ends the connection in the middle of an answer.
func (s *Server) cut(w http.ResponseWriter) {
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		return
	}
	conn, _, err := hijacker.Hijack()
	if err != nil {
		return
	}
	_, _ = conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n{\"status\":"))
	_ = conn.Close()
}
