package caddyl402

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/caddy-l402/caddy-l402/wallets"
)

func init() { caddy.RegisterModule(new(payerGuest)) }

// payerGuest is a wallet that pays what the fake wallet "proxied" sells, as another node would, and
// counts.
type payerGuest struct{}

func (*payerGuest) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "l402.wallets.test_payer", New: func() caddy.Module { return new(payerGuest) }}
}
func (*payerGuest) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { d.Next(); return nil }
func (*payerGuest) Identity() string                                { return "payer" }
func (*payerGuest) Network() wallets.Network                        { return wallets.Regtest }
func (*payerGuest) Open(wallets.Env) (wallets.Wallet, error)        { return new(testPayer), nil }

// paidOut is what testPayers do.
var paidOut struct {
	sync.Mutex
	paid map[string]int
	err  error // of the next payments
}

type testPayer struct{ wallets.Wallet }

func (*testPayer) Pay(ctx context.Context, invoice string, _ lnwire.MilliSatoshi) (lntypes.Preimage, error) {
	paidOut.Lock()
	defer paidOut.Unlock()
	if paidOut.err != nil {
		return lntypes.Preimage{}, paidOut.err
	}
	shop, ok := fakes.Load("proxied")
	if !ok {
		return lntypes.Preimage{}, errDown
	}
	found, err := shop.(*fakeWallet).inner.(wallets.Payer).Pay(ctx, invoice, 0)
	if err == nil {
		paidOut.paid[invoice]++
	}
	return found, err
}

func paidInvoices(err error) int {
	paidOut.Lock()
	defer paidOut.Unlock()
	paidOut.err = err
	return len(paidOut.paid)
}

// serveProxy starts a site whose /up/* is a proxy with the transport to the same server's /paid/*,
// which sells; block is what the transport has besides.
func serveProxy(t *testing.T, block string) *server {
	t.Helper()
	paidOut.Lock()
	paidOut.paid, paidOut.err = map[string]int{}, nil
	paidOut.Unlock()
	s := &server{t: t, addr: freeAddress(t), storage: t.TempDir()}
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	upstreamHits.Store(0)
	s.reload(s.proxyConfig(block))
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *server) proxyConfig(block string) string {
	return s.config("wallet shop fake proxied\n\t\twallet purse test_payer", fmt.Sprintf(`
	handle_path /up/* {
		reverse_proxy %s {
			transport l402 {
				wallet purse
				%s
			}
		}
	}
	l402 /paid/* 10 sat
	test_upstream`, s.addr, block))
}

const lavish = "max_price 100 sat\n\t\t\t\tmax_fee 0\n\t\t\t\tbudget 1000 sat per day"

func TestTransportPays(t *testing.T) {
	s := serveProxy(t, lavish)
	spent := testutil.ToFloat64(metrics.upstreamSpent.WithLabelValues("purse"))
	challenge := s.challenge(s.want(402, "GET", "/paid/x"))
	preimage, err := new(testPayer).Pay(t.Context(), challenge.Invoice, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := purchase{challenge, preimage}
	paidOut.Lock()
	clear(paidOut.paid)
	paidOut.Unlock()
	var wg sync.WaitGroup
	for n := range 50 {
		wg.Go(func() {
			// Credentials of our clients are not the upstream's affair.
			a := s.do("GET", fmt.Sprintf("/up/paid/%d", n), "Authorization", p.authorization())
			if a.StatusCode != 200 || !strings.Contains(a.body, `service="paid"`) {
				t.Errorf("%d: got %d %s", n, a.StatusCode, a.body)
			}
		})
	}
	wg.Wait()
	if n := paidInvoices(nil); n != 1 {
		t.Errorf("%d purchases", n)
	}
	if got := testutil.ToFloat64(metrics.upstreamSpent.WithLabelValues("purse")) - spent; got != 10_000 {
		t.Errorf("the metric says %v msat", got)
	}
	// A reload forgets what is in memory, and finds it in the storage.
	s.reload(s.proxyConfig(lavish + "\n\t\t\t\tmax_body 2MiB"))
	s.want(200, "GET", "/up/paid/x")
	if n := paidInvoices(nil); n != 1 {
		t.Errorf("%d purchases after a reload", n)
	}
	status, body := admin(t, "GET", "/l402/status", "")
	var facts struct {
		Budgets []accountFacts `json:"upstream_budgets"`
	}
	if err := json.Unmarshal([]byte(body), &facts); status != 200 || err != nil || len(facts.Budgets) != 1 {
		t.Fatal(status, body, err)
	}
	if f := facts.Budgets[0]; f.Account != "purse" || f.Network != wallets.Regtest || f.LimitMsat != 1_000_000 || f.WindowSeconds != 86400 || f.SpentMsat != 10_000 || f.LeftMsat != 990_000 {
		t.Errorf("%+v", f)
	}
}

// TestTransportRefuses shows what clients get where nothing is bought: the reason, and no amounts.
func TestTransportRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		block, code string
		err         error
	}{
		"too dear":        {block: "max_price 9 sat\nbudget 1000 sat per day", code: "upstream_price_too_high"},
		"over budget":     {block: "max_price 50 sat\nbudget 19 sat per day", code: "upstream_over_budget"},
		"over the host's": {block: "max_price 50 sat\nbudget 1000 sat/day\nhost_budget 19 sat per day", code: "upstream_over_budget"},
		"payment fails":   {block: lavish, code: "upstream_payment_failed", err: fmt.Errorf("%w: hunter2", wallets.ErrPaymentFailed)},
		"unknown":         {block: lavish, code: "upstream_payment_unknown", err: fmt.Errorf("%w: hunter2", wallets.ErrUnavailable)},
	} {
		t.Run(name, func(t *testing.T) {
			s := serveProxy(t, test.block)
			paidInvoices(test.err)
			a := s.want(502, "GET", "/up/paid/x")
			if a.code() != test.code || a.Header.Get("X-L402-Upstream") != test.code || a.Header.Get("Content-Type") != "application/problem+json" ||
				a.Header.Get("WWW-Authenticate") != "" || a.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%v %s", a.Header, a.body)
			}
			if strings.Contains(a.body, "sat") || strings.Contains(a.body, "hunter2") {
				t.Error("the answer says too much:", a.body)
			}
			if n := paidInvoices(nil); n != 0 {
				t.Errorf("%d payments", n)
			}
			s.want(200, "GET", "/up/free")
		})
	}
}

// TestTransportBudgetSurvives a reload that raises nothing.
func TestTransportBudgetSurvives(t *testing.T) {
	const tight = "max_price 50 sat\nmax_fee 0\nbudget 15 sat per day"
	s := serveProxy(t, tight)
	s.want(200, "GET", "/up/paid/x")
	s.reload(s.proxyConfig(tight + "\nmax_body 2MiB"))
	s.want(200, "GET", "/up/paid/x")
	if a := s.want(502, "GET", "/up/paid/x", "Host", "other.test"); a.code() != "upstream_over_budget" || a.Header.Get("Retry-After") == "" {
		t.Errorf("another host's token: %v %s", a.Header, a.body)
	}
}

// TestTransportProxiesLikeCaddy shows that other answers and headers are as with the HTTP transport.
func TestTransportProxiesLikeCaddy(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Got", r.Header.Get("X-Set"))
		w.WriteHeader(418)
	}))
	defer up.Close()
	s := serve(t, "wallet purse test_payer", fmt.Sprintf(`
	reverse_proxy %s {
		header_up X-Set {method}
		transport l402 {
			max_price 1 sat
			budget 1 sat/day
			http {
				dial_timeout 1s
				versions 1.1
			}
		}
	}`, up.URL))
	if a := s.do("GET", "/x"); a.StatusCode != 418 || a.Header.Get("X-Got") != "GET" {
		t.Errorf("%d %v", a.StatusCode, a.Header)
	}
}

// TestTransportHealthChecks has Caddy itself check a path that is for sale: the checks see 402, as they do
// with the HTTP transport, and buy nothing, while requests do.
func TestTransportHealthChecks(t *testing.T) {
	const checked = "\t\t\thealth_uri /paid/health\n\t\t\thealth_interval 20ms\n"
	s := serveProxy(t, lavish)
	text := strings.Replace(s.proxyConfig(lavish), "l402 /paid/* 10 sat", "l402 /paid/* 10 sat {\n\t\tlimit off\n\t}", 1)
	for _, expected := range []string{"402", "2xx"} {
		paid := paidInvoices(nil)
		at := fmt.Sprintf("reverse_proxy %s {\n", s.addr)
		config := strings.Replace(text, at, at+checked+"\t\t\thealth_status "+expected+"\n", 1)
		before := testutil.ToFloat64(metrics.challenges.WithLabelValues("paid"))
		s.reload(config)
		eventually(t, "some health checks", func() bool {
			return testutil.ToFloat64(metrics.challenges.WithLabelValues("paid")) >= before+5
		})
		if n := paidInvoices(nil) - paid; n != 0 {
			t.Fatalf("health checks made %d payments", n)
		}
		if expected == "402" {
			s.want(200, "GET", "/up/paid/x")
			s.want(200, "GET", "/up/free")
		} else {
			eventually(t, "the upstream to count as down", func() bool { return s.do("GET", "/up/free").StatusCode == 503 })
		}
	}
}

func TestTransportSettings(t *testing.T) {
	for block, want := range map[string]string{
		"budget 5 sat/day": "max_price is missing",
		"max_price 5 sat":  "budget is missing",
		"max_price 5 sat\nbudget 5 sat/day\nwallet none":                        `wallet "none" is not declared`,
		"max_price 5 sat\nbudget 5 sat/day\nwallet mute":                        "cannot pay: declare one of cashu, cln, eclair",
		"max_price 5 eur\nbudget 5 sat/day":                                     "max_price",
		"max_price 5 sat\nmax_fee -1 sat\nbudget 5 sat/day":                     "max_fee",
		"max_price 5 sat\nbudget 5 sat":                                         "budget:",
		"max_price 5 sat\nbudget 5 sat per 2s":                                  "use between",
		"max_price 5 sat\nhost_budget a.test b.test 5 sat/day":                  "host_budget",
		"max_price 5 sat\nbudget 5 sat/day\nmax_body lots":                      "max_body",
		"max_price 5 sat\nbudget 5 sat/day\nmax_body 2GiB":                      "max_body",
		"max_price 5 sat\nbudget 5 sat/day\ntimeout soon":                       "timeout",
		"max_price 5 sat\nbudget 5 sat/day\nmax_price 6 sat":                    "twice",
		"max_price 5 sat\nbudget 5 sat/day\ndial_timeout 1s":                    "go into `http { … }`",
		"max_price 5 sat\nbudget 5 sat/day\nhttp {\nproxy_protocol v2\n}":       "proxy_protocol",
		"max_price 5 sat\nbudget 5 sat/day\naccount " + strings.Repeat("a", 81): "account",
	} {
		s := &server{t: t, addr: freeAddress(t), storage: t.TempDir()}
		text := s.config("wallet purse sandbox\nwallet mute fake mute", "reverse_proxy 127.0.0.1:1 {\ntransport l402 {\n"+block+"\n}\n}")
		config, err := adapt(text)
		if err == nil {
			var parsed caddy.Config
			if err := caddy.StrictUnmarshalJSON(config, &parsed); err != nil {
				t.Fatal(err)
			}
			err = caddy.Validate(&parsed)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %q", block, err, want)
			}
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", block, err, want)
		}
	}
}

// Guards.
var (
	_ wallets.Guest = (*payerGuest)(nil)
	_ wallets.Payer = (*testPayer)(nil)
)
