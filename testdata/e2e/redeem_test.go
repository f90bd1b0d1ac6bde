package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/client"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/gateway"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/lightning"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/lnurlp"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/mints"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/proc"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/upstream"
)

// redeeming is a gateway whose ecash becomes Lightning money, with a customer who pays 100 sat each
// time.
type redeeming struct {
	*gateway.Gateway
	t        testing.TB
	up       *upstream.Server
	customer *mints.Wallet
	taken    int // what was in the purses after each payment, added up
}

func startRedeeming(t testing.TB, net *lightning.Pair, m *mints.Mint, wallet, rules string) *redeeming {
	t.Helper()
	up := upstream.Start(t)
	gw := gateway.Start(t, gateway.Options{
		Binary: caddy, Site: "l402 /premium/* 100 sat {\n\tlimit off\n}\nreverse_proxy " + up.Addr,
		Global: fmt.Sprintf("l402 {\n\t%s\n\tcashu {\n\t\tmint %s\n\t\tredeem_to node {\n\t\t\t%s\n\t\t}\n\t}\n}", wallet, m.URL, rules),
	})
	r := &redeeming{Gateway: gw, t: t, up: up, customer: m.NewWallet(t)}
	pay := func(ctx context.Context, invoice string) error {
		_, err := net.Alice.Pay(ctx, invoice)
		return err
	}
	if err := r.customer.Buy(t.Context(), 2048, pay); err != nil {
		t.Fatal(err)
	}
	return r
}

// treasury is what the balances of a gateway add up to.
type treasury struct {
	available, pending int
	// redeemed and fees are of count redemptions that have ended; open are the others.
	redeemed, fees, count, open int
}

func (r *redeeming) treasury() (treasury, error) {
	var list struct {
		Purses []struct {
			Available, Pending int
			Redemptions        struct {
				Current             *struct{}
				Count, Amount, Fees int
			}
		}
	}
	body, err := r.Admin(r.t.Context(), http.MethodGet, "/l402/cashu/balance", "", nil)
	if err == nil {
		err = json.Unmarshal(body, &list)
	}
	var sum treasury
	for _, p := range list.Purses {
		sum.available += p.Available
		sum.pending += p.Pending
		sum.redeemed += p.Redemptions.Amount
		sum.fees += p.Redemptions.Fees
		sum.count += p.Redemptions.Count
		if p.Redemptions.Current != nil {
			sum.open++
		}
	}
	if err == nil && len(list.Purses) == 0 {
		err = fmt.Errorf("no purse is open: %s", body)
	}
	return sum, err
}

// settled waits until nothing is in flight and the books tell what the condition wants.
func (r *redeeming) settled(what string, want func(treasury) bool) treasury {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 90*time.Second)
	defer cancel()
	var sum treasury
	err := proc.Poll(ctx, what, func() (err error) {
		if sum, err = r.treasury(); err == nil && (sum.pending != 0 || sum.open != 0 || !want(sum)) {
			err = fmt.Errorf("the books say %+v", sum)
		}
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return sum
}

// buy pays with ecash, and adds up what the mint's fee left of it.
func (r *redeeming) buy() {
	r.t.Helper()
	token, err := r.customer.Send(r.t.Context(), 101, "--no-fees")
	if err != nil {
		r.t.Fatal(err)
	}
	r.Secret(token)
	before := r.settled("nothing in flight", func(treasury) bool { return true })
	ecashPassesSoon(r.t, r.Gateway, r.up, token)
	after := r.settled("the payment", func(s treasury) bool {
		return s.available+s.redeemed+s.fees > before.available+before.redeemed+before.fees
	})
	r.taken += after.available + after.redeemed + after.fees - before.available - before.redeemed - before.fees
}

// command runs one of the commands about ecash against the gateway.
func (r *redeeming) command(args ...string) (string, error) {
	out, stderr, err := runCaddy(r.t, r.Home(), append(append([]string{"l402", "cashu"}, args...),
		"--address", strings.TrimPrefix(r.AdminURL(), "http://"))...)
	if err != nil {
		err = fmt.Errorf("%w: %s", err, stderr)
	}
	return out, err
}

// TestRedemption turns ecash into money of real LND, by threshold and by hand, while the gateway is
// killed in the middle of redemptions: nothing is paid twice, and nothing is lost.
func TestRedemption(t *testing.T) {
	t.Parallel()
	net := network(t)
	m := startMint(t, net.Bob, 100)
	wallet := fmt.Sprintf("wallet node lnd %s {\n\t\tmacaroon %s\n\t\ttls_cert %s\n\t\tnetwork regtest\n\t}",
		net.Alice.Addr(), net.Alice.InvoiceMacaroon(), net.Alice.CertFile())
	r := startRedeeming(t, net, m, wallet, "above 350 sat\n\t\t\tmin 20 sat\n\t\t\tmax_fee 2% 5 sat")
	// received is what Alice says, whatever the gateway's books do.
	received := func() (int, int) {
		t.Helper()
		msat, count, err := net.Alice.Received(t.Context(), "ecash redeemed")
		if err != nil || msat%1000 != 0 {
			t.Fatalf("alice has received %d msat, %v", msat, err)
		}
		return int(msat / 1000), count
	}
	balanced := func(s treasury) {
		t.Helper()
		if got, count := received(); got != s.redeemed || count != s.count {
			t.Errorf("alice has received %d sat in %d payments, and the books say %+v", got, count, s)
		}
		if sum := s.available + s.redeemed + s.fees; sum != r.taken {
			t.Errorf("%d sat were taken, and %d are there, at alice or fees: %+v", r.taken, sum, s)
		}
	}

	// Above the threshold it goes by itself.
	for range 4 {
		r.buy()
	}
	s := r.settled("the threshold to be passed", func(s treasury) bool { return s.count > 0 })
	balanced(s)
	if s.redeemed < 340 || s.fees > 10 {
		t.Errorf("of %d sat taken %d arrived: %+v", r.taken, s.redeemed, s)
	}

	for round := range 6 {
		r.buy()
		before := r.settled("nothing in flight", func(treasury) bool { return true })
		ended := make(chan struct{})
		go func() { // ends with the gateway
			defer close(ended)
			_, _ = r.Admin(t.Context(), http.MethodPost, "/l402/cashu/redeem", "application/json", []byte("{}"))
		}()
		// Early rounds die before the invoice is made, late ones while the mint pays or after.
		time.Sleep(time.Duration(round*round) * 12 * time.Millisecond)
		r.Kill()
		<-ended
		if err := r.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		// What the dead one began may be in flight still, or its lock held for a while.
		for range 5 {
			if s, err := r.treasury(); err == nil && s.count > before.count {
				break
			}
			_, err := r.command("redeem")
			if err == nil {
				break
			}
			t.Logf("after kill %d: %v", round, err)
		}
		balanced(r.settled("the redemption to end", func(s treasury) bool { return s.count > before.count }))
	}

	// What is taken out by hand is worth something elsewhere.
	r.buy()
	before := r.settled("nothing in flight", func(treasury) bool { return true })
	out, err := r.command("balance")
	if err != nil || !strings.Contains(out, m.URL) {
		t.Errorf("balance: %q, %v", out, err)
	}
	token, err := r.command("send", "50 sat", "--key", "a friend")
	if err != nil {
		t.Fatal(err)
	}
	again, err := r.command("send", "50 sat", "--key", "a friend")
	if err != nil || again != token {
		t.Errorf("the same payment again gives another token (%v)", err)
	}
	r.Secret(strings.TrimSpace(token))
	friend := m.NewWallet(t)
	if err := friend.Receive(t.Context(), strings.TrimSpace(token)); err != nil {
		t.Fatal(err)
	}
	if sat, err := friend.Balance(t.Context()); err != nil || sat < 48 || sat > 50 {
		t.Errorf("50 sat became %d, %v", sat, err)
	}
	s = r.settled("50 sat to be gone", func(s treasury) bool { return s.available <= before.available-50 })
	if lost := before.available - 50 - s.available; lost > 2 {
		t.Errorf("sending 50 sat cost %d", lost)
	}
	words, err := r.command("seed")
	if err != nil || len(strings.Fields(words)) != 12 {
		t.Errorf("the seed has %d words, %v", len(strings.Fields(words)), err)
	}
	r.Secret(strings.TrimSpace(words))
	if _, err := r.command("seed"); err == nil {
		t.Error("the seed is shown twice")
	}
	resp := r.Want(t, http.StatusPaymentRequired, "/premium/a")
	if _, err := client.ReadChallenge(resp.Response); err != nil {
		t.Errorf("lightning has stopped: %v", err)
	}
}

// TestRedeemToAddress pays the ecash to a Lightning address.
func TestRedeemToAddress(t *testing.T) {
	t.Parallel()
	net := network(t)
	m := startMint(t, net.Bob, 100)
	payee := lnurlp.Start(t, net.Alice)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, payee.Certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	wallet := fmt.Sprintf("wallet node lnurl shop@%s {\n\t\tnetwork regtest\n\t\tallow_private\n\t\tca %s\n\t}", payee.Host, ca)
	r := startRedeeming(t, net, m, wallet, "above 5000 sat\n\t\t\tmin 20 sat\n\t\t\tmax_fee 2% 5 sat")
	r.buy()
	r.buy()
	if out, err := r.command("redeem"); err != nil || !strings.Contains(out, "paid to node") {
		t.Fatalf("redeem: %q, %v", out, err)
	}
	// The payee takes 100 sat at most at a time, so that it takes several payments.
	s := r.settled("the payments", func(s treasury) bool { return s.count >= 2 })
	if sum := s.available + s.redeemed + s.fees; sum != r.taken || s.redeemed < 150 {
		t.Errorf("%d sat were taken, and the books say %+v", r.taken, s)
	}
	var list struct {
		Purses []struct {
			Redemptions struct {
				Last []struct {
					Hash   string `json:"payment_hash"`
					Amount int64
				}
			}
		}
	}
	body, err := r.Admin(t.Context(), http.MethodGet, "/l402/cashu/balance", "", nil)
	if err == nil {
		err = json.Unmarshal(body, &list)
	}
	if err != nil {
		t.Fatal(err)
	}
	arrived := int64(0)
	for _, p := range list.Purses {
		for _, paid := range p.Redemptions.Last {
			inv, err := net.Alice.LookUp(t.Context(), paid.Hash)
			if err != nil || inv.State != "SETTLED" || inv.AmountMsat != paid.Amount*1000 {
				t.Errorf("a payment of %d sat is %+v at alice, %v", paid.Amount, inv, err)
				continue
			}
			arrived += paid.Amount
		}
	}
	if arrived != int64(s.redeemed) {
		t.Errorf("%d sat of %d have arrived", arrived, s.redeemed)
	}
}
