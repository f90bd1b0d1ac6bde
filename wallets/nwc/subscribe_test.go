package nwc

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/nbd-wtf/go-nostr"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

// ear is a subscription under test.
type ear struct {
	cancel context.CancelFunc
	done   chan error
	mu     sync.Mutex
	heard  []wallets.Settlement
}

func listen(t *testing.T, w *Wallet, cursor string) *ear {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	e := &ear{cancel: cancel, done: make(chan error, 1)}
	// Ends with cancel, at the latest in the cleanup.
	go func() {
		e.done <- w.SubscribeSettlements(ctx, cursor, func(s wallets.Settlement) {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.heard = append(e.heard, s)
		})
	}()
	t.Cleanup(cancel)
	return e
}

func (e *ear) all() []wallets.Settlement {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]wallets.Settlement(nil), e.heard...)
}

// wait waits until n settlements came, and a little longer for those that should not come.
func (e *ear) wait(t *testing.T, n int) []wallets.Settlement {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); len(e.all()) < n && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
	time.Sleep(50 * time.Millisecond)
	got := e.all()
	if len(got) != n {
		t.Fatalf("%d settlements came, want %d", len(got), n)
	}
	return got
}

// ready waits until the subscription's first look is over.
func (s *service) ready(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); s.count(methodList) == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the list was never asked for")
		}
	}
	time.Sleep(100 * time.Millisecond)
}

// sell makes invoices and has them paid.
func (s *service) sell(t *testing.T, w *Wallet, n int) []lntypes.Hash {
	t.Helper()
	var out []lntypes.Hash
	for range n {
		inv, err := w.CreateInvoice(t.Context(), ask())
		if err != nil {
			t.Fatal(err)
		}
		s.pay(t, inv.PaymentRequest)
		out = append(out, inv.PaymentHash)
	}
	return out
}

// TestCatchUp resumes over more settlements than one answer holds, with wallets that read the
// parameters in their own ways.
func TestCatchUp(t *testing.T) {
	for name, ignores := range map[string][]string{
		"by the book": nil, "without from": {"from"}, "without type and unpaid": {"type"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, modern, 1)
			s.ignores = ignores
			w := s.open(t, wallettest.NewEnv(t))
			cursor := strconv.FormatInt(time.Now().Add(-time.Second).Unix(), 10) + "-60"
			s.set(func() {
				// Old ones, which must not come again.
				for range 30 {
					issued, err := s.node.Issue(wallettest.Terms{Amount: 1000, Timestamp: time.Now().Add(-48 * time.Hour)})
					if err != nil {
						t.Fatal(err)
					}
					b := &booked{issued: issued, preimage: issued.Preimage, state: stateSettled, settled: time.Now().Add(-47 * time.Hour)}
					s.books[issued.Hash], s.order = b, append(s.order, b)
				}
			})
			sold := s.sell(t, w, 2*listPage+5)
			e := listen(t, w, cursor)
			for i, got := range e.wait(t, len(sold)) {
				if got.PaymentHash != sold[i] || got.AmountPaid != ask().Amount || got.SettledAt.IsZero() {
					t.Fatalf("settlement %d is %+v", i, got)
				}
			}
			more := s.sell(t, w, 1)
			if got := e.wait(t, len(sold)+1); got[len(sold)].PaymentHash != more[0] {
				t.Error("the new settlement is another one")
			}
		})
	}
}

// TestListWithoutEnd: a wallet that ignores the offset is not asked for ever.
func TestListWithoutEnd(t *testing.T) {
	s := newService(t, modern, 1)
	s.ignores = []string{"offset"}
	w := s.open(t, wallettest.NewEnv(t))
	sold := s.sell(t, w, listPage+2)
	e := listen(t, w, "1000-60")
	e.wait(t, listPage)
	if n := s.count(methodList); n > 4 {
		t.Errorf("the list was asked for %d times", n)
	}
	_ = sold
}

// TestMark: the cursor stays behind what could still be missing, and resuming from it tells the
// latest again but nothing older.
func TestMark(t *testing.T) {
	s := newService(t, modern, 1)
	w := s.open(t, wallettest.NewEnv(t))
	e := listen(t, w, "1000-90000")
	s.ready(t)
	s.sell(t, w, 1)
	got := e.wait(t, 1)[0]
	mark, back, err := parseCursor(got.Cursor)
	if err != nil {
		t.Fatal(err)
	}
	if age := time.Since(mark); age < markSlack-2*time.Second || age > markSlack+5*time.Second {
		t.Errorf("the mark is %s old, want about %s", age, markSlack)
	}
	if back != 90_000*time.Second {
		t.Errorf("the look-back is %s and not that of the cursor", back)
	}
	e.cancel()
	if err := <-e.done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	s.set(func() {
		for _, b := range s.order {
			b.settled = b.settled.Add(-2 * markSlack)
		}
	})
	e = listen(t, w, got.Cursor)
	time.Sleep(150 * time.Millisecond)
	e.wait(t, 0)
}

// TestLostNotifications has the list find what no notification told.
func TestLostNotifications(t *testing.T) {
	s := newService(t, modern, 1)
	w := s.open(t, wallettest.NewEnv(t))
	e := listen(t, w, "")
	s.ready(t)
	s.set(func() { s.notify = false })
	sold := s.sell(t, w, 2)
	e.wait(t, 0)
	s.relays[0].cut()
	for i, got := range e.wait(t, 2) {
		if got.PaymentHash != sold[i] {
			t.Errorf("settlement %d is another one", i)
		}
	}
}

// TestBrokenList: notifications get through though the list fails, and the mark stays where it was.
func TestBrokenList(t *testing.T) {
	s := newService(t, modern, 1)
	s.tamper = func(method string, r map[string]any) {
		if method == methodList {
			r["result"], r["error"] = nil, map[string]string{"code": codeInternal, "message": "down"}
		}
	}
	w := s.open(t, wallettest.NewEnv(t))
	e := listen(t, w, "1000-3600")
	sold := s.sell(t, w, 3)
	for i, got := range e.wait(t, 3) {
		if got.PaymentHash != sold[i] || got.Cursor != "1000-3600" {
			t.Errorf("settlement %d is %+v", i, got)
		}
	}
	s.set(func() { s.tamper = nil })
	for n := 4; n < 40; n++ {
		s.sell(t, w, 1)
		got := e.wait(t, n)
		if mark, _, err := parseCursor(got[n-1].Cursor); err == nil && time.Since(mark) < time.Hour {
			return
		}
	}
	t.Error("the mark did not move after the list worked again")
}

// TestBadNotifications: only what the wallet signed for this client, and what makes sense, is told.
func TestBadNotifications(t *testing.T) {
	s := newService(t, modern, 1)
	w := s.open(t, wallettest.NewEnv(t))
	e := listen(t, w, "")
	s.ready(t)
	preimage := lntypes.Preimage{7}
	body := func(change map[string]any) map[string]any {
		n := map[string]any{
			"type": typeIncoming, "state": stateSettled, "payment_hash": preimage.Hash().String(),
			"preimage": preimage.String(), "amount": 1000, "settled_at": time.Now().Unix(),
		}
		for k, v := range change {
			n[k] = v
		}
		return map[string]any{"notification_type": paymentReceived, "notification": n}
	}
	event := func(content any) nostr.Event {
		text, err := json.Marshal(content)
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := s.keys.encrypt(schemeNIP44, string(text))
		if err != nil {
			t.Fatal(err)
		}
		return nostr.Event{Kind: kindNotification, CreatedAt: nostr.Now(), Content: sealed, Tags: nostr.Tags{{"p", s.keys.peer}}}
	}
	signed := func(ev nostr.Event) nostr.Event { s.sign(&ev); return ev }
	sent := body(nil)
	sent["notification_type"] = "payment_sent"
	forged := signed(event(body(nil)))
	forged.Sig = flip(forged.Sig)
	old := event(body(nil))
	old.CreatedAt -= 3600
	foreign := event(body(nil))
	foreign.Tags = nostr.Tags{{"p", strings.Repeat("a", 64)}}
	bare := event(body(nil))
	bare.Tags = nil
	stranger := event(body(nil))
	mustSign(t, &stranger, nostr.GeneratePrivateKey())
	noise := event(nil)
	noise.Content = "AAAA?iv=AAAA"
	for _, ev := range []nostr.Event{
		forged, signed(old), signed(foreign), signed(bare), stranger, signed(noise), signed(event(sent)), signed(event(nil)),
		signed(event(body(map[string]any{"type": typeOutgoing}))),
		signed(event(body(map[string]any{"state": statePending}))),
		signed(event(body(map[string]any{"state": stateAccepted}))),
		signed(event(body(map[string]any{"preimage": lntypes.Preimage{8}.String()}))),
		signed(event(body(map[string]any{"payment_hash": "00"}))),
		signed(event(body(map[string]any{"amount": -1}))),
		signed(event(body(map[string]any{"amount": "many"}))),
	} {
		s.force(ev)
	}
	e.wait(t, 0)
	// The control, three times, and once more in the old encryption.
	good := signed(event(body(nil)))
	for range 3 {
		s.force(good)
	}
	text, err := json.Marshal(body(map[string]any{"state": nil, "settled_at": nil}))
	if err != nil {
		t.Fatal(err)
	}
	again := event(nil)
	again.Kind = kindNotification4
	if again.Content, err = s.keys.encrypt(schemeNIP04, string(text)); err != nil {
		t.Fatal(err)
	}
	s.force(signed(again))
	if got := e.wait(t, 1)[0]; got.PaymentHash != preimage.Hash() || got.AmountPaid != 1000 {
		t.Errorf("got %+v", got)
	}
}

// TestBadTransactions: entries of the list that make no sense are left out, the others stay.
func TestBadTransactions(t *testing.T) {
	silent := modern
	silent.notify = false
	s := newService(t, silent, 1)
	w := s.open(t, wallettest.NewEnv(t))
	sold := s.sell(t, w, 5)
	s.set(func() {
		s.tamper = func(method string, r map[string]any) {
			if method != methodList {
				return
			}
			list := r["result"].(map[string]any)["transactions"].([]any)
			for i, change := range []map[string]any{
				{"preimage": lntypes.Preimage{8}.String()}, {"type": typeOutgoing}, {"payment_hash": "x"}, {"state": statePending},
			} {
				if i < len(list) {
					for k, v := range change {
						list[i].(map[string]any)[k] = v
					}
				}
			}
		}
	})
	e := listen(t, w, "1000-60")
	if got := e.wait(t, 1)[0]; got.PaymentHash != sold[0] {
		t.Error("another settlement came")
	}
}

func TestSubscribeEnds(t *testing.T) {
	refuse := func(code string) func(string, map[string]any) {
		return func(_ string, r map[string]any) {
			r["result"], r["error"] = nil, map[string]string{"code": code, "message": "no"}
		}
	}
	for name, c := range map[string]struct {
		profile profile
		tamper  func(string, map[string]any)
		want    error
	}{
		"client unknown":  {modern, refuse(codeUnauthorized), wallets.ErrUnauthorized},
		"nothing offered": {profile{encryption: "nip44_v2", methods: []string{methodMake}}, nil, wallets.ErrSubscribeUnsupported},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, c.profile, 1)
			w := s.open(t, wallettest.NewEnv(t))
			if _, err := w.CreateInvoice(t.Context(), ask()); err != nil {
				t.Fatal(err)
			}
			s.set(func() { s.tamper = c.tamper })
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			if err := w.SubscribeSettlements(ctx, "", func(wallets.Settlement) {}); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// TestNotificationsOnly: neither lists nor look-ups, but the wallet tells.
func TestNotificationsOnly(t *testing.T) {
	s := newService(t, profile{encryption: "nip44_v2", methods: []string{methodMake}, notify: true}, 1)
	w := s.open(t, wallettest.NewEnv(t))
	e := listen(t, w, "")
	for range 100 {
		if s.count(methodList) > 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	sold := s.sell(t, w, 3)
	for i, got := range e.wait(t, 3) {
		if got.PaymentHash != sold[i] {
			t.Errorf("settlement %d is another one", i)
		}
	}
}

func TestParseCursor(t *testing.T) {
	for _, good := range []string{"0-0", "1700000000-3600", "1700000000-31000000"} {
		if _, back, err := parseCursor(good); err != nil || back < minLookBack {
			t.Errorf("%s: look-back %s, error %v", good, back, err)
		}
	}
	for _, bad := range []string{
		"x", "-", "1700000000", "1700000000-", "-60", "1-2-3", "1700000000--60", "-1-60", "1e9-60",
		"99999999999999999999-1", "1700000000-99999999999", strings.Repeat("1", 50) + "-1", "1 -1",
	} {
		if _, _, err := parseCursor(bad); err == nil {
			t.Errorf("cursor %q was taken", bad)
		}
	}
	s := newService(t, modern, 1)
	w := s.open(t, wallettest.NewEnv(t))
	if err := w.SubscribeSettlements(t.Context(), "what", func(wallets.Settlement) {}); err == nil || !strings.Contains(err.Error(), "cursor") {
		t.Errorf("got %v, want an error that names the cursor", err)
	}
}

func TestOpenInvoices(t *testing.T) {
	var o openInvoices
	now := time.Unix(1_700_000_000, 0)
	hash := func(i int) lntypes.Hash { return lntypes.Hash{byte(i), byte(i >> 8)} }
	for i := range 40 {
		o.add(hash(i), now, now.Add(time.Hour))
	}
	seen := make(map[lntypes.Hash]int)
	for range 5 {
		for _, h := range o.round(now, 16) {
			seen[h]++
		}
	}
	for i := range 40 {
		if seen[hash(i)] != 2 {
			t.Errorf("invoice %d was asked after %d times in five rounds, want 2", i, seen[hash(i)])
		}
	}
	o.settle(wallets.Settlement{PaymentHash: hash(3), SettledAt: now.Add(2)})
	o.settle(wallets.Settlement{PaymentHash: hash(9), SettledAt: now})
	if got := o.settlements(); len(got) != 2 || got[0].PaymentHash != hash(9) {
		t.Errorf("settlements are %+v", got)
	}
	if !o.any(now) || o.any(now.Add(2*time.Hour)) || len(o.list) != 0 {
		t.Error("expired invoices are not forgotten")
	}
	for i := range maxOpen + 10 {
		o.add(hash(i), now, now.Add(time.Hour))
	}
	if len(o.list) > maxOpen || o.list[len(o.list)-1].hash != hash(maxOpen+9) {
		t.Errorf("%d invoices are kept, or not the newest", len(o.list))
	}
	if o.life() != time.Hour {
		t.Errorf("the longest life is %s", o.life())
	}
}

func TestFeedIsBounded(t *testing.T) {
	f := &feed{now: time.Now, signal: make(chan struct{}, 1)}
	for range maxNotes + 50 {
		f.put(wallets.Settlement{})
	}
	notes := f.take()
	if len(notes) != maxNotes || !notes[maxNotes-1].gap || notes[0].gap {
		t.Errorf("%d notes, the last one a gap: %v", len(notes), notes[len(notes)-1].gap)
	}
	if len(f.take()) != 0 {
		t.Error("taking does not empty")
	}
}
