package sandbox

import (
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

func TestConformance(t *testing.T) {
	const noPeer = "the sandbox has no peer that could misbehave"
	cannot := map[wallettest.Ability]string{
		wallettest.Cancel: "the sandbox has no call that cancels an invoice",
	}
	for _, fault := range []wallettest.Ability{
		wallettest.Slow, wallettest.Hang, wallettest.Garbage, wallettest.Huge, wallettest.WrongAmount,
		wallettest.WrongHash, wallettest.WrongNetwork, wallettest.DuplicateHash,
		wallettest.Disconnect, wallettest.Unauthorized, wallettest.ServerError,
	} {
		cannot[fault] = noPeer
	}
	wallettest.Run(t, wallettest.Harness{
		Network: wallets.Regtest,
		Cannot:  cannot,
		Open: func(t testing.TB, env *wallettest.Env) *wallettest.Subject {
			opened, err := new(Guest).Open(env)
			if err != nil {
				t.Fatal(err)
			}
			w := opened.(*Wallet)
			key := w.key.Key.Bytes()
			return &wallettest.Subject{
				Wallet:  w,
				Secrets: []string{string(key[:])},
				Pay: func(t testing.TB, invoice string) {
					if _, err := w.Pay(t.Context(), invoice, 0); err != nil {
						t.Fatal(err)
					}
				},
				Expire: func(t testing.TB, invoice string) { expire(t, w, invoice) },
				Payable: func(t testing.TB, amount lnwire.MilliSatoshi) string {
					inv, err := w.CreateInvoice(t.Context(), wallets.InvoiceRequest{Amount: amount, Expiry: time.Hour})
					if err != nil {
						t.Fatal(err)
					}
					return inv.PaymentRequest
				},
			}
		},
	})
}

// expire takes away what is left of an invoice's life.
func expire(t testing.TB, w *Wallet, invoice string) {
	t.Helper()
	d, err := wallets.DecodeInvoice(invoice)
	if err != nil {
		t.Fatal(err)
	}
	w.books.mu.Lock()
	defer w.books.mu.Unlock()
	w.books.invoices[d.PaymentHash].expires = time.Now().Add(-time.Second)
}
