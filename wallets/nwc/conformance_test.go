package nwc

import (
	"slices"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

var quick = timing{
	dial: 10 * time.Second, write: 10 * time.Second, ping: 200 * time.Millisecond, pong: 10 * time.Second,
	firstPause: 20 * time.Millisecond, lastPause: 200 * time.Millisecond, wakePause: 20 * time.Millisecond,
	infoWait: 500 * time.Millisecond,
}

var quickPolling = pollTiming{
	notified: time.Minute, busy: 30 * time.Millisecond, idle: 60 * time.Millisecond,
	firstRetry: 20 * time.Millisecond, lastRetry: 200 * time.Millisecond,
}

// testTimeout lets a hundred calls at once end on a busy machine under the race detector.
const testTimeout = 20 * time.Second

// open opens a wallet on the service, as the host does but for the waits.
func (s *service) open(t testing.TB, env wallets.Env) *Wallet {
	t.Helper()
	g := &Guest{URI: s.uri(), NetworkName: "regtest", Timeout: caddy.Duration(testTimeout)}
	if err := g.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	opened, err := g.Open(env)
	if err != nil {
		t.Fatal(err)
	}
	w := opened.(*Wallet)
	w.s.timing, w.poll = quick, quickPolling
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return w
}

func without(methods ...string) []string {
	return slices.DeleteFunc(slices.Clone(allMethods), func(m string) bool { return slices.Contains(methods, m) })
}

func TestConformance(t *testing.T) {
	noHold := map[wallettest.Ability]string{wallettest.Hold: "this wallet service has no hold invoices"}
	for _, c := range []struct {
		name    string
		profile profile
		relays  int
		cannot  map[wallettest.Ability]string
	}{
		{"NIP-44 with everything", profile{encryption: "nip44_v2 nip04", methods: allMethods, notify: true}, 1, nil},
		{"NIP-04 of an old wallet, polled", profile{
			encryption: "-", methods: without(methodMakeHold, methodSettleHold, methodCancelHold), terse: true,
		}, 1, map[wallettest.Ability]string{
			wallettest.Hold:   noHold[wallettest.Hold],
			wallettest.Cancel: "a wallet without the state field cannot tell a canceled invoice",
		}},
		{"no list, no notifications", profile{
			encryption: "nip04 nip44_v2", methods: without(methodList, methodGetInfo),
		}, 1, map[wallettest.Ability]string{
			wallettest.Resume: "without list_transactions the past cannot be asked for",
		}},
		{"two relays", profile{encryption: "nip44_v2", methods: allMethods, notify: true}, 2, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			wallettest.Run(t, wallettest.Harness{
				Network: wallets.Regtest,
				Cannot:  c.cannot,
				Open: func(t testing.TB, env *wallettest.Env) *wallettest.Subject {
					s := newService(t, c.profile, c.relays)
					return &wallettest.Subject{
						Wallet: s.open(t, env),
						Pay:    s.pay, Expire: s.mark(stateExpired), Cancel: s.mark(stateFailed),
						Payable: s.payable, Fault: s.inflict, Secrets: s.secrets(),
					}
				},
			})
		})
	}
}
