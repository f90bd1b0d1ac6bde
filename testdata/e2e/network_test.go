package e2e

import (
	"encoding/hex"
	"testing"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/client"
)

// TestNetwork shows that what the other stories stand on works without the gateway: a payment
// between the two nodes, the same after a restart of the seller, and silence in between.
func TestNetwork(t *testing.T) {
	net := network(t)
	pay := func() {
		t.Helper()
		request, hash, err := net.Bob.AddInvoice(t.Context(), 10, "ten satoshis")
		if err != nil {
			t.Fatal(err)
		}
		preimage, err := net.Alice.Pay(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		if !client.Proves(preimage, hash) {
			t.Fatalf("preimage %s does not belong to %s", preimage, hash)
		}
		inv, err := net.Bob.LookUp(t.Context(), hash)
		if err != nil {
			t.Fatal(err)
		}
		if inv.State != "SETTLED" || inv.AmountMsat != 10_000 || inv.Memo != "ten satoshis" || inv.Request != request {
			t.Fatalf("invoice after payment: %+v", inv)
		}
		if _, err := net.Alice.Pay(t.Context(), request); err == nil {
			t.Fatal("an invoice was paid twice")
		}
	}
	pay()
	if n, err := net.Bob.Calls("LookupInvoice"); err != nil || n == 0 {
		t.Fatalf("counting look-ups gives %d, %v", n, err)
	}
	if err := net.Bob.StopWait(); err != nil {
		t.Fatal(err)
	}
	_, lookUpErr := net.Bob.LookUp(t.Context(), hex.EncodeToString(make([]byte, 32)))
	bringBack(t, net, net.Bob)
	if lookUpErr == nil {
		t.Fatal("a stopped node answers")
	}
	pay()
}
