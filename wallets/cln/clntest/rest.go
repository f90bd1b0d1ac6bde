package clntest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

// rule is what a rune allows.
type rule struct {
	methods          []string
	blocked, tooSoon bool
}

// Rune makes a rune for the commands, or for all where none is named.
func (n *Node) Rune(methods ...string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	b = append(b, "="+strconv.Itoa(len(n.runes))...)
	for i, m := range methods {
		b = append(b, "&|"[min(i, 1)])
		b = append(b, "method="+m...)
	}
	text := base64.URLEncoding.EncodeToString(b)
	n.runes[text] = &rule{methods: methods}
	return text
}

// Block puts a rune on the black list.
func (n *Node) Block(text string) { n.rule(text, func(r *rule) { r.blocked = true }) }

// Limit makes all further calls with the rune come too soon, or ends that.
func (n *Node) Limit(text string, tooSoon bool) {
	n.rule(text, func(r *rule) { r.tooSoon = tooSoon })
}

// Revoke has the node not know the rune any more.
func (n *Node) Revoke(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.runes, text)
}

func (n *Node) rule(text string, change func(*rule)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change(n.runes[text])
}

// refuse gives status and error where the rune does not allow the command.
func (n *Node) refuse(text, method string) (int, *Error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r := n.runes[text]
	switch {
	case text == "":
		return http.StatusForbidden, &Error{1501, "Not authorized: Missing rune"}
	case r == nil:
		return http.StatusUnauthorized, &Error{1501, "Not authorized: Not derived from master"}
	case r.blocked:
		return http.StatusUnauthorized, &Error{1503, "Not authorized: Blacklisted rune"}
	case len(r.methods) > 0 && !slices.Contains(r.methods, method):
		return http.StatusUnauthorized, &Error{1502, "Not permitted: method is not equal to " + r.methods[0]}
	case r.tooSoon:
		return http.StatusUnauthorized, &Error{1502, "Not permitted: too soon"}
	}
	return 0, nil
}

// ServeREST serves the node as clnrest does and gives its URL. Without a certificate it is http.
// It ends with the test.
func (n *Node) ServeREST(t testing.TB, cert *tls.Certificate) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A cut of the connections ends waiting commands.
		inner, stop := context.WithCancel(r.Context())
		defer stop()
		defer context.AfterFunc(ctx, stop)()
		defer n.onCut(stop)()
		n.serveREST(w, r.WithContext(inner))
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	if cert != nil {
		server.TLS = &tls.Config{Certificates: []tls.Certificate{*cert}}
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(func() {
		cancel()
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL
}

func (n *Node) serveREST(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	fault := n.currentFault()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	switch fault.Kind {
	case wallettest.Slow:
		if !sleep(ctx, fault.Delay) {
			return
		}
	case wallettest.Hang:
		<-ctx.Done()
		// To return would be to answer 200, and what hangs never answers.
		panic(http.ErrAbortHandler)
	case wallettest.Garbage:
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, "<html>this is no answer</html>")
		return
	case wallettest.Huge:
		w.WriteHeader(http.StatusCreated)
		_, err := io.WriteString(w, `{"invoices":["`)
		for filler := bytes.Repeat([]byte("x"), 16<<10); err == nil && ctx.Err() == nil; {
			_, err = w.Write(filler)
		}
		return
	case wallettest.ServerError:
		refuse(w, http.StatusInternalServerError, &Error{0, "Connection refused; rune " + r.Header.Get("Rune")})
		return
	case wallettest.Unauthorized:
		refuse(w, http.StatusUnauthorized, &Error{1501, "Not authorized: " + r.Header.Get("Rune") + " is not derived from master"})
		return
	}
	status, answer := n.call(ctx, r, body)
	if ctx.Err() != nil && r.Context().Err() != nil {
		panic(http.ErrAbortHandler)
	}
	b, _ := json.Marshal(answer) // of maps and texts: cannot fail
	if fault.Kind == wallettest.Disconnect {
		w.Header().Set("Content-Length", strconv.Itoa(len(b)))
		w.WriteHeader(status)
		_, _ = w.Write(b[:len(b)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

// call does what clnrest does with a request: path, rune, command.
func (n *Node) call(ctx context.Context, r *http.Request, body []byte) (int, object) {
	method, ok := strings.CutPrefix(r.URL.Path, "/v1/")
	switch {
	case !ok:
		return http.StatusNotFound, failure(&Error{-32601, "Path invalid, version missing for CLN methods"})
	case r.Method != http.MethodPost:
		return http.StatusMethodNotAllowed, failure(&Error{-32601, "Path invalid, http_method must be POST for CLN methods"})
	case !strings.Contains(r.Header.Get("Content-Type"), "application/json"):
		return http.StatusNotAcceptable, failure(&Error{0, "Unsupported content-type header"})
	}
	var p map[string]any
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&p); err != nil {
		return http.StatusInternalServerError, failure(&Error{0, "Could not parse as JSON request: " + err.Error()})
	}
	if status, e := n.refuse(r.Header.Get("Rune"), method); e != nil {
		return status, failure(e)
	}
	result, e := n.run(ctx, method, reencode(p))
	switch {
	case e == nil:
		return http.StatusCreated, result
	case e.Code == -32601:
		return http.StatusNotFound, failure(e)
	}
	return http.StatusInternalServerError, failure(e)
}

// reencode writes parameters as clnrest passes them on: characters as they are, except those that
// JSON must escape.
func reencode(p map[string]any) params {
	out := make(params)
	for name, value := range p {
		var b strings.Builder
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		_ = e.Encode(value) // of what was decoded: cannot fail
		text := strings.NewReplacer(`\u2028`, "\u2028", `\u2029`, "\u2029").Replace(strings.TrimSpace(b.String()))
		out[name] = json.RawMessage(text)
	}
	return out
}

func failure(e *Error) object {
	out := object{"code": nil, "message": e.Message, "data": nil}
	if e.Code != 0 {
		out["code"] = e.Code
	}
	return out
}

func refuse(w http.ResponseWriter, status int, e *Error) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(failure(e)) // the client may be gone
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
