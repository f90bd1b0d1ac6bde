package lnc

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/lnd/lndtest"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

func TestMailboxRestarts(t *testing.T) {
	p := newPeer(t, lndtest.InvoiceRights)
	w := p.open(t, wallettest.NewEnv(t))
	create(t, w)
	p.mail.restart(t)
	await(t, "works again", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, err := w.CreateInvoice(ctx, usual)
		return err == nil
	})
}

func TestCloseWhileTheMailboxIsAway(t *testing.T) {
	p := newPeer(t, lndtest.InvoiceRights)
	w := p.open(t, wallettest.NewEnv(t))
	create(t, w)
	p.mail.grpc.Stop()
	time.Sleep(100 * time.Millisecond) // so that the library notices
	began := time.Now()
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("closing took %s", took)
	}
}

func TestMailboxComesBackAfterTheConnectionWasGivenUp(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the library to miss an answer")
	}
	p, env := newPeer(t, lndtest.InvoiceRights), wallettest.NewEnv(t)
	w := p.open(t, env)
	w.session.giveUp = 2 * time.Second
	create(t, w)
	w.session.patience = time.Second
	p.mail.grpc.Stop()
	await(t, "calls fail at once", func() bool {
		return strings.Contains(env.Log(), "connection through the mailbox lost")
	})
	time.Sleep(time.Second)
	began := time.Now()
	if _, err := w.CreateInvoice(t.Context(), usual); !errors.Is(err, wallets.ErrUnavailable) || time.Since(began) > 10*time.Second {
		t.Errorf("while the mailbox is away: %v after %s", err, time.Since(began))
	}
	p.mail.restart(t)
	await(t, "works again", func() bool { _, err := w.CreateInvoice(t.Context(), usual); return err == nil })
}

func TestMailboxLosesEverythingSilently(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the library to miss an answer")
	}
	p := newPeer(t, lndtest.InvoiceRights)
	w := p.open(t, wallettest.NewEnv(t))
	create(t, w)
	w.session.mu.Lock()
	l := w.session.link
	w.session.mu.Unlock()
	p.mail.setSilent(true)
	select {
	case <-l.lost:
	case <-time.After(2 * time.Minute):
		t.Fatal("a dead connection is not noticed")
	}
	p.mail.setSilent(false)
	await(t, "works again", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
		defer cancel()
		_, err := w.CreateInvoice(ctx, usual)
		return err == nil
	})
}

func TestClose(t *testing.T) {
	p := newPeer(t, lndtest.InvoiceRights)
	t.Run("never used", func(t *testing.T) {
		w := p.open(t, wallettest.NewEnv(t))
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if _, err := w.CreateInvoice(t.Context(), usual); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		if n := p.mail.streams(); n != 1 { // the node's own
			t.Errorf("%d streams to the mailbox", n)
		}
	})
	t.Run("while connecting", func(t *testing.T) {
		s := p.guest(t)
		s.PairingPhrase = strings.Repeat("zoo ", 10)
		if err := s.Provision(caddy.Context{}); err != nil {
			t.Fatal(err)
		}
		w, err := s.Open(wallettest.NewEnv(t))
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { // ends by Close
			done <- w.(wallets.Subscriber).SubscribeSettlements(t.Context(), "", func(wallets.Settlement) {})
		}()
		time.Sleep(300 * time.Millisecond)
		began := time.Now()
		if err := w.(*Wallet).Close(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("closing took %s", took)
		}
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Errorf("the subscription ended with %v", err)
		}
	})
}
