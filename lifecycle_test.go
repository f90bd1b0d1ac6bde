package caddyl402

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-l402/caddy-l402/internal/cashier"
)

// holdUpstream makes requests with X-Wait hang until the returned function is called.
func holdUpstream(t *testing.T) (release func()) {
	t.Helper()
	until := make(chan struct{})
	hold.Lock()
	hold.until = until
	hold.Unlock()
	release = sync.OnceFunc(func() { close(until) })
	t.Cleanup(release)
	return release
}

// inFlight sends a request that hangs in the upstream; its status arrives on the channel.
func (s *server) inFlight(path string, headers ...string) <-chan int {
	s.t.Helper()
	before := upstreamHits.Load()
	status := make(chan int, 1)
	go func() { // ends with its request, which release lets go
		r, _ := http.NewRequest("GET", "http://"+s.addr+path, nil)
		r.Header.Set("X-Wait", "1")
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		resp, err := client.Do(r)
		if err != nil {
			status <- 0
			return
		}
		resp.Body.Close()
		status <- resp.StatusCode
	}()
	for range 500 {
		if upstreamHits.Load() > before {
			return status
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.t.Fatal("the request did not reach the upstream")
	return nil
}

func TestReloadKeepsTokensWalletsAndRequestsInFlight(t *testing.T) {
	s := serveWith(t, "grace_period 10s", "wallet node fake reload one", gated)
	p := s.buy("/premium/x")
	w := fake(t, "reload")
	release := holdUpstream(t)
	status := s.inFlight("/premium/x", "Authorization", p.authorization())
	s.reload(s.config("wallet node fake reload two", strings.Replace(gated, "10 sat", "20 sat", 1)))
	release()
	if got := <-status; got != 200 {
		t.Errorf("the request in flight got %d", got)
	}
	s.want(200, "GET", "/premium/x", "Authorization", p.authorization())
	if fake(t, "reload") != w || w.closed.Load() {
		t.Error("the reload opened the wallet anew")
	}
	if got := *w.settings.Load(); got != "two" {
		t.Errorf("the pooled wallet has the settings %q", got)
	}
	// The new price applies to new challenges.
	if a := s.want(402, "GET", "/premium/x"); !strings.Contains(a.body, `"price_msat":20000`) {
		t.Error(a.body)
	}
}

func TestWalletGoneWithAnUnpaidRequestInFlight(t *testing.T) {
	s := serveWith(t, "grace_period 10s", "wallet node fake leaving", gated)
	w := fake(t, "leaving")
	slow := make(chan struct{})
	entered := make(chan struct{}, 1)
	w.fail(func(ctx context.Context) error {
		select {
		case entered <- struct{}{}:
		default:
		}
		<-slow
		return ctx.Err()
	})
	status := make(chan int, 1)
	go func() { // ends with its request
		r, _ := http.NewRequest("GET", "http://"+s.addr+"/premium/x", nil)
		resp, err := client.Do(r)
		if err != nil {
			status <- 0
			return
		}
		resp.Body.Close()
		status <- resp.StatusCode
	}()
	<-entered
	go func() { time.Sleep(200 * time.Millisecond); close(slow) }()
	s.reload(s.config("wallet other sandbox", gated))
	if got := <-status; got != 402 {
		t.Errorf("the unpaid request in flight got %d", got)
	}
}

func TestFailedReloadChangesNothing(t *testing.T) {
	s := serve(t, "wallet node fake failed one", gated)
	p := s.buy("/premium/x")
	w := fake(t, "failed")
	// A configuration whose wallets attach before its second site fails to listen.
	busy := s.config("wallet node fake failed two", gated) + "http://127.0.0.1:1 {\n\tbind 192.0.2.77\n}\n"
	if err := s.tryReload(busy); err == nil {
		t.Fatal("a site on an address of another machine loaded")
	}
	s.want(200, "GET", "/premium/x", "Authorization", p.authorization())
	s.want(402, "GET", "/premium/x")
	if got := *w.settings.Load(); got != "one" {
		t.Errorf("after a failed reload the wallet has the settings %q", got)
	}
	if w.closed.Load() {
		t.Error("a failed reload closed the wallet")
	}
	if err := w.env.Store(t.Context(), "probe", []byte("x")); err != nil {
		t.Error("after a failed reload the wallet has no storage:", err)
	}
	// The admin API speaks for the configuration that runs.
	app, err := activeApp()
	if err != nil || app.open["node"].cashier.Wallet() != w {
		t.Error(app, err)
	}
}

func TestValidateHasNoSideEffects(t *testing.T) {
	storage := filepath.Join(t.TempDir(), "storage")
	s := &server{t: t, addr: freeAddress(t), storage: storage}
	config, err := adapt(s.config("wallet node fake validated", gated))
	if err != nil {
		t.Fatal(err)
	}
	var parsed caddy.Config
	if err := caddy.StrictUnmarshalJSON(config, &parsed); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(&parsed); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(filepath.Join(storage, "l402")); err == nil {
		t.Errorf("validating wrote %v", entries)
	}
	if w := fake(t, "validated"); w.creates.Load()+w.lookups.Load() > 0 || w.settings.Load() != nil {
		t.Error("validating used the wallet")
	}
	if _, inUse := cashiers.References(cashier.ID(&fakeGuest{Name: "validated"})); inUse {
		t.Error("validating left a wallet in the pool")
	}
}

func TestTokensOutliveTheProcessAndAreSharedByStorage(t *testing.T) {
	s := serve(t, "wallet play sandbox", gated)
	p := s.buy("/premium/x")
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	s.reload(s.config("wallet play sandbox", gated))
	s.want(200, "GET", "/premium/x", "Authorization", p.authorization())
	// On another storage the same token is a stranger's.
	s.storage = t.TempDir()
	s.reload(s.config("wallet play sandbox", gated))
	s.wantCode("unknown_key", "/premium/x", "Authorization", p.authorization())
}

func TestRotation(t *testing.T) {
	s := serve(t, "wallet play sandbox", gated)
	p := s.buy("/premium/x")
	app := s.app()
	old := app.keys.Keys()[0].ID
	if _, err := app.keys.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.want(200, "GET", "/premium/x", "Authorization", p.authorization())
	fresh := s.buy("/premium/x")
	if err := app.keys.Retire(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	s.wantCode("unknown_key", "/premium/x", "Authorization", p.authorization())
	s.want(200, "GET", "/premium/x", "Authorization", fresh.authorization())
}

func TestSecretsFromTheConfiguration(t *testing.T) {
	t.Setenv("L402_OLD", strings.Repeat("old", 20))
	t.Setenv("L402_NEW", strings.Repeat("new", 20))
	s := serve(t, "wallet play sandbox\nsecret {env.L402_OLD}", gated)
	p := s.buy("/premium/x")
	s.reload(s.config("wallet play sandbox\nsecret {env.L402_NEW}\nsecret {env.L402_OLD}", gated))
	s.want(200, "GET", "/premium/x", "Authorization", p.authorization())
	s.reload(s.config("wallet play sandbox\nsecret {env.L402_NEW}", gated))
	s.wantCode("unknown_key", "/premium/x", "Authorization", p.authorization())
	if entries, _ := os.ReadDir(filepath.Join(s.storage, "l402", "keys")); len(entries) > 0 {
		t.Error("keys were generated beside the given secret")
	}
	for secret, wrong := range map[string]string{
		"{env.L402_NOT_SET}": "L402_NOT_SET",
		"short":              "at least 32",
	} {
		err := s.tryReload(s.config("wallet play sandbox\nsecret "+secret, gated))
		if err == nil || !strings.Contains(err.Error(), wrong) {
			t.Errorf("secret %s: %v", secret, err)
		}
	}
}

func TestUnpaidRequestsWriteNothing(t *testing.T) {
	s := serve(t, "wallet play sandbox", "l402 10 sat {\n\tlimit off\n}\ntest_upstream")
	count := func() (n int) {
		_ = filepath.WalkDir(s.storage, func(string, os.DirEntry, error) error { n++; return nil })
		return n
	}
	s.want(402, "GET", "/x")
	before := count()
	for range 200 {
		s.want(402, "GET", "/x")
	}
	if after := count(); after != before {
		t.Errorf("200 unpaid requests made %d objects in storage", after-before)
	}
}
