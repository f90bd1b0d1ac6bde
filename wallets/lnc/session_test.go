package lnc

import (
	"context"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/lnd"
	"github.com/caddy-l402/caddy-l402/wallets/lnd/lndtest"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

var usual = wallets.InvoiceRequest{Amount: 21_000, Memo: "a cup", Expiry: time.Minute}

func create(t testing.TB, w *Wallet) *wallets.Invoice {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	for {
		inv, err := w.CreateInvoice(ctx, usual)
		// On a busy machine a connection takes longer than calls wait for it.
		if errors.Is(err, wallets.ErrUnavailable) && ctx.Err() == nil {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		return inv
	}
}

// refused waits until calls are refused for a reason.
func refused(t testing.TB, w *Wallet, reason string) {
	t.Helper()
	await(t, reason, func() bool {
		_, err := w.CreateInvoice(t.Context(), usual)
		if !errors.Is(err, wallets.ErrUnavailable) {
			t.Fatalf("got %v, want that the wallet is unavailable", err)
		}
		return strings.Contains(err.Error(), reason)
	})
}

func stored(t testing.TB, env *wallettest.Env) pairing {
	t.Helper()
	data, err := env.Load(t.Context(), pairingName)
	if err != nil {
		t.Fatal(err)
	}
	p, err := decodePairing(data)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// keep stores a pairing as if by an earlier process.
func keep(t testing.TB, env *wallettest.Env, p pairing) {
	t.Helper()
	data, err := p.encode()
	if err != nil {
		t.Fatal(err)
	}
	if err := env.Store(t.Context(), pairingName, data); err != nil {
		t.Fatal(err)
	}
}

func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not within a minute:", what)
		}
	}
}

func TestRestartUsesStoredKeys(t *testing.T) {
	p, env := newPeer(t, lndtest.InvoiceRights), wallettest.NewEnv(t)
	w := p.open(t, env)
	inv := create(t, w)
	first := stored(t, env)
	if first.remote == nil || !first.remote.IsEqual(p.data.LocalKey().PubKey()) || !first.confirmed {
		t.Fatalf("after the first connection the pairing is not complete: %v %v", first.remote != nil, first.confirmed)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	p.node.Pay(t, inv.PaymentRequest)

	// The phrase is worth nothing by now: a wallet without the keys gets nowhere.
	fresh := p.open(t, wallettest.NewEnv(t))
	fresh.session.patience = time.Second
	if _, err := fresh.CreateInvoice(t.Context(), usual); !errors.Is(err, wallets.ErrUnavailable) {
		t.Errorf("pairing twice with one phrase: %v", err)
	}
	if err := fresh.Close(); err != nil {
		t.Fatal(err)
	}

	w = p.open(t, env)
	create(t, w)
	status, err := w.LookupInvoice(t.Context(), inv.PaymentHash)
	if err != nil || status.State != wallets.StateSettled {
		t.Errorf("the invoice of before the restart: %v, %v", status, err)
	}
	if again := stored(t, env); !again.local.Key.Equals(&first.local.Key) || !again.remote.IsEqual(first.remote) {
		t.Error("the restart changed the keys")
	}
}

func TestOneConnectionForAllCalls(t *testing.T) {
	p := newPeer(t, lndtest.InvoiceRights)
	w := p.open(t, wallettest.NewEnv(t))
	ctx, cancel := context.WithCancel(t.Context())
	var calls sync.WaitGroup
	var subscription sync.WaitGroup
	subscription.Go(func() { _ = w.SubscribeSettlements(ctx, "", func(wallets.Settlement) {}) })
	for range 40 {
		calls.Go(func() { create(t, w) })
	}
	calls.Wait()
	cancel()
	subscription.Wait()
	if n := p.connections(); n != 1 {
		t.Errorf("%d connections", n)
	}
	if n := p.mail.streams(); n != 4 { // one to send in and one to hear from, on both sides
		t.Errorf("%d streams to the mailbox", n)
	}
}

func TestNodeOffline(t *testing.T) {
	p, env := newPeer(t, lndtest.InvoiceRights), wallettest.NewEnv(t)
	p.stop()
	p.mail.restart(t) // forgets the boxes, as after a day
	w := p.open(t, env)
	w.session.patience = time.Second

	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
	defer cancel()
	_, err := w.CreateInvoice(ctx, usual)
	if !errors.Is(err, wallets.ErrUnavailable) || ctx.Err() != nil {
		t.Errorf("with 400ms to live: %v, deadline %v", err, ctx.Err())
	}
	_, err = w.CreateInvoice(t.Context(), usual)
	if took := time.Since(began); !errors.Is(err, wallets.ErrUnavailable) || took > 20*time.Second {
		t.Errorf("while connecting: %v after %s", err, took)
	}
	refused(t, w, "knows no such session")
	began = time.Now()
	for range 20 {
		if _, err := w.LookupInvoice(t.Context(), [32]byte{1}); !errors.Is(err, wallets.ErrUnavailable) {
			t.Error(err)
		}
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("20 calls without a connection took %s", took)
	}
	if err := w.Ping(t.Context()); !errors.Is(err, wallets.ErrUnavailable) {
		t.Error(err)
	}
	if _, err := w.Permissions(t.Context()); !errors.Is(err, wallets.ErrUnavailable) {
		t.Error(err)
	}

	p.start(t)
	await(t, "connected after the node came", func() bool { _, err := w.CreateInvoice(t.Context(), usual); return err == nil })
}

func TestSecondServerOnOneSession(t *testing.T) {
	p, env := newPeer(t, lndtest.InvoiceRights), wallettest.NewEnv(t)
	// The mailbox of the first connection goes by the phrase, those of all others by the keys.
	first := p.open(t, env)
	create(t, first)
	_ = first.Close()
	create(t, p.open(t, env))
	other := p.open(t, env)
	other.session.patience = time.Second
	refused(t, other, "in use")
}

func TestPairingWhoseLastMessageWasLost(t *testing.T) {
	key := func() *btcec.PrivateKey {
		k, err := btcec.NewPrivateKey()
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	t.Run("the node still waits for the phrase", func(t *testing.T) {
		p, env := newPeer(t, lndtest.InvoiceRights), wallettest.NewEnv(t)
		keep(t, env, pairing{local: key(), remote: p.data.LocalKey().PubKey()})
		w := p.open(t, env)
		w.session.dialTimeout = 30 * time.Second // stretching the phrase is work for a busy machine
		create(t, w)
		if !stored(t, env).confirmed {
			t.Error("the pairing is not confirmed")
		}
	})
	t.Run("the node has our key", func(t *testing.T) {
		p, env := newPeer(t, lndtest.InvoiceRights), wallettest.NewEnv(t)
		first := p.open(t, env)
		create(t, first)
		_ = first.Close()
		known := stored(t, env)
		known.confirmed = false
		keep(t, env, known)
		create(t, p.open(t, env))
		if !stored(t, env).confirmed {
			t.Error("the pairing is not confirmed")
		}
	})
	t.Run("a confirmed pairing never goes back to the phrase", func(t *testing.T) {
		// Whoever finds the phrase later must not be able to play the node with it.
		p, env := newPeer(t, lndtest.InvoiceRights), wallettest.NewEnv(t)
		keep(t, env, pairing{local: key(), remote: p.data.LocalKey().PubKey(), confirmed: true})
		w := p.open(t, env)
		w.session.dialTimeout, w.session.patience = 500*time.Millisecond, 4*time.Second
		if _, err := w.CreateInvoice(t.Context(), usual); !errors.Is(err, wallets.ErrUnavailable) {
			t.Error(err)
		}
		if n := p.connections(); n != 0 {
			t.Errorf("%d connections by phrase", n)
		}
	})
}

func TestStorageThatCannotBeWritten(t *testing.T) {
	p, env := newPeer(t, lndtest.InvoiceRights), wallettest.NewEnv(t)
	w := p.open(t, &writeFails{Env: env, fail: true})
	w.session.saveAgain = 20 * time.Millisecond
	create(t, w)
	if n := strings.Count(env.Log(), "pairing keys cannot be stored"); n != 1 {
		t.Errorf("%d warnings", n)
	}
	w.session.env.(*writeFails).set(false)
	await(t, "stored later", func() bool { return len(env.Names()) == 1 })
	if !stored(t, env).confirmed {
		t.Error("the pairing is not confirmed")
	}
	await(t, "word of it", func() bool { return strings.Contains(env.Log(), "pairing keys are stored now") })
}

// writeFails is an Env whose storage cannot be written.
type writeFails struct {
	wallets.Env
	mu   sync.Mutex
	fail bool
}

func (e *writeFails) set(fail bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.fail = fail
}

func (e *writeFails) Store(ctx context.Context, name string, value []byte) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.fail {
		return errDown
	}
	return e.Env.Store(ctx, name, value)
}

func TestStorageThatCannotBeRead(t *testing.T) {
	p, env := newPeer(t, lndtest.InvoiceRights), wallettest.NewEnv(t)
	env.FailStorage(errDown)
	w := p.open(t, env)
	w.session.patience, w.session.firstRetry = 200*time.Millisecond, 50*time.Millisecond
	_, err := w.CreateInvoice(t.Context(), usual)
	if !errors.Is(err, wallets.ErrUnavailable) || !strings.Contains(err.Error(), "storage is down") {
		t.Errorf("got %v", err)
	}
	if n := p.connections(); n != 0 {
		t.Error("the phrase was used up with a key that nobody keeps")
	}
	env.FailStorage(nil)
	await(t, "connected", func() bool { _, err := w.CreateInvoice(t.Context(), usual); return err == nil })
}

func TestStoredGarbage(t *testing.T) {
	p, env := newPeer(t, lndtest.InvoiceRights), wallettest.NewEnv(t)
	if err := env.Store(t.Context(), pairingName, []byte(`{"version":1,"local_key":"00"}`)); err != nil {
		t.Fatal(err)
	}
	w := p.open(t, env)
	w.session.patience = 200 * time.Millisecond
	_, err := w.CreateInvoice(t.Context(), usual)
	if !errors.Is(err, wallets.ErrUnavailable) || !strings.Contains(err.Error(), "make a new session") {
		t.Errorf("got %v", err)
	}
	if p.connections() != 0 || env.Stores() != 1 {
		t.Error("unreadable keys were overwritten")
	}
}

func TestWrongPhraseAndWrongCertificate(t *testing.T) {
	p := newPeer(t, lndtest.InvoiceRights)
	for _, c := range []struct {
		name   string
		change func(*Session)
		want   string
	}{
		{"phrase", func(s *Session) { s.PairingPhrase = strings.Repeat("abandon ", 10) }, "knows no such session"},
		{"certificate", func(s *Session) {
			other := lndtest.NewCertificate(t, "localhost", time.Now().Add(time.Hour))
			if err := os.WriteFile(s.MailboxCA, other.PEM, 0o600); err != nil {
				t.Fatal(err)
			}
		}, "certificate"},
		{"no file of certificates", func(s *Session) { s.MailboxCA += ".gone" }, "mailbox_ca"},
		{"no certificates in the file", func(s *Session) {
			if err := os.WriteFile(s.MailboxCA, []byte("nothing"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "mailbox_ca"},
		{"port where nobody listens", func(s *Session) { s.Mailbox = "localhost:1" }, "refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			env, s := wallettest.NewEnv(t), p.guest(t)
			c.change(s)
			if err := s.Provision(caddy.Context{}); err != nil {
				t.Fatal(err)
			}
			opened, err := s.Open(env)
			if err != nil {
				t.Fatal(err)
			}
			w := opened.(*Wallet)
			defer w.Close()
			w.session.patience = time.Second
			refused(t, w, c.want)
			_, err = w.CreateInvoice(t.Context(), usual)
			if err == nil || strings.Contains(env.Log()+err.Error(), s.PairingPhrase) {
				t.Error("the phrase came out")
			}
		})
	}
}

func TestWhatTheSessionHandsOver(t *testing.T) {
	node := lndtest.New(t, wallets.Regtest)
	mac := node.Bake(t, lndtest.InvoiceRights, "ipaddr 127.0.0.1")
	line := "Macaroon: " + hex.EncodeToString(mac)
	for _, c := range []struct {
		name, authData string
		want           string
	}{
		{"no macaroon", "", "0 macaroons"},
		{"two macaroons", line + "\r\n" + line, "2 macaroons"},
		{"no true macaroon", "Macaroon: 0200", "session's macaroon"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPeerWith(t, node, mac, c.authData)
			w := p.open(t, wallettest.NewEnv(t))
			w.session.patience = 100 * time.Millisecond
			await(t, c.want, func() bool {
				_, err := w.CreateInvoice(t.Context(), usual)
				return errors.Is(err, wallets.ErrUnauthorized) && strings.Contains(err.Error(), c.want)
			})
		})
	}
	t.Run("a macaroon and more", func(t *testing.T) {
		p := newPeerWith(t, node, mac, "X-Evil: 1\r\nmacaroon: "+hex.EncodeToString(mac))
		w := p.open(t, wallettest.NewEnv(t))
		// The double refuses a call that has not exactly one macaroon, and this one for its caveat.
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		_, err := w.CreateInvoice(ctx, usual)
		if !errors.Is(err, wallets.ErrUnauthorized) || !strings.Contains(err.Error(), "caveat") {
			t.Errorf("got %v", err)
		}
		got, err := w.Permissions(t.Context())
		if err != nil || !strings.Contains(strings.Join(got, ","), "invoices:write") ||
			got[len(got)-1] != "only if ipaddr 127.0.0.1" {
			t.Errorf("permissions %v, %v", got, err)
		}
	})
}

func TestReconfigure(t *testing.T) {
	p := newPeer(t, lndtest.InvoiceRights)
	w := p.open(t, wallettest.NewEnv(t))
	changed := p.guest(t)
	changed.Private = true
	changed.MailboxCA = "elsewhere.pem"
	if err := changed.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	create(t, w)
	w.Reconfigure(changed)
	w.Reconfigure(new(lnd.Node)) // is left alone
	create(t, w)
	if !p.node.LastPrivate() {
		t.Error("private is not taken over")
	}
	if w.session.ca != "elsewhere.pem" {
		t.Error("mailbox_ca is not taken over")
	}
}
