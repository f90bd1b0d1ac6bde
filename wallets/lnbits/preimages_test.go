package lnbits

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

// asked tells how often an invoice was asked for without a key.
func (s *server) asked(hash lntypes.Hash) int { return s.Requests("/api/v1/payments/" + hash.String()) }

// TestPreimageShown is about the attack that would make all tokens free: ask LNbits for the preimage
// of the invoice in the challenge.
func TestPreimageShown(t *testing.T) {
	s := newServer(t)
	s.knows = true
	w := s.open(t, wallettest.NewEnv(t), invoiceKey, false)
	_, err := w.CreateInvoice(t.Context(), request)
	if !errors.Is(err, ErrPreimageShown) || !errors.Is(err, wallets.ErrUnavailable) || !strings.Contains(err.Error(), "private_api") {
		t.Fatalf("an invoice whose preimage anyone can have: %v", err)
	}
	s.mu.Lock()
	preimage := s.rows[0].preimage
	s.shut = true
	s.mu.Unlock()
	if strings.Contains(err.Error(), preimage) {
		t.Error("the error holds the preimage")
	}
	// With the door shut the invoices are good, without a new start.
	inv, err := w.CreateInvoice(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if s.asked(inv.PaymentHash) != 1 {
		t.Errorf("asked %d times without a key", s.asked(inv.PaymentHash))
	}
	// A good answer is remembered for a while.
	inv, err = w.CreateInvoice(t.Context(), request)
	if err != nil || s.asked(inv.PaymentHash) != 0 {
		t.Errorf("asked again at once: %v", err)
	}
	s.change(func() { s.shut = false })
	w.peer.Now = func() time.Time { return time.Now().Add(closedFor + time.Second) }
	req := request
	req.Expiry = 2 * time.Hour
	if _, err := w.CreateInvoice(t.Context(), req); !errors.Is(err, ErrPreimageShown) {
		t.Errorf("an opened door is not noticed: %v", err)
	}
	// The operator knows better.
	if _, err := s.open(t, wallettest.NewEnv(t), invoiceKey, true).CreateInvoice(t.Context(), request); err != nil {
		t.Error(err)
	}
}

// TestOtherFundingSource has LNbits get to know preimages after it was found to know none.
func TestOtherFundingSource(t *testing.T) {
	s := newServer(t)
	w := s.open(t, wallettest.NewEnv(t), invoiceKey, false)
	if _, err := w.CreateInvoice(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	s.change(func() { s.knows = true })
	if _, err := w.CreateInvoice(t.Context(), request); !errors.Is(err, ErrPreimageShown) {
		t.Errorf("got %v", err)
	}
}

func TestShowsPreimage(t *testing.T) {
	preimage := lntypes.Preimage{1}
	for _, tt := range []struct {
		name   string
		status int
		body   string
		shown  bool
		want   error
	}{
		{"shown", 200, fmt.Sprintf(`{"paid":false,"preimage":%q}`, preimage), true, nil},
		{"shown in upper case", 200, strings.ToUpper(fmt.Sprintf(`{"preimage":%q}`, preimage)), true, nil},
		{"shown in details", 200, fmt.Sprintf(`{"details":{"preimage":%q}}`, preimage), true, nil},
		{"none", 200, `{"paid":false,"preimage":null}`, false, nil},
		{"zeros", 200, `{"preimage":"` + strings.Repeat("0", 64) + `"}`, false, nil},
		{"key wanted", 401, "", false, nil},
		{"refused", 403, "", false, nil},
		{"hidden", 404, "", false, nil},
		{"broken", 500, "", false, wallets.ErrUnavailable},
		{"busy", 429, "", false, wallets.ErrUnavailable},
		{"slow", 408, "", false, wallets.ErrUnavailable},
		{"elsewhere", 302, "", false, wallets.ErrUnavailable},
		{"a page", 200, "<html>", false, wallets.ErrBadAnswer},
	} {
		shown, err := showsPreimage(tt.status, []byte(tt.body), preimage.Hash())
		if shown != tt.shown || !errors.Is(err, tt.want) || tt.want == nil && err != nil {
			t.Errorf("%s: got %v, %v", tt.name, shown, err)
		}
	}
}

// TestProbeFails has LNbits make the invoice and then not answer those who have no key.
func TestProbeFails(t *testing.T) {
	s := newServer(t)
	w := s.open(t, wallettest.NewEnv(t), invoiceKey, false)
	s.change(func() { s.probe = func(w http.ResponseWriter) { panic(http.ErrAbortHandler) } })
	if _, err := w.CreateInvoice(t.Context(), request); !errors.Is(err, wallets.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	s.change(func() {
		s.probe = func(w http.ResponseWriter) { http.Redirect(w, &http.Request{}, "http://127.0.0.2/", http.StatusFound) }
	})
	if _, err := w.CreateInvoice(t.Context(), request); !errors.Is(err, wallets.ErrBadAnswer) {
		t.Errorf("got %v", err)
	}
}
