package caddyl402

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/caddy-l402/caddy-l402/wallets"
)

func init() { caddy.RegisterModule(new(tellingGuest)) }

// tellingGuest is a fake wallet that tells of settlements.
type tellingGuest struct{ fakeGuest }

func (*tellingGuest) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "l402.wallets.telling", New: func() caddy.Module { return new(tellingGuest) }}
}

func (g *tellingGuest) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return g.fakeGuest.UnmarshalCaddyfile(d)
}

func (g *tellingGuest) Open(env wallets.Env) (wallets.Wallet, error) {
	inner, err := g.fakeGuest.Open(env)
	if err != nil {
		return nil, err
	}
	return tellingWallet{inner.(*fakeWallet)}, nil
}

type tellingWallet struct{ *fakeWallet }

func (w tellingWallet) SubscribeSettlements(ctx context.Context, cursor string, found func(wallets.Settlement)) error {
	return w.inner.(wallets.Subscriber).SubscribeSettlements(ctx, cursor, found)
}

func (w tellingWallet) Reconfigure(g wallets.Guest) {
	if g, ok := g.(*tellingGuest); ok {
		w.fakeWallet.Reconfigure(&g.fakeGuest)
	}
}

// payAt pays an invoice at the fake wallet that made it.
func payAt(t *testing.T, w *fakeWallet, invoice string) lntypes.Preimage {
	t.Helper()
	preimage, err := w.inner.(wallets.Payer).Pay(t.Context(), invoice, 0)
	if err != nil {
		t.Fatalf("another wallet made the invoice: %v", err)
	}
	return preimage
}

// buyAt buys at the path and demands that a certain wallet makes the invoice.
func (s *server) buyAt(t *testing.T, w *fakeWallet, path string) purchase {
	t.Helper()
	challenge := s.challenge(s.want(http.StatusPaymentRequired, "GET", path))
	return purchase{challenge, payAt(t, w, challenge.Invoice)}
}

func down(context.Context) error { return errDown }

func TestFailover(t *testing.T) {
	s := serve(t, "wallet node fake fo-node\nwallet backup fake fo-backup\nwallet both failover node backup\ndefault_wallet both", gated)
	node, backup := fake(t, "fo-node"), fake(t, "fo-backup")
	bought := []purchase{s.buyAt(t, node, "/premium/x")}
	allPass := func(when string) {
		t.Helper()
		for i, p := range bought {
			if a := s.do("GET", "/premium/x", "Authorization", p.authorization()); a.StatusCode != 200 {
				t.Fatalf("%s: purchase %d got %d", when, i, a.StatusCode)
			}
		}
	}
	allPass("at rest")
	if backup.creates.Load() != 0 {
		t.Error("the backup made an invoice without need")
	}

	// The demand of these requests has some invoices made beforehand.
	for range 5 {
		s.buyAt(t, node, "/premium/x")
	}
	node.fail(down)
	// The first requests may still get what the node made before anyone knew; the first failure
	// to make another takes the rest back.
	recaller := s.app().open["both"].cashier.Wallet().(wallets.Recaller)
	for tries := 0; ; tries++ {
		s.want(402, "GET", "/premium/x")
		if recaller.Recalled(bought[0].hash(t)) {
			break
		}
		if tries == 60 {
			t.Fatal("what the node had made beforehand is not taken back")
		}
		time.Sleep(100 * time.Millisecond)
	}
	for range 8 {
		bought = append(bought, s.buyAt(t, backup, "/premium/x"))
	}
	allPass("while the node is down")
	if n := node.creates.Load(); n > 40 {
		t.Errorf("a node that is down was asked %d times", n)
	}

	backup.fail(down)
	for range 20 {
		// What is ready may still be shown; then there is nothing more.
		if a := s.do("GET", "/premium/x"); a.StatusCode == 503 {
			if a.Header.Get("Retry-After") == "" || a.code() != "wallet_unavailable" || contains(a.body, "down") {
				t.Error(a.Header, a.body)
			}
			break
		}
	}
	s.want(503, "GET", "/premium/x")
	allPass("while both are down")

	node.fail(nil)
	backup.fail(nil)
	// After the pause one call tries the node again, and the node is the first choice again.
	var last error
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		if a := s.do("GET", "/premium/x"); a.StatusCode == 402 {
			challenge := s.challenge(a)
			if _, last = node.inner.(wallets.Payer).Pay(t.Context(), challenge.Invoice, 0); last == nil {
				break
			}
		}
		if time.Now().After(end) {
			t.Fatal("the node is not used again:", last)
		}
	}
	allPass("after the node came back")
}

func (p purchase) hash(t *testing.T) lntypes.Hash {
	t.Helper()
	inv, err := wallets.DecodeInvoice(p.Invoice)
	if err != nil {
		t.Fatal(err)
	}
	return inv.PaymentHash
}

func TestFailoverFromAHangingWallet(t *testing.T) {
	s := serve(t, "wallet_timeout 4s\nwallet node fake foh-node\nwallet backup fake foh-backup\n"+
		"wallet both failover node backup\ndefault_wallet both", gated)
	fake(t, "foh-node").fail(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	for range 8 {
		begin := time.Now()
		s.buyAt(t, fake(t, "foh-backup"), "/premium/x")
		if took := time.Since(begin); took > 3900*time.Millisecond {
			t.Errorf("it took %s of the four seconds that there were", took)
		}
	}
}

func TestFailoverLooksUpWhereTheInvoiceWasMade(t *testing.T) {
	declared := "wallet node fake fol-node\nwallet backup fake fol-backup\n"
	s := serve(t, declared+"wallet both failover node backup\ndefault_wallet both", gated)
	node, backup := fake(t, "fol-node"), fake(t, "fol-backup")
	node.fail(down)
	challenge := s.challenge(s.want(402, "GET", "/premium/x"))
	alone := "L402 " + base64.StdEncoding.EncodeToString(challenge.Macaroon)
	again := s.challenge(s.wantCode("payment_pending", "/premium/x", "Authorization", alone))
	if again.Invoice != challenge.Invoice {
		t.Error("the client of a pending invoice got another one")
	}
	if node.lookups.Load() != 0 {
		t.Error("the node was asked for an invoice of the backup")
	}

	// Another order is another wallet, which does not know who made what.
	s.reload(s.config(declared+"wallet both failover node backup\nwallet turned failover backup node\ndefault_wallet turned", gated))
	node.fail(nil)
	time.Sleep(600 * time.Millisecond) // what was answered before is believed for half a second
	s.wantCode("payment_pending", "/premium/x", "Authorization", alone)
	payAt(t, backup, challenge.Invoice)
	time.Sleep(600 * time.Millisecond)
	s.want(200, "GET", "/premium/x", "Authorization", alone)
}

func TestFailoverHearsOfSettlements(t *testing.T) {
	s := serve(t, "wallet node fake fos-node\nwallet backup telling fos-backup\nwallet both failover node backup\ndefault_wallet both", gated)
	node, backup := fake(t, "fos-node"), fake(t, "fos-backup")
	node.fail(down)
	challenge := s.challenge(s.want(402, "GET", "/premium/x"))
	alone := "L402 " + base64.StdEncoding.EncodeToString(challenge.Macaroon)
	backup.fail(down) // neither can be asked any more
	payAt(t, backup, challenge.Invoice)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if a := s.do("GET", "/premium/x", "Authorization", alone); a.StatusCode == 200 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the payment is not known, though the backup's subscription told of it")
		}
	}
}

func TestFailoverNeverPassesABadInvoice(t *testing.T) {
	s := serve(t, "wallet node fake fob-node\nwallet backup fake fob-backup\nwallet both failover node backup\ndefault_wallet both",
		"l402 10 sat {\n\ton_wallet_error pass\n\tprefetch off\n}\ntest_upstream")
	node, backup := fake(t, "fob-node"), fake(t, "fob-backup")
	node.inner = lyingWallet{node.inner, func(_ *wallets.InvoiceRequest, inv *wallets.Invoice) {
		if inv != nil {
			inv.PaymentHash = lntypes.Hash{1}
		}
	}}
	s.buyAt(t, backup, "/x")
	backup.fail(down)
	for range 2 { // more would have it left alone, and then it is down
		if a := s.do("GET", "/x"); a.StatusCode == http.StatusOK {
			t.Fatal("a wallet that lies made the content free")
		}
	}
	node.fail(down)
	fine := func() bool { return s.do("GET", "/x").StatusCode == 200 }
	for end := time.Now().Add(15 * time.Second); !fine(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("both down does not pass, as on_wallet_error says")
		}
	}
}

func TestFailoverReloadKeepsTheMembers(t *testing.T) {
	declared := "wallet node fake for-node %s\nwallet backup fake for-backup\nwallet both failover node backup\ndefault_wallet both"
	s := serve(t, strings.Replace(declared, "%s", "one", 1), gated)
	node, both := fake(t, "for-node"), s.app().open["both"].cashier
	p := s.buyAt(t, node, "/premium/x")
	s.reload(s.config(strings.Replace(declared, "%s", "two", 1), gated))
	if fake(t, "for-node") != node || s.app().open["both"].cashier != both || node.closed.Load() {
		t.Error("the reload opened wallets anew")
	}
	if got := *node.settings.Load(); got != "two" {
		t.Errorf("the member has the settings %q", got)
	}
	s.want(200, "GET", "/premium/x", "Authorization", p.authorization())
	s.buyAt(t, node, "/premium/x")

	// Without the wallet that stands for it the member goes on as it is.
	s.reload(s.config("wallet node fake for-node three", gated))
	s.want(200, "GET", "/premium/x", "Authorization", p.authorization())
	s.buyAt(t, node, "/premium/x")
}

func TestFailoverOfFailovers(t *testing.T) {
	s := serve(t, "wallet a fake fon-a\nwallet b fake fon-b\nwallet c fake fon-c\n"+
		"wallet outer failover inner c\nwallet inner failover a b\ndefault_wallet outer",
		"l402 /premium/* 10 sat {\n\tprefetch off\n}\ntest_upstream")
	s.buyAt(t, fake(t, "fon-a"), "/premium/x")
	fake(t, "fon-a").fail(down)
	s.buyAt(t, fake(t, "fon-b"), "/premium/x")
	fake(t, "fon-b").fail(down)
	s.buyAt(t, fake(t, "fon-c"), "/premium/x")
}

func TestModuleThatIsNoWallet(t *testing.T) {
	app := new(App)
	err := app.openWallets(map[string]any{"x": errors.New("no guest")})
	if err == nil || !strings.Contains(err.Error(), "is no wallet adapter") {
		t.Error(err)
	}
}
