package e2e

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"testing"

	macaroon "gopkg.in/macaroon.v2"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/client"
)

// TestWrongPreimage shows that a token opens only with the preimage of its own invoice.
func TestWrongPreimage(t *testing.T) {
	net, gw, up := lndShop(t, "limit off")
	first, second := gw.Buy(t, net.Alice, "/premium/a"), gw.Buy(t, net.Alice, "/premium/a")
	refused(t, gw, up, "/premium/a", client.Auth(client.Token{Macaroon: first.Macaroon, Preimage: second.Preimage}))
	refused(t, gw, up, "/premium/a", client.Auth(client.Token{Macaroon: second.Macaroon, Preimage: first.Preimage}))
	unpaid := gw.Challenge(t, "/premium/a")
	refused(t, gw, up, "/premium/a", client.Auth(client.Token{Macaroon: unpaid.Macaroon, Preimage: first.Preimage}))
	// The hash is public and is no proof.
	refused(t, gw, up, "/premium/a", client.Auth(client.Token{Macaroon: unpaid.Macaroon, Preimage: unpaid.PaymentHash}))
	passes(t, gw, up, "/premium/a", client.Auth(first))
	passes(t, gw, up, "/premium/a", client.Auth(second))
}

// TestOwnMacaroon shows that a macaroon which someone else signed opens nothing, with a preimage
// that its maker knows, and that it causes no call to the wallet.
func TestOwnMacaroon(t *testing.T) {
	net, gw, up := lndShop(t, "limit off")
	honest := gw.Buy(t, net.Alice, "/premium/a")
	lookups, err := net.Bob.Calls("LookupInvoice")
	if err != nil {
		t.Fatal(err)
	}
	preimage, key := make([]byte, 32), make([]byte, 32)
	rand.Read(preimage)
	rand.Read(key)
	hash := sha256.Sum256(preimage)

	var genuine macaroon.Macaroon
	if err := genuine.UnmarshalBinary(decode(t, honest.Macaroon)); err != nil {
		t.Fatal(err)
	}
	// The token id, with the key id in it, is copied from a genuine token.
	id := append(append([]byte{0, 0}, hash[:]...), genuine.Id()[34:]...)
	forged, err := macaroon.New(key, id, genuine.Location(), macaroon.V2)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range genuine.Caveats() {
		if err := forged.AddFirstPartyCaveat(c.Id); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := forged.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	token := client.Token{Macaroon: base64.StdEncoding.EncodeToString(raw), Preimage: hex.EncodeToString(preimage)}
	refused(t, gw, up, "/premium/a", client.Auth(token))
	token.Preimage = ""
	refused(t, gw, up, "/premium/a", client.Auth(token))
	if now, err := net.Bob.Calls("LookupInvoice"); err != nil || now != lookups {
		t.Errorf("a forged macaroon made the gateway ask its wallet %d times (%v)", now-lookups, err)
	}
}

// TestFlippedBits changes one bit in every byte of a token that the signature covers, and of the
// preimage: none of these tokens opens anything.
func TestFlippedBits(t *testing.T) {
	gw, up := sandboxShop(t, "limit off")
	token := gw.Buy(t, gw.Sandbox(), "/premium/a")
	raw := decode(t, token.Macaroon)
	var mac macaroon.Macaroon
	if err := mac.UnmarshalBinary(raw); err != nil {
		t.Fatal(err)
	}
	// The location is a hint that nobody signs; every byte after it counts.
	begin := bytes.Index(raw, mac.Id())
	if begin < 0 {
		t.Fatal("the macaroon does not contain its identifier")
	}
	for i := begin; i < len(raw); i++ {
		changed := bytes.Clone(raw)
		changed[i] ^= 1 << (i % 8)
		refused(t, gw, up, "/premium/a", client.Auth(client.Token{
			Macaroon: base64.StdEncoding.EncodeToString(changed), Preimage: token.Preimage,
		}))
	}
	preimage, err := hex.DecodeString(token.Preimage)
	if err != nil {
		t.Fatal(err)
	}
	for i := range preimage {
		changed := bytes.Clone(preimage)
		changed[i] ^= 1 << (i % 8)
		refused(t, gw, up, "/premium/a", client.Auth(client.Token{
			Macaroon: token.Macaroon, Preimage: hex.EncodeToString(changed),
		}))
	}
	passes(t, gw, up, "/premium/a", client.Auth(token))
}
