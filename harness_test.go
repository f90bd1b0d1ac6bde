package caddyl402

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/caddy-l402/caddy-l402/l402"
	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/sandbox"
)

func TestMain(m *testing.M) {
	caddy.RegisterModule(new(fakeGuest))
	caddy.RegisterModule(new(upstream))
	httpcaddyfile.RegisterHandlerDirective("test_upstream", func(httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		return new(upstream), nil
	})
	httpcaddyfile.RegisterDirectiveOrder("test_upstream", httpcaddyfile.Before, "respond")
	os.Exit(m.Run())
}

// server is a Caddy that runs in this process.
type server struct {
	t       testing.TB
	addr    string
	storage string
	globals string
}

// freeAddress is a loopback address that nothing listens on.
func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// adapt turns a Caddyfile into JSON.
func adapt(text string) ([]byte, error) {
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	return config, err
}

// serve starts Caddy with a site that has the given body; wallets is what the global l402 block
// holds. The upstream counts what reaches it.
func serve(t testing.TB, wallets, site string) *server {
	t.Helper()
	return serveWith(t, "", wallets, site)
}

// serveWith is serve with further global options.
func serveWith(t testing.TB, globals, wallets, site string) *server {
	t.Helper()
	s := &server{t: t, addr: freeAddress(t), storage: t.TempDir(), globals: globals}
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	upstreamHits.Store(0)
	s.reload(s.config(wallets, site))
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
		running = nil
	})
	return s
}

// config is a whole Caddyfile for the server's address.
func (s *server) config(wallets, site string) string {
	port := s.addr[strings.LastIndexByte(s.addr, ':')+1:]
	return fmt.Sprintf(`{
	admin off
	persist_config off
	storage file_system %s
	log {
		output discard
	}
	%s
	l402 {
		%s
	}
}
http://%s, http://other.test:%s {
	bind 127.0.0.1
	%s
}
http://goodbye.test:%s {
	bind 127.0.0.1
	goodbye
}
`, s.storage, s.globals, wallets, s.addr, port, site, port)
}

func (s *server) reload(text string) {
	s.t.Helper()
	if err := s.tryReload(text); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) tryReload(text string) error {
	config, err := adapt(text)
	if err != nil {
		return fmt.Errorf("adapting: %w", err)
	}
	return load(config)
}

// answer is a response that was read.
type answer struct {
	*http.Response
	body string
}

var client = &http.Client{
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Transport:     &http.Transport{DisableKeepAlives: true},
	Timeout:       30 * time.Second,
}

// do sends a request; headers come in pairs.
func (s *server) do(method, path string, headers ...string) answer {
	s.t.Helper()
	r, err := http.NewRequest(method, "http://"+s.addr, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	path, r.URL.RawQuery, _ = strings.Cut(path, "?")
	r.URL.RawPath = path // as it is, tricks and all
	if r.URL.Path, err = url.PathUnescape(path); err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
			continue
		}
		r.Header.Add(headers[i], headers[i+1])
	}
	resp, err := client.Do(r)
	// A reload closes the old listening socket, and the kernel resets what was queued there; one
	// that fails closes the new one with what it accepted.
	for tries := 0; (errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF)) && tries < 5; tries++ {
		resp, err = client.Do(r)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{resp, string(body)}
}

// want checks a status.
func (s *server) want(status int, method, path string, headers ...string) answer {
	s.t.Helper()
	a := s.do(method, path, headers...)
	if a.StatusCode != status {
		s.t.Fatalf("%s %s: got %d, want %d; code %q; body %s", method, path, a.StatusCode, status, a.code(), a.body)
	}
	return a
}

// wantCode checks a 402 and the reason in it.
func (s *server) wantCode(code, path string, headers ...string) answer {
	s.t.Helper()
	a := s.want(http.StatusPaymentRequired, "GET", path, headers...)
	if a.code() != code {
		s.t.Fatalf("GET %s: got code %q, want %q", path, a.code(), code)
	}
	return a
}

// code is the stable code in a problem body.
func (a answer) code() string {
	_, rest, _ := strings.Cut(a.body, `"code":"`)
	code, _, _ := strings.Cut(rest, `"`)
	return code
}

// challenge is the answer's only L402 challenge.
func (s *server) challenge(a answer) l402.Challenge {
	s.t.Helper()
	challenges, err := l402.ParseChallenges(a.Header)
	if err != nil || len(challenges) != 1 {
		s.t.Fatalf("challenges %v, %v in %v", challenges, err, a.Header)
	}
	return challenges[0]
}

// purchase is a token with its preimage.
type purchase struct {
	l402.Challenge
	preimage lntypes.Preimage
}

func (p purchase) authorization() string { return l402.FormatAuthorization(p.Macaroon, p.preimage) }

// buy gets a challenge at a path and pays it.
func (s *server) buy(path string, headers ...string) purchase {
	s.t.Helper()
	challenge := s.challenge(s.want(http.StatusPaymentRequired, "GET", path, headers...))
	return purchase{challenge, s.pay(challenge.Invoice)}
}

// pay pays an invoice of any sandbox or fake wallet.
func (s *server) pay(invoice string) lntypes.Preimage {
	s.t.Helper()
	app := s.app()
	for _, w := range app.open {
		wallet := w.cashier.Wallet()
		if fake, ok := wallet.(*fakeWallet); ok {
			wallet = fake.inner
		}
		preimage, err := wallet.(wallets.Payer).Pay(context.Background(), invoice, 0)
		if err == nil {
			return preimage
		}
	}
	s.t.Fatal("no wallet made this invoice")
	return lntypes.Preimage{}
}

func (s *server) app() *App {
	s.t.Helper()
	app, err := activeApp()
	if err != nil {
		s.t.Fatal(err)
	}
	return app
}

// upstreamHits counts the requests that got through.
var upstreamHits atomic.Int64

// upstream is a handler at the end of the chain that counts and shows what it gets. With the
// header X-Wait it holds the answer back until hold is closed.
type upstream struct{}

var hold = struct {
	sync.Mutex
	until chan struct{}
}{}

func (*upstream) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.test_upstream", New: func() caddy.Module { return new(upstream) }}
}

func (*upstream) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	upstreamHits.Add(1)
	if r.Header.Get("X-Wait") != "" {
		hold.Lock()
		until := hold.until
		hold.Unlock()
		<-until
	}
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	user, _ := repl.GetString("http.auth.user.id")
	service, _ := repl.GetString("http.l402.service")
	fmt.Fprintf(w, "authorization=%q cookie=%q macaroon=%q user=%q service=%q",
		r.Header.Values("Authorization"), r.Header.Values("Cookie"), r.Header.Values("Macaroon"), user, service)
	return nil
}

// fakeGuest is a wallet module whose faults tests choose. Its invoices are the sandbox's.
type fakeGuest struct {
	Name     string `json:"name,omitempty"`
	Settings string `json:"settings,omitempty"`
}

func (*fakeGuest) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "l402.wallets.fake", New: func() caddy.Module { return new(fakeGuest) }}
}

func (g *fakeGuest) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	args := d.RemainingArgs()
	g.Name = args[0]
	if len(args) > 1 {
		g.Settings = args[1]
	}
	return nil
}

func (g *fakeGuest) Identity() string         { return g.Name }
func (g *fakeGuest) Network() wallets.Network { return wallets.Regtest }

func (g *fakeGuest) Open(env wallets.Env) (wallets.Wallet, error) {
	inner, err := new(sandbox.Guest).Open(env)
	if err != nil {
		return nil, err
	}
	w := &fakeWallet{inner: inner, env: env}
	fakes.Store(g.Name, w)
	return w, nil
}

// fakes are the fake wallets by name, newest first.
var fakes sync.Map

func fake(t *testing.T, name string) *fakeWallet {
	t.Helper()
	w, ok := fakes.Load(name)
	if !ok {
		t.Fatalf("no fake wallet %q was opened", name)
	}
	return w.(*fakeWallet)
}

// fakeWallet wraps a sandbox.
type fakeWallet struct {
	inner    wallets.Wallet
	env      wallets.Env
	creates  atomic.Int64
	lookups  atomic.Int64
	fault    atomic.Pointer[func(context.Context) error]
	settings atomic.Pointer[string]
	closed   atomic.Bool
	blind    atomic.Bool // has no look-ups
}

var errDown = errors.New("wallet is down")

// fail makes every call run f first; nil ends it.
func (w *fakeWallet) fail(f func(context.Context) error) {
	if f == nil {
		w.fault.Store(nil)
		return
	}
	w.fault.Store(&f)
}

func (w *fakeWallet) before(ctx context.Context) error {
	if f := w.fault.Load(); f != nil {
		return (*f)(ctx)
	}
	return nil
}

func (w *fakeWallet) CreateInvoice(ctx context.Context, req wallets.InvoiceRequest) (*wallets.Invoice, error) {
	w.creates.Add(1)
	if err := w.before(ctx); err != nil {
		return nil, err
	}
	return w.inner.CreateInvoice(ctx, req)
}

func (w *fakeWallet) LookupInvoice(ctx context.Context, hash lntypes.Hash) (*wallets.Status, error) {
	w.lookups.Add(1)
	if w.blind.Load() {
		return nil, wallets.ErrLookupUnsupported
	}
	if err := w.before(ctx); err != nil {
		return nil, err
	}
	return w.inner.LookupInvoice(ctx, hash)
}

func (w *fakeWallet) Reconfigure(g wallets.Guest) { w.settings.Store(&g.(*fakeGuest).Settings) }

func (w *fakeWallet) Close() error { w.closed.Store(true); return nil }
