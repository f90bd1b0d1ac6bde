package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/client"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/gateway"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/proc"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/upstream"
)

// lncPatience is how long a connection may take. The second one of a session, whose boxes the other
// side has to make first, takes 20 seconds, and a try that fails costs a minute more.
const lncPatience = 4 * time.Minute

// TestLNC sells through Lightning Node Connect: LND behind a mailbox. After a restart the gateway
// connects with the keys that it stored, since a pairing phrase works once.
func TestLNC(t *testing.T) {
	t.Parallel()
	lightning, up := network(t), upstream.Start(t)
	mailbox, cert := startMailbox(t)
	node := start(t, proc.Spec{
		Name: "lncserver", Path: counterpart(t, "aperture", "lncserver"),
		Args: []string{"-mailbox", mailbox, "-lnd", lightning.Bob.Addr(), "-cert", lightning.Bob.CertFile(), "-mac", lightning.Bob.InvoiceMacaroon()},
		// It knows no other way to be told whom to trust.
		Env: []string{"SSL_CERT_FILE=" + cert},
	})
	phrase := word(t, node, "phrase:")
	gw := gateway.Start(t, gateway.Options{
		Binary: caddy, Site: shop(up, "limit off", "prefetch off"), Env: []string{"LNC=" + phrase}, Level: "INFO",
		Global: fmt.Sprintf("l402 {\n\twallet far lnc {\n\t\tpairing_phrase {env.LNC}\n\t\tmailbox %s\n\t\tmailbox_ca %s\n\t\tnetwork regtest\n\t}\n}", mailbox, cert),
	})
	gw.Secret(phrase)

	connected := func(what string) {
		t.Helper()
		begin := time.Now()
		challengeWithin(t, gw, lncPatience)
		t.Logf("%s took %s", what, time.Since(begin).Round(time.Millisecond))
	}
	connected("the first connection")
	token := gw.Buy(t, lightning.Alice, "/premium/a")
	passes(t, gw, up, "/premium/a", client.Auth(token))
	first, second := gw.Challenge(t, "/premium/a"), gw.Challenge(t, "/premium/a")
	gw.Secret(client.PayFor(t, lightning.Alice, first).Preimage)
	passesSoon(t, gw, up, client.Token{Macaroon: first.Macaroon})

	if err := gw.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := gw.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	passes(t, gw, up, "/premium/a", client.Auth(token))
	connected("the second connection")
	gw.Secret(client.PayFor(t, lightning.Alice, second).Preimage)
	passesSoon(t, gw, up, client.Token{Macaroon: second.Macaroon})
	passes(t, gw, up, "/premium/a", client.Auth(gw.Buy(t, lightning.Alice, "/premium/a")))
	if keys := said(t, node, "paired with"); len(keys) < 2 || len(slices.Compact(keys)) != 1 {
		t.Errorf("the node saw the keys %q, want the same one twice", keys)
	}
}

// startMailbox runs Aperture as the mailbox of Lightning Node Connect and gives its address and
// certificate.
func startMailbox(t *testing.T) (address, cert string) {
	t.Helper()
	program, dir := counterpart(t, "aperture", "aperture"), t.TempDir()
	address = net.JoinHostPort("127.0.0.1", strconv.Itoa(proc.FreePorts(1)[0]))
	file := filepath.Join(dir, "aperture.yaml")
	config := fmt.Sprintf(`listenaddr: "%s"
insecure: false
servername: "127.0.0.1"
basedir: %s
debuglevel: info
dbbackend: sqlite
sqlite:
  databasefilename: %s
authenticator:
  disable: true
hashmail:
  enabled: true
  messagerate: 1ms
  messageburstallowance: 4294967295
`, address, dir, filepath.Join(dir, "aperture.db"))
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, proc.Spec{Name: "aperture", Dir: dir, Path: program, Args: []string{"--configfile=" + file}, Env: []string{"HOME=" + dir}})
	listening(t, p, address)
	return address, filepath.Join(dir, "tls.cert")
}
