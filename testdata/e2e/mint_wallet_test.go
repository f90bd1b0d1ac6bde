package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/client"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/gateway"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/mints"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/proc"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/upstream"
)

// mintOptions is the l402 global option with a mint as the wallet.
func mintOptions(m *mints.Mint) string {
	return fmt.Sprintf("l402 {\n\twallet shop cashu %s {\n\t\tnetwork regtest\n\t}\n}", m.URL)
}

// TestMintAsWallet sells over Lightning with no node: real LND pays a mint's invoices, and ecash is in
// the purse for each of them, also where the gateway or the mint was killed between the payment and
// the making of the ecash.
func TestMintAsWallet(t *testing.T) {
	t.Parallel()
	net, up := network(t), upstream.Start(t)
	m := startMint(t, net.Bob, 100)
	gw := gateway.Start(t, gateway.Options{Binary: caddy, Global: mintOptions(m), Site: shop(up, "limit off")})

	token := gw.Buy(t, net.Alice, "/premium/a")
	passes(t, gw, up, "/premium/a", client.Auth(token))
	alone := gw.Challenge(t, "/premium/a")
	refused(t, gw, up, "/premium/a", client.Auth(client.Token{Macaroon: alone.Macaroon}))
	gw.Secret(client.PayFor(t, net.Alice, alone).Preimage)
	passesSoon(t, gw, up, client.Token{Macaroon: alone.Macaroon})

	// The gateway dies before the payment comes.
	ch := gw.Challenge(t, "/premium/a")
	gw.Kill()
	gw.Secret(client.PayFor(t, net.Alice, ch).Preimage)
	if err := gw.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	passesSoon(t, gw, up, client.Token{Macaroon: ch.Macaroon})

	// The mint dies as soon as it has the payment, and the gateway while it is away.
	ch = gw.Challenge(t, "/premium/a")
	paid := client.PayFor(t, net.Alice, ch)
	m.Kill()
	gw.Secret(paid.Preimage)
	passes(t, gw, up, "/premium/a", client.Auth(paid))
	gw.Kill()
	if err := gw.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	passes(t, gw, up, "/premium/a", client.Auth(paid))
	if err := m.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	passesSoon(t, gw, up, client.Token{Macaroon: ch.Macaroon})

	// Nobody comes back for what is paid last, and it becomes ecash all the same.
	last := gw.Challenge(t, "/premium/a")
	gw.Secret(client.PayFor(t, net.Alice, last).Preimage)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := proc.Poll(ctx, "the ecash of five payments", func() error {
		time.Sleep(time.Second) // a command is some work for a busy machine
		if sat := purseOf(t, gw); sat != 50 {
			return fmt.Errorf("%d sat are in the purse", sat)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	refused(t, gw, up, "/premium/a")
}

var available = regexp.MustCompile(`spend the ecash: (\d+) sat available`)

// purseOf asks a command, beside the running gateway, what its purse has.
func purseOf(t testing.TB, gw *gateway.Gateway) int {
	t.Helper()
	out, stderr, err := runCaddy(t, gw.Home(), "l402", "wallet", "check", "--config", filepath.Join(gw.Home(), "Caddyfile"), "--adapter", "caddyfile")
	if err != nil {
		t.Fatalf("wallet check: %v\n%s\n%s", err, out, stderr)
	}
	found := available.FindStringSubmatch(out)
	if found == nil {
		t.Fatalf("wallet check says nothing of the purse:\n%s", out)
	}
	sat, err := strconv.Atoi(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return sat
}
