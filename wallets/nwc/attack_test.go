package nwc

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/nbd-wtf/go-nostr"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

var modern = profile{encryption: "nip44_v2 nip04", methods: allMethods, notify: true}

func ask() wallets.InvoiceRequest {
	return wallets.InvoiceRequest{Amount: 21_000, Memo: "tea", Expiry: 10 * time.Minute}
}

// forged makes a response that pays another node. Only what change does to the event tells it from
// one that the wallet sends.
func (s *service) forged(t *testing.T, req nostr.Event, change func(ev *nostr.Event), then func(ev *nostr.Event)) nostr.Event {
	issued, err := s.other.Issue(wallettest.Terms{Amount: ask().Amount, Memo: ask().Memo, Expiry: ask().Expiry})
	if err != nil {
		t.Error(err)
	}
	text, err := json.Marshal(map[string]any{"result_type": methodMake, "result": map[string]any{
		"type": typeIncoming, "invoice": issued.Invoice, "payment_hash": issued.Hash.String(), "amount": uint64(issued.Amount),
	}})
	if err != nil {
		t.Error(err)
	}
	content, err := s.keys.encrypt(schemeNIP44, string(text))
	if err != nil {
		t.Error(err)
	}
	ev := nostr.Event{
		Kind: kindResponse, CreatedAt: nostr.Now(), Content: content,
		Tags: nostr.Tags{{"p", s.keys.peer}, {"e", req.ID}},
	}
	change(&ev)
	if ev.Sig == "" {
		s.sign(&ev)
	}
	then(&ev)
	return ev
}

// TestForgedResponses sends a response that must not be taken, and then the right one.
func TestForgedResponses(t *testing.T) {
	stranger := nostr.GeneratePrivateKey()
	none := func(*nostr.Event) {}
	for name, c := range map[string]struct {
		before, after func(ev *nostr.Event)
		accepted      bool
	}{
		// The control: without a flaw the wallet's own word counts.
		"no flaw":                 {none, none, true},
		"signature changed":       {none, func(ev *nostr.Event) { ev.Sig = flip(ev.Sig) }, false},
		"signature missing":       {none, func(ev *nostr.Event) { ev.Sig = "" }, false},
		"signature cut":           {none, func(ev *nostr.Event) { ev.Sig = ev.Sig[:126] }, false},
		"id changed":              {none, func(ev *nostr.Event) { ev.ID = flip(ev.ID) }, false},
		"id missing":              {none, func(ev *nostr.Event) { ev.ID = "" }, false},
		"id cut":                  {none, func(ev *nostr.Event) { ev.ID = ev.ID[:10] }, false},
		"content changed":         {none, func(ev *nostr.Event) { ev.Content = strings.Replace(ev.Content, ev.Content[40:41], "_", 1) }, false},
		"time changed":            {none, func(ev *nostr.Event) { ev.CreatedAt++ }, false},
		"another key":             {func(ev *nostr.Event) { mustSign(t, ev, stranger) }, none, false},
		"another key, own name":   {func(ev *nostr.Event) { mustSign(t, ev, stranger) }, func(ev *nostr.Event) { ev.PubKey = strings.Repeat("0", 64) }, false},
		"no tags":                 {func(ev *nostr.Event) { ev.Tags = nil }, none, false},
		"empty tags":              {func(ev *nostr.Event) { ev.Tags = nostr.Tags{{}, {"e"}, {"p"}} }, none, false},
		"for another client":      {func(ev *nostr.Event) { ev.Tags[0][1] = strings.Repeat("a", 64) }, none, false},
		"for two clients":         {func(ev *nostr.Event) { ev.Tags = append(ev.Tags, nostr.Tag{"p", strings.Repeat("a", 64)}) }, none, false},
		"for another request":     {func(ev *nostr.Event) { ev.Tags[1][1] = strings.Repeat("a", 64) }, none, false},
		"for two requests":        {func(ev *nostr.Event) { ev.Tags = append(ev.Tags, nostr.Tag{"e", strings.Repeat("a", 64)}) }, none, false},
		"long before":             {func(ev *nostr.Event) { ev.CreatedAt -= 3600 }, none, false},
		"from the future":         {func(ev *nostr.Event) { ev.CreatedAt += 3600 }, none, false},
		"a request":               {func(ev *nostr.Event) { ev.Kind = kindRequest }, none, false},
		"a notification":          {func(ev *nostr.Event) { ev.Kind = kindNotification }, none, false},
		"an info event":           {func(ev *nostr.Event) { ev.Kind = kindInfo; ev.CreatedAt += 3600 }, none, false},
		"a note to all the world": {func(ev *nostr.Event) { ev.Kind = 1 }, none, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, modern, 1)
			w := s.open(t, wallettest.NewEnv(t))
			s.evil = func(req, _ nostr.Event) []nostr.Event {
				return []nostr.Event{s.forged(t, req, c.before, c.after)}
			}
			inv, err := w.CreateInvoice(t.Context(), ask())
			if err != nil {
				t.Fatal(err)
			}
			d, err := wallets.DecodeInvoice(inv.PaymentRequest)
			if err != nil {
				t.Fatal(err)
			}
			if got := d.Payee == s.other.Payee(); got != c.accepted {
				t.Errorf("forgery accepted: %v, want %v", got, c.accepted)
			}
		})
	}
}

func flip(hex string) string {
	last := "0"
	if strings.HasSuffix(hex, "0") {
		last = "1"
	}
	return hex[:len(hex)-1] + last
}

func mustSign(t *testing.T, ev *nostr.Event, secret string) {
	if err := ev.Sign(secret); err != nil {
		t.Error(err)
	}
}

// TestReplay has the relay repeat right responses: that of an earlier request must not answer a
// later one, one that comes twice counts once, and one that comes too late does nothing.
func TestReplay(t *testing.T) {
	s := newService(t, modern, 1)
	w := s.open(t, wallettest.NewEnv(t))
	first, err := w.CreateInvoice(t.Context(), ask())
	if err != nil {
		t.Fatal(err)
	}
	var old nostr.Event
	s.set(func() {
		old = s.last
		s.evil = func(_, good nostr.Event) []nostr.Event { return []nostr.Event{old, good, good} }
	})
	second, err := w.CreateInvoice(t.Context(), ask())
	if err != nil {
		t.Fatal(err)
	}
	if first.PaymentHash == second.PaymentHash {
		t.Error("a replayed response was taken for a new one")
	}
	w.configure(options{network: wallets.Regtest, timeout: 100 * time.Millisecond})
	s.set(func() {
		s.quiet = true
		s.evil = func(_, good nostr.Event) []nostr.Event { old = good; return nil }
	})
	if _, err := w.CreateInvoice(t.Context(), ask()); !errors.Is(err, wallets.ErrUnavailable) {
		t.Fatalf("without an answer: got %v, want ErrUnavailable", err)
	}
	s.set(func() { s.quiet, s.evil = false, nil })
	s.force(old)
	w.configure(options{network: wallets.Regtest, timeout: 5 * time.Second})
	third, err := w.CreateInvoice(t.Context(), ask())
	if err != nil {
		t.Fatal(err)
	}
	if third.PaymentHash == first.PaymentHash || third.PaymentHash == second.PaymentHash {
		t.Error("a late response was taken for a new one")
	}
}

// TestLyingRelay has one of two relays misbehave; the other one is enough.
func TestLyingRelay(t *testing.T) {
	for name, lie := range map[string]func(s *service, r *relay){
		"passes nothing on":         func(_ *service, r *relay) { r.fault = relayHoards },
		"rejects":                   func(_ *service, r *relay) { r.fault, r.reason = relayRejects, "blocked: go away" },
		"sends without end":         func(_ *service, r *relay) { r.fault = relayFloods },
		"breaks":                    func(_ *service, r *relay) { r.fault = relayCuts },
		"is not there":              func(_ *service, r *relay) { r.refuse = true },
		"keeps the info event back": func(_ *service, r *relay) { clear(r.stored) },
		"shows an old info event": func(s *service, r *relay) {
			ev := nostr.Event{Kind: kindInfo, CreatedAt: nostr.Now() - 1000, Content: "make_invoice"}
			s.sign(&ev)
			r.stored[ev.PubKey] = ev
		},
		"shows a forged info event": func(s *service, r *relay) {
			ev := nostr.Event{Kind: kindInfo, CreatedAt: nostr.Now() + 5, Content: "nothing", Tags: nostr.Tags{{"encryption", "rot13"}}}
			s.sign(&ev)
			ev.Sig = flip(ev.Sig)
			r.stored[ev.PubKey] = ev
		},
		"changes each answer": func(s *service, r *relay) {
			r.warp = func(ev nostr.Event) nostr.Event { ev.Content = "AAAA" + ev.Content[4:]; return ev }
		},
		"talks rubbish": func(s *service, r *relay) {
			r.warp = func(ev nostr.Event) nostr.Event {
				return nostr.Event{Kind: -1, ID: strings.Repeat("[", 100), Tags: nostr.Tags{{}, {""}}}
			}
		},
	} {
		for i := range 2 {
			t.Run(name, func(t *testing.T) {
				s := newService(t, modern, 2)
				s.relays[i].set(func() { lie(s, s.relays[i]) })
				w := s.open(t, wallettest.NewEnv(t))
				for range 5 {
					inv, err := w.CreateInvoice(t.Context(), ask())
					if err != nil {
						t.Fatal(err)
					}
					if _, err := w.LookupInvoice(t.Context(), inv.PaymentHash); err != nil {
						t.Fatal(err)
					}
				}
			})
		}
	}
}

// TestRubbish sends lines that are no messages between the right ones.
func TestRubbish(t *testing.T) {
	s := newService(t, modern, 1)
	w := s.open(t, wallettest.NewEnv(t))
	if err := w.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"", "null", "[]", "[1]", `["EVENT"]`, `["EVENT","wallet"]`, `["EVENT","wallet",null]`, `["EVENT","wallet",{}]`,
		`["EVENT","wallet",{"kind":23195}]`, `["EVENT","other",{"kind":23195}]`, `["EVENT",{"kind":23195},"wallet"]`,
		`["EVENT","wallet",{"kind":1e99}]`, `["EVENT","wallet",{"created_at":9223372036854775807,"kind":13194}]`,
		`["OK"]`, `["OK",1,2,3]`, `["OK","",true]`, `["OK","",false,"blocked:"]`, `["EOSE","info","x"]`, `["EOSE"]`,
		`["NOTICE","` + strings.Repeat("n", 1000) + `"]`, `["COUNT","x",{}]`, `["CLOSED","other","bye"]`,
		strings.Repeat("[", 100_000), `["EVENT","wallet",` + strings.Repeat(`{"a":`, 20_000), "\xff\xfe",
	} {
		s.relays[0].raw(line)
	}
	if _, err := w.CreateInvoice(t.Context(), ask()); err != nil {
		t.Fatal(err)
	}
	if n := s.relays[0].openedCount(); n != 1 {
		t.Errorf("%d connections were made, want 1: rubbish must not end one", n)
	}
}

// TestGarbageContent has the wallet itself sign what cannot be read. The call ends at once.
func TestGarbageContent(t *testing.T) {
	for name, content := range map[string]string{
		"nothing":            "",
		"no base64":          "ééé",
		"line breaks":        strings.Repeat("\n", 200),
		"an odd IV":          "AAAAAAAAAAAAAAAAAAAAAA==?iv=AAAA",
		"half a block":       "AAAA?iv=AAAAAAAAAAAAAAAAAAAAAA==",
		"two IVs":            "AAAAAAAAAAAAAAAAAAAAAA==?iv=AAAAAAAAAAAAAAAAAAAAAA==?iv=AAAA",
		"NIP-04 noise":       "AAAAAAAAAAAAAAAAAAAAAA==?iv=AAAAAAAAAAAAAAAAAAAAAA==",
		"NIP-44 of nothing":  strings.Repeat("A", 132),
		"NIP-44 version 255": "/w" + strings.Repeat("A", 130),
		"long":               strings.Repeat("A", 100_000),
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, modern, 1)
			w := s.open(t, wallettest.NewEnv(t))
			s.quiet = true
			s.evil = func(req, _ nostr.Event) []nostr.Event { return []nostr.Event{s.event(req, content)} }
			start := time.Now()
			if _, err := w.CreateInvoice(t.Context(), ask()); !errors.Is(err, wallets.ErrBadAnswer) {
				t.Errorf("got %v, want ErrBadAnswer", err)
			}
			if took := time.Since(start); took > 3*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// TestLyingWallet has the wallet answer in form but not what was asked.
func TestLyingWallet(t *testing.T) {
	change := func(name string, v any) func(map[string]any) {
		return func(r map[string]any) { r["result"].(map[string]any)[name] = v }
	}
	zero := lntypes.Hash{}
	foreign := wallettest.NewNode(t, wallets.Regtest)
	issued, err := foreign.Issue(wallettest.Terms{Amount: 21_000})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, method string
		settled      bool
		lie          func(map[string]any)
		want         error
	}{
		{"another amount told", methodMake, false, change("amount", 20_999), wallets.ErrBadAnswer},
		{"a negative amount", methodMake, false, change("amount", -21_000), wallets.ErrBadAnswer},
		{"an amount in words", methodMake, false, change("amount", "21 sat"), wallets.ErrBadAnswer},
		{"another hash", methodMake, false, change("payment_hash", zero.String()), wallets.ErrBadInvoice},
		{"a short hash", methodMake, false, change("payment_hash", "00"), wallets.ErrBadAnswer},
		{"no invoice", methodMake, false, change("invoice", ""), wallets.ErrBadInvoice},
		{"neither invoice nor hash", methodMake, false, func(r map[string]any) { r["result"] = map[string]any{} }, wallets.ErrBadAnswer},
		{"another method", methodMake, false, func(r map[string]any) { r["result_type"] = methodLookup }, wallets.ErrBadAnswer},
		{"null", methodMake, false, func(r map[string]any) { r["result"] = nil }, wallets.ErrBadAnswer},
		{"a list", methodMake, false, func(r map[string]any) { r["result"] = []int{1} }, wallets.ErrBadAnswer},
		{"about another hash", methodLookup, true, change("payment_hash", zero.String()), wallets.ErrBadAnswer},
		{"about no hash", methodLookup, true, change("payment_hash", nil), wallets.ErrBadAnswer},
		{"the invoice of another", methodLookup, true, change("invoice", issued.Invoice), wallets.ErrBadAnswer},
		{"a preimage that does not fit", methodLookup, true, change("preimage", issued.Preimage.String()), wallets.ErrBadAnswer},
		{"a preimage that is none", methodLookup, true, change("preimage", "yes"), wallets.ErrBadAnswer},
		{"paid with less", methodLookup, true, change("amount", 20_999), wallets.ErrBadAnswer},
		{"paid with nothing", methodLookup, true, change("amount", nil), wallets.ErrBadAnswer},
		{"a payment that went out", methodLookup, true, change("type", typeOutgoing), wallets.ErrBadAnswer},
		{"a state that is none", methodLookup, true, change("state", "maybe"), wallets.ErrBadAnswer},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newService(t, modern, 1)
			w := s.open(t, wallettest.NewEnv(t))
			inv, err := w.CreateInvoice(t.Context(), ask())
			if err != nil {
				t.Fatal(err)
			}
			if c.settled {
				s.pay(t, inv.PaymentRequest)
			}
			s.set(func() {
				s.tamper = func(method string, r map[string]any) {
					if method == c.method {
						c.lie(r)
					}
				}
			})
			if c.method == methodMake {
				_, err = w.CreateInvoice(t.Context(), ask())
			} else {
				_, err = w.LookupInvoice(t.Context(), inv.PaymentHash)
			}
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// TestUnpaidPreimage has the wallet tell the preimage of an invoice that nobody paid.
func TestUnpaidPreimage(t *testing.T) {
	for name, state := range map[string]any{"pending": "pending", "no state": ""} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, modern, 1)
			w := s.open(t, wallettest.NewEnv(t))
			inv, err := w.CreateInvoice(t.Context(), ask())
			if err != nil {
				t.Fatal(err)
			}
			s.set(func() {
				preimage := s.books[inv.PaymentHash].preimage
				s.tamper = func(_ string, r map[string]any) {
					result := r["result"].(map[string]any)
					result["preimage"], result["state"], result["settled_at"] = preimage.String(), state, 0
				}
			})
			st, err := w.LookupInvoice(t.Context(), inv.PaymentHash)
			if err != nil {
				t.Fatal(err)
			}
			if st.State != wallets.StatePending || st.Preimage != nil || st.AmountPaid != 0 {
				t.Errorf("got %+v, want pending and no preimage", st)
			}
		})
	}
}

// TestNothingLeaks looks at the requests as a relay sees them.
func TestNothingLeaks(t *testing.T) {
	s := newService(t, modern, 1)
	w := s.open(t, wallettest.NewEnv(t))
	if _, err := w.CreateInvoice(t.Context(), ask()); err != nil {
		t.Fatal(err)
	}
	s.relays[0].mu.Lock()
	defer s.relays[0].mu.Unlock()
	for _, ev := range s.relays[0].requests {
		line, err := json.Marshal(ev)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{s.client, "tea", methodMake, "21000"} {
			if bytes.Contains(line, []byte(word)) {
				t.Errorf("the relay sees %q", word)
			}
		}
	}
}
