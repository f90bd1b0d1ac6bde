package e2e

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/client"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/gateway"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/proc"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/upstream"
)

// TestNWC sells through Nostr Wallet Connect: a relay, a wallet service that was not written for
// this gateway, and LND behind it; with both encryptions of NIP-47. The relay is killed on the way
// and comes back empty.
func TestNWC(t *testing.T) {
	t.Parallel()
	for encryption, scheme := range map[string]string{"nip04": "nip04", "nip44": "nip44_v2"} {
		t.Run(encryption, func(t *testing.T) {
			t.Parallel()
			lightning, up := network(t), upstream.Start(t)
			relay := startNostrRelay(t)
			wallet := start(t, proc.Spec{
				Name: "nwc-wallet", Dir: npm(t), Path: "node", Args: []string{"nwc-wallet.mjs", relay.url, encryption},
				Env: lndREST(lightning.Bob, lightning.Bob.InvoiceMacaroon()),
			})
			uri := word(t, wallet, "uri")
			gw := gateway.Start(t, gateway.Options{
				Binary: caddy, Site: shop(up, "limit off"), Env: []string{"NWC=" + uri},
				Global: "l402 {\n\twallet nostr nwc {env.NWC} {\n\t\tnetwork regtest\n\t}\n}",
			})
			gw.Secret(nwcSecret(t, uri))

			challengeSoon(t, gw)
			token := gw.Buy(t, lightning.Alice, "/premium/a")
			passes(t, gw, up, "/premium/a", client.Auth(token))
			// What is paid is found without the preimage, also when nothing is left in memory.
			ch, late := gw.Challenge(t, "/premium/a"), gw.Challenge(t, "/premium/a")
			alone := client.Token{Macaroon: ch.Macaroon}
			refused(t, gw, up, "/premium/a", client.Auth(alone))
			gw.Secret(client.PayFor(t, lightning.Alice, ch).Preimage)
			passesSoon(t, gw, up, alone)

			relay.process.Kill()
			gw.Secret(client.PayFor(t, lightning.Alice, late).Preimage)
			passes(t, gw, up, "/premium/a", client.Auth(token))
			resp := gw.Want(t, http.StatusServiceUnavailable, "/premium/a", client.Auth(client.Token{Macaroon: late.Macaroon}))
			if resp.Header.Get("Retry-After") == "" {
				t.Error("503 without Retry-After")
			}
			begin := time.Now()
			relay.start(t)
			passesSoon(t, gw, up, client.Token{Macaroon: late.Macaroon})
			t.Logf("a payment was found %s after the relay's start", time.Since(begin).Round(time.Millisecond))
			challengeSoon(t, gw)
			passes(t, gw, up, "/premium/a", client.Auth(gw.Buy(t, lightning.Alice, "/premium/a")))

			for _, method := range []string{"make_invoice", "lookup_invoice"} {
				asked := said(t, wallet, "request "+method)
				if len(asked) == 0 {
					t.Errorf("the wallet was never asked for %s", method)
				}
				for _, with := range asked {
					if with != scheme {
						t.Errorf("%s came with %s, want %s", method, with, scheme)
					}
				}
			}
		})
	}
}

// nostrRelay is a relay that forgets everything when it ends.
type nostrRelay struct {
	url, address, program string
	process               *proc.Process
}

func startNostrRelay(t *testing.T) *nostrRelay {
	t.Helper()
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(proc.FreePorts(1)[0]))
	r := &nostrRelay{url: "ws://" + address, address: address, program: counterpart(t, "relay", "relay")}
	r.start(t)
	return r
}

// start starts the relay, at first or after its end, at the same address.
func (r *nostrRelay) start(t *testing.T) {
	t.Helper()
	r.process = start(t, proc.Spec{Name: "relay", Path: r.program, Args: []string{"-addr", r.address}})
	listening(t, r.process, r.address)
}

// listening waits until a program takes connections.
func listening(t *testing.T, p *proc.Process, address string) {
	t.Helper()
	err := proc.Poll(t.Context(), p.Name, func() error {
		if !p.Running() {
			t.Fatalf("%s ended with status %d", p.Name, p.ExitCode())
		}
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			conn.Close()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// nwcSecret is the part of a connection URI that no log may hold.
func nwcSecret(t *testing.T, uri string) string {
	t.Helper()
	u, err := url.Parse(uri)
	if err != nil || u.Query().Get("secret") == "" {
		t.Fatal(fmt.Errorf("reading a connection URI: %w", err))
	}
	return u.Query().Get("secret")
}
