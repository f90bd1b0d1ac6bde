package nwc

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/nbd-wtf/go-nostr"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

var allMethods = []string{
	methodGetInfo, methodMake, methodLookup, methodList, methodPay,
	methodMakeHold, methodSettleHold, methodCancelHold,
}

// profile is what a service double offers.
type profile struct {
	// encryption is the info event's tag; "-" leaves the tag out, "" the whole event.
	encryption string
	methods    []string
	notify     bool
	// terse leaves out the state, as older wallets do.
	terse bool
}

// service is a wallet service double: the other end of NIP-47, with a node of its own.
type service struct {
	profile
	relays []*relay
	keys   *keys
	client string // the client's secret
	node   *wallettest.Node
	other  *wallettest.Node
	wg     sync.WaitGroup

	mu    sync.Mutex
	fault wallettest.Fault
	books map[lntypes.Hash]*booked
	order []*booked
	dues  map[string]lntypes.Preimage // invoices that the client may pay
	seen  map[string]bool             // requests that were acted on
	calls map[string]int
	last  nostr.Event // the last response
	// tamper changes a response before it is encrypted.
	tamper func(method string, r map[string]any)
	// evil makes events that are sent before the right response to the request.
	evil func(req, good nostr.Event) []nostr.Event
	// quiet answers nothing but evil; dropAfter breaks the connections in place of the answer.
	quiet, dropAfter bool
	// ignores are parameters of list_transactions that the wallet does not know.
	ignores []string
}

type booked struct {
	issued   *wallettest.Issued
	preimage lntypes.Preimage
	hold     bool
	state    string
	settled  time.Time
}

func newService(t testing.TB, p profile, relayCount int) *service {
	t.Helper()
	walletSecret, clientSecret := nostr.GeneratePrivateKey(), nostr.GeneratePrivateKey()
	clientPub, err := nostr.GetPublicKey(clientSecret)
	if err != nil {
		t.Fatal(err)
	}
	k, err := newKeys(walletSecret, clientPub)
	if err != nil {
		t.Fatal(err)
	}
	s := &service{
		profile: p, keys: k, client: clientSecret,
		node: wallettest.NewNode(t, wallets.Regtest), other: wallettest.NewNode(t, wallets.Regtest),
		books: make(map[lntypes.Hash]*booked), dues: make(map[string]lntypes.Preimage),
		seen: make(map[string]bool), calls: make(map[string]int),
	}
	// After the relays, whose cleanups come first.
	t.Cleanup(s.wg.Wait)
	for range relayCount {
		s.relays = append(s.relays, newRelay(t, func(_ *relay, ev nostr.Event) { s.request(ev) }))
	}
	s.announce()
	return s
}

// announce publishes the info event.
func (s *service) announce() {
	if s.encryption == "" {
		return
	}
	ev := nostr.Event{Kind: kindInfo, CreatedAt: nostr.Now(), Content: strings.Join(s.methods, " ")}
	if s.encryption != "-" {
		ev.Tags = append(ev.Tags, nostr.Tag{"encryption", s.encryption})
	}
	if s.notify {
		ev.Tags = append(ev.Tags, nostr.Tag{"notifications", "payment_received payment_sent"})
	}
	s.sign(&ev)
	for _, r := range s.relays {
		r.store(ev)
	}
}

func (s *service) sign(ev *nostr.Event) {
	if err := ev.Sign(s.keys.secret); err != nil {
		panic(err)
	}
}

func (s *service) uri() string {
	var b strings.Builder
	fmt.Fprintf(&b, "nostr+walletconnect://%s?", s.keys.public)
	for i, r := range s.relays {
		relay := r.url
		if i%2 == 0 {
			relay = url.QueryEscape(relay)
		}
		fmt.Fprintf(&b, "relay=%s&", relay)
	}
	fmt.Fprintf(&b, "secret=%s&lud16=someone@example.com", s.client)
	return b.String()
}

// broadcast sends an event through all relays.
func (s *service) broadcast(ev nostr.Event) {
	for _, r := range s.relays {
		r.broadcast(ev)
	}
}

// force sends an event to all clients of all relays, whatever they asked for.
func (s *service) force(ev nostr.Event) {
	line, err := json.Marshal([]any{"EVENT", subWallet, ev})
	if err != nil {
		panic(err)
	}
	for _, r := range s.relays {
		r.raw(string(line))
	}
}

func (s *service) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// allowed are the schemes that the service understands.
func (s *service) allowed() []string {
	if s.encryption == "" || s.encryption == "-" {
		return []string{string(schemeNIP04)}
	}
	return strings.Fields(s.encryption)
}

// request acts on an event of the client, in its own goroutine.
func (s *service) request(ev nostr.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen[ev.ID] || ev.Kind != kindRequest || ev.PubKey != s.keys.peer {
		return
	}
	s.seen[ev.ID] = true
	fault := s.fault
	if fault.Kind == wallettest.Hang {
		return
	}
	// Ends after the answer; the test's cleanup waits.
	s.wg.Go(func() {
		if fault.Kind == wallettest.Slow {
			time.Sleep(fault.Delay)
		}
		s.mu.Lock()
		answer := s.answer(ev, fault)
		var evil []nostr.Event
		if s.evil != nil {
			evil = s.evil(ev, *answer)
		}
		quiet := s.quiet || s.dropAfter
		drop := s.dropAfter
		s.dropAfter = false
		s.mu.Unlock()
		if drop {
			for _, r := range s.relays {
				r.cut()
			}
		}
		for _, e := range evil {
			s.force(e)
		}
		if !quiet {
			s.broadcast(*answer)
		}
	})
}

func (s *service) answer(ev nostr.Event, fault wallettest.Fault) *nostr.Event {
	tag := ev.Tags.GetFirst([]string{"encryption", ""})
	expiration := ev.Tags.GetFirst([]string{"expiration", ""})
	if tag == nil || expiration == nil || !ev.Tags.ContainsAny("p", []string{s.keys.public}) {
		panic("request without its tags")
	}
	used := scheme((*tag)[1])
	if !slices.Contains(s.allowed(), string(used)) {
		return s.reply(ev, used.other(), "", nil, &walletError{code: codeEncryption, message: "not that one"})
	}
	text, err := s.keys.decrypt(ev.Content)
	if err != nil {
		panic(err)
	}
	var req struct {
		Method string
		Params map[string]any
	}
	if err := json.Unmarshal([]byte(text), &req); err != nil {
		panic(err)
	}
	s.calls[req.Method]++
	switch {
	case fault.Kind == wallettest.Garbage:
		out := s.event(ev, "bm90IGVuY3J5cHRlZA==?iv=bm90IGFuIGl2")
		return &out
	case fault.Kind == wallettest.Unauthorized:
		return s.reply(ev, used, req.Method, nil, &walletError{code: codeUnauthorized, message: "no wallet for " + s.client})
	case fault.Kind == wallettest.ServerError:
		return s.reply(ev, used, req.Method, nil, &walletError{code: codeInternal, message: "panic: secret=" + s.client})
	case !slices.Contains(s.methods, req.Method):
		return s.reply(ev, used, req.Method, nil, &walletError{code: codeNotImplemented, message: "unknown method"})
	}
	result, err := s.do(req.Method, req.Params, fault)
	var refusal *walletError
	if err != nil && !errors.As(err, &refusal) {
		refusal = &walletError{code: "OTHER", message: err.Error()}
	}
	return s.reply(ev, used, req.Method, result, refusal)
}

func (s *service) reply(req nostr.Event, used scheme, method string, result any, refusal *walletError) *nostr.Event {
	body := map[string]any{"result_type": method, "result": result, "error": nil}
	if refusal != nil {
		body["result"] = nil
		body["error"] = map[string]string{"code": refusal.code, "message": refusal.message}
	}
	if s.tamper != nil {
		s.tamper(method, body)
	}
	text, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	content, err := s.keys.encrypt(used, string(text))
	if err != nil {
		panic(err)
	}
	out := s.event(req, content)
	return &out
}

// event makes the signed response to a request.
func (s *service) event(req nostr.Event, content string) nostr.Event {
	out := nostr.Event{
		Kind: kindResponse, CreatedAt: nostr.Now(), Content: content,
		Tags: nostr.Tags{{"p", s.keys.peer}, {"e", req.ID}},
	}
	s.sign(&out)
	s.last = out
	return out
}

// find gives the books' entry of an invoice.
func (s *service) find(t testing.TB, invoice string) *booked {
	t.Helper()
	d, err := wallets.DecodeInvoice(invoice)
	if err != nil {
		t.Fatal(err)
	}
	b := s.books[d.PaymentHash]
	if b == nil {
		t.Fatal("the service knows no such invoice")
	}
	return b
}

// pay has the service receive a payment.
func (s *service) pay(t testing.TB, invoice string) {
	t.Helper()
	s.mu.Lock()
	b := s.find(t, invoice)
	if b.hold {
		b.state = stateAccepted
		s.mu.Unlock()
		return
	}
	b.state, b.settled = stateSettled, time.Now()
	events := s.notifications(b)
	s.mu.Unlock()
	for _, ev := range events {
		s.broadcast(ev)
	}
}

// notifications are the events that tell of a payment, one for each encryption.
func (s *service) notifications(b *booked) []nostr.Event {
	if !s.notify {
		return nil
	}
	text, err := json.Marshal(map[string]any{"notification_type": paymentReceived, "notification": s.write(b)})
	if err != nil {
		panic(err)
	}
	var out []nostr.Event
	for _, name := range s.allowed() {
		content, err := s.keys.encrypt(scheme(name), string(text))
		if err != nil {
			panic(err)
		}
		kind := kindNotification
		if scheme(name) == schemeNIP04 {
			kind = kindNotification4
		}
		ev := nostr.Event{Kind: kind, CreatedAt: nostr.Now(), Content: content, Tags: nostr.Tags{{"p", s.keys.peer}}}
		s.sign(&ev)
		out = append(out, ev)
	}
	return out
}

func (s *service) mark(state string) func(testing.TB, string) {
	return func(t testing.TB, invoice string) {
		t.Helper()
		s.mu.Lock()
		defer s.mu.Unlock()
		b := s.find(t, invoice)
		b.state = state
		if state == stateExpired {
			b.issued.ExpiresAt = time.Now().Add(-time.Hour)
		}
	}
}

func (s *service) payable(t testing.TB, amount lnwire.MilliSatoshi) string {
	t.Helper()
	issued, err := s.other.Issue(wallettest.Terms{Amount: amount, Memo: "to pay"})
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dues[issued.Invoice] = issued.Preimage
	return issued.Invoice
}

// inflict sets a fault of the service, or of all relays where it is about connections.
func (s *service) inflict(_ testing.TB, f wallettest.Fault) {
	s.mu.Lock()
	s.fault = f
	s.mu.Unlock()
	wrong := relayFine
	switch f.Kind {
	case wallettest.Disconnect:
		wrong = relayCuts
	case wallettest.Huge:
		wrong = relayFloods
	}
	for _, r := range s.relays {
		r.set(func() { r.fault = wrong })
		if wrong == relayCuts {
			r.cut()
		}
	}
}

func (s *service) count(method string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[method]
}

// secrets are what must never come out.
func (s *service) secrets() []string {
	raw, _ := hex.DecodeString(s.client)
	return []string{s.client, string(raw), "relaytoken1234567890abcdef"}
}
