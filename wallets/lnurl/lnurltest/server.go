// Package lnurltest is a double of a server that speaks LNURL-pay, with real invoices, for tests
// of the wallet and of what is built on it. It keeps to LUD-06, LUD-12, LUD-16 and LUD-21 unless
// it is told to break them.
package lnurltest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

// Verify says which verify addresses (LUD-21) the server gives.
type Verify int

// Kinds of verify addresses.
const (
	// VerifyHash puts the payment hash into the address, as most servers do.
	VerifyHash Verify = iota
	// VerifyRandom puts a random word there.
	VerifyRandom
	// VerifyNone is a server without LUD-21.
	VerifyNone
)

// Options are what a server is like. The zero value is a usual one over TLS.
type Options struct {
	// Listen is the address to listen on; empty is a free port of 127.0.0.1.
	Listen string
	// Name is the host's name in the addresses that the server gives; empty is the IP address.
	Name string
	// Plain serves http instead of https.
	Plain bool
	// Verify is LUD-21.
	Verify Verify
	// NoPreimage leaves the preimage out of verify answers.
	NoPreimage bool
	// Min and Max are the limits in millisatoshi; they default to 1 and 10^11.
	Min, Max uint64
	// Comment is commentAllowed.
	Comment int
	// Life is how long invoices can be paid; default an hour.
	Life time.Duration
	// Query stands in the callback and must come back with each call of it.
	Query string
}

// Call is a request that the server got.
type Call struct {
	Path  string
	Query url.Values
}

// Server serves all users there can be. It is safe for concurrent use.
type Server struct {
	http    *httptest.Server
	node    *wallettest.Node
	options Options
	done    chan struct{}

	mu       sync.Mutex
	fault    wallettest.Fault
	healed   chan struct{}
	calls    []Call
	invoices map[string]*invoice // by the word in the verify address
	change   func(path string, answer map[string]any)
	metadata string
}

type invoice struct {
	*wallettest.Issued
	user string
	paid bool
}

// New starts a server; it ends with the test.
func New(t testing.TB, network wallets.Network, o Options) *Server {
	t.Helper()
	if o.Min == 0 {
		o.Min = 1
	}
	if o.Max == 0 {
		o.Max = 100_000_000_000
	}
	if o.Life == 0 {
		o.Life = time.Hour
	}
	s := &Server{
		node: wallettest.NewNode(t, network), options: o, done: make(chan struct{}),
		healed: make(chan struct{}), invoices: make(map[string]*invoice),
		metadata: `["text/plain","a \"payee\" ☕"]`,
	}
	s.http = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	// What clients that go away leave behind is what tests want.
	s.http.Config.ErrorLog = log.New(io.Discard, "", 0)
	if o.Listen != "" {
		listener, err := net.Listen("tcp", o.Listen)
		if err != nil {
			t.Fatalf("listening: %v", err)
		}
		_ = s.http.Listener.Close()
		s.http.Listener = listener
	}
	if o.Plain {
		s.http.Start()
	} else {
		s.http.StartTLS()
	}
	t.Cleanup(func() {
		close(s.done)
		s.http.CloseClientConnections()
		s.http.Close()
	})
	return s
}

// Host is the host and port.
func (s *Server) Host() string { return s.http.Listener.Addr().String() }

// URL is the address of a user's pay request.
func (s *Server) URL(user string) string { return s.base() + "/.well-known/lnurlp/" + user }

// base is how the server calls itself.
func (s *Server) base() string {
	if s.options.Name == "" {
		return s.http.URL
	}
	scheme, _, _ := strings.Cut(s.http.URL, "://")
	_, port, _ := net.SplitHostPort(s.Host())
	return scheme + "://" + net.JoinHostPort(s.options.Name, port)
}

// CA is the server's certificate in PEM; it is for 127.0.0.1, [::1] and example.com. A server of
// plain http has none.
func (s *Server) CA() string {
	if s.options.Plain {
		return ""
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.http.Certificate().Raw}))
}

// Calls gives the requests so far.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Call(nil), s.calls...)
}

// Change has f alter each answer before it is sent; nil ends that.
func (s *Server) Change(f func(path string, answer map[string]any)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.change = f
}

// SetMetadata changes what invoices are for.
func (s *Server) SetMetadata(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.metadata = text
}

// Inflict sets a fault.
func (s *Server) Inflict(f wallettest.Fault) {
	s.mu.Lock()
	s.fault = f
	close(s.healed)
	s.healed = make(chan struct{})
	s.mu.Unlock()
	if f.Kind == wallettest.Disconnect {
		s.http.CloseClientConnections()
	}
}

// Pay makes the server take a payment of one of its invoices and gives the preimage.
func (s *Server) Pay(t testing.TB, text string) lntypes.Preimage {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range s.invoices {
		if i.Invoice == text {
			i.paid = true
			return i.Preimage
		}
	}
	t.Fatal("this server did not make the invoice")
	return lntypes.Preimage{}
}

// User tells whose invoice it is, or "".
func (s *Server) User(text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range s.invoices {
		if i.Invoice == text {
			return i.user
		}
	}
	return ""
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.calls = append(s.calls, Call{r.URL.EscapedPath(), r.URL.Query()})
	fault, healed, change := s.fault, s.healed, s.change
	s.mu.Unlock()
	if s.misbehave(w, r, fault, healed) {
		return
	}
	answer := s.answer(r, fault)
	if change != nil {
		change(r.URL.Path, answer)
	}
	w.Header().Set("Content-Type", "application/json")
	if to, ok := answer["redirect"].(string); ok {
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusFound)
	}
	if status, ok := answer["http"].(int); ok {
		delete(answer, "http")
		w.WriteHeader(status)
	}
	_ = json.NewEncoder(w).Encode(answer) // a client that went away is no matter
}

func refuse(reason string) map[string]any {
	return map[string]any{"status": "ERROR", "reason": reason}
}

func (s *Server) answer(r *http.Request, fault wallettest.Fault) map[string]any {
	mux, user := http.NewServeMux(), ""
	kind := ""
	for _, k := range []string{"/.well-known/lnurlp/{user}", "/callback/of/{user}", "/verify/{user}/done"} {
		mux.HandleFunc(k, func(_ http.ResponseWriter, r *http.Request) { kind, user = k, r.PathValue("user") })
	}
	mux.ServeHTTP(httptest.NewRecorder(), r)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch kind {
	case "/.well-known/lnurlp/{user}":
		if user == "nobody" {
			return refuse("no such user")
		}
		callback := s.base() + "/callback/of/" + url.PathEscape(user)
		if s.options.Query != "" {
			callback += "?" + s.options.Query
		}
		return map[string]any{
			"tag": "payRequest", "callback": callback, "metadata": s.metadataOf(user),
			"minSendable": s.options.Min, "maxSendable": s.options.Max, "commentAllowed": s.options.Comment,
		}
	case "/callback/of/{user}":
		return s.issue(r, user, fault)
	case "/verify/{user}/done":
		return s.verify(user)
	}
	return refuse("no such page")
}

func (s *Server) metadataOf(user string) string {
	who, _ := json.Marshal(user + "@" + s.Host()) // never fails for a text
	return "[" + s.metadata + `,["text/identifier",` + string(who) + "]]"
}

func (s *Server) issue(r *http.Request, user string, fault wallettest.Fault) map[string]any {
	amount, err := strconv.ParseUint(r.URL.Query().Get("amount"), 10, 64)
	if err != nil || amount < s.options.Min || amount > s.options.Max {
		return refuse("amount is out of bounds")
	}
	if want, _ := url.ParseQuery(s.options.Query); want != nil {
		for key := range want {
			if r.URL.Query().Get(key) != want.Get(key) {
				return refuse("the callback's own query did not come back")
			}
		}
	}
	hash := sha256.Sum256([]byte(s.metadataOf(user)))
	issued, err := s.node.Issue(wallettest.Terms{
		Amount: lnwire.MilliSatoshi(amount), DescriptionHash: &hash, Expiry: s.options.Life, Fault: fault,
	})
	if err != nil {
		return refuse(err.Error())
	}
	answer := map[string]any{
		"status": "OK", "pr": issued.Invoice, "routes": []any{},
		"successAction": map[string]any{"tag": "url", "url": "https://example.com/thanks", "description": "…"},
	}
	word := issued.Hash.String()
	if s.options.Verify == VerifyRandom {
		var random [12]byte
		_, _ = rand.Read(random[:]) // never fails
		word = fmt.Sprintf("%x", random)
	}
	s.invoices[word] = &invoice{Issued: issued, user: user}
	if s.options.Verify != VerifyNone {
		answer["verify"] = s.base() + "/verify/" + word + "/done"
	}
	return answer
}

func (s *Server) verify(word string) map[string]any {
	i := s.invoices[word]
	if i == nil || s.options.Verify == VerifyNone {
		return refuse("Not found")
	}
	answer := map[string]any{"status": "OK", "settled": i.paid, "preimage": nil, "pr": i.Invoice}
	if i.paid && !s.options.NoPreimage {
		answer["preimage"] = i.Preimage.String()
	}
	return answer
}
