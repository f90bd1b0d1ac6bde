package purse

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/ecash"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/mint"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

// TestRealMint runs against a mint whose Lightning node is made up, so that invoices count as paid:
// CASHU_MINT=http://127.0.0.1:3338, such as gonuts with LIGHTNING_BACKEND=FakeBackend.
func TestRealMint(t *testing.T) {
	address := os.Getenv("CASHU_MINT")
	if address == "" {
		t.Skip("set CASHU_MINT to the address of a mint with a made-up Lightning node")
	}
	client, err := mint.New(mint.Config{URL: address, RequireDLEQ: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	key, err := ecash.NewBlindingFactor()
	if err != nil {
		t.Fatal(err)
	}
	open := func() *Purse {
		words, err := ecash.NewMnemonic()
		if err != nil {
			t.Fatal(err)
		}
		seed, err := ecash.NewSeed(words)
		if err != nil {
			t.Fatal(err)
		}
		p, err := Open(t.Context(), Options{
			Mint: client, Unit: "sat", Store: newDisk(), Seed: seed, Network: wallets.Signet,
			Keys: []*ecash.PrivateKey{key},
		})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	payer, shop := open(), open()
	inv, err := payer.Bill(t.Context(), 1000, "")
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		got, err := payer.Collect(t.Context(), inv.Hash)
		if err != nil {
			t.Fatal(err)
		}
		if got.Collected {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if payer.Balance().Available != 1000 {
		t.Fatalf("bought %+v", payer.Balance())
	}
	sent, err := payer.Send(t.Context(), 100, "")
	if err != nil {
		t.Fatal(err)
	}
	text, err := sent.Encode()
	if err != nil {
		t.Fatal(err)
	}
	tok, err := token.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	r, err := shop.Receive(t.Context(), tok, Terms{Price: 60, MaxFee: 1})
	if err != nil || r.Amount != 60 || r.Change == nil {
		t.Fatalf("got %+v, %v", r, err)
	}
	back, err := payer.Receive(t.Context(), r.Change, Terms{})
	if err != nil || back.Amount+back.Fee+r.Amount+r.Fee != 100 {
		t.Fatalf("change %+v, %v", back, err)
	}
	if _, err := open().Receive(t.Context(), tok, Terms{}); err == nil {
		t.Fatal("a token was spent twice")
	} else {
		t.Logf("spent twice: %v", err)
	}
	locked := lockAt(t, payer, key, 32)
	if r, err := shop.ReceiveOffline(t.Context(), locked, Terms{}, Offline{MaxValue: 100}); err != nil || !r.Owed {
		t.Fatalf("offline: %+v, %v", r, err)
	}
	if open, err := shop.Resume(t.Context()); open != 0 || err != nil {
		t.Fatalf("%d open, %v", open, err)
	}
	bill, err := shop.opts.Mint.RequestMint(t.Context(), 40, "sat", "")
	if err != nil {
		t.Fatal(err)
	}
	paid, err := shop.Pay(t.Context(), bill.Request, 10)
	if err != nil || !paid.Paid {
		t.Fatalf("paid %+v, %v, balance %+v", paid, err, shop.Balance())
	}
	t.Logf("payer %+v, shop %+v, paid %+v", payer.Balance(), shop.Balance(), paid)
	before := payer.Balance().Available
	payer.opts.Store = newDisk()
	lost, err := Open(t.Context(), payer.opts)
	if err != nil {
		t.Fatal(err)
	}
	if found, err := lost.Restore(t.Context()); err != nil || found != before {
		t.Fatalf("restored %d of %d, %v", found, before, err)
	}
}

// lockAt swaps ecash of a purse for a proof that is locked to a key.
func lockAt(t *testing.T, p *Purse, key *ecash.PrivateKey, amount uint64) *token.Token {
	t.Helper()
	ctx := context.Background()
	fee := uint64(2)
	in, err := p.Send(ctx, amount+fee, "")
	if err != nil {
		t.Fatal(err)
	}
	actual, err := p.opts.Mint.Fee(ctx, in.Proofs)
	if err != nil || actual > fee {
		t.Fatalf("fee %d, %v", actual, err)
	}
	k, err := p.opts.Mint.Active(ctx, "sat")
	if err != nil {
		t.Fatal(err)
	}
	amounts, err := denominate(k, amount+fee-actual)
	if err != nil {
		t.Fatal(err)
	}
	var outputs []mint.Output
	for _, a := range amounts {
		r, err := ecash.NewBlindingFactor()
		if err != nil {
			t.Fatal(err)
		}
		secret, err := (&token.Condition{Kind: token.KindP2PK, Nonce: newID(""), Data: hexKey(key)}).Secret()
		if err != nil {
			t.Fatal(err)
		}
		outputs = append(outputs, mint.Output{Amount: a, KeysetID: k.ID, Coin: ecash.Coin{Secret: secret, R: r}})
	}
	proofs, err := p.opts.Mint.Swap(ctx, in.Proofs, outputs)
	if err != nil {
		t.Fatal(err)
	}
	return p.token(proofs)
}
