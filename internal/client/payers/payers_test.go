package payers

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/lightningnetwork/lnd/lntypes"
	"go.uber.org/goleak"

	"github.com/caddy-l402/caddy-l402/internal/adminapi"
	"github.com/caddy-l402/caddy-l402/wallets"
	_ "github.com/caddy-l402/caddy-l402/wallets/cln"
	_ "github.com/caddy-l402/caddy-l402/wallets/eclair"
	_ "github.com/caddy-l402/caddy-l402/wallets/lnbits"
	_ "github.com/caddy-l402/caddy-l402/wallets/lnd"
	"github.com/caddy-l402/caddy-l402/wallets/lnd/lndtest"
	_ "github.com/caddy-l402/caddy-l402/wallets/nwc"
	_ "github.com/caddy-l402/caddy-l402/wallets/phoenixd"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/golang/glog.(*fileSink).flushDaemon"))
}

func TestParse(t *testing.T) {
	for text, want := range map[string]Spec{
		"sandbox":                 {Scheme: "sandbox"},
		"  SANDBOX:localhost:1\n": {Scheme: "sandbox", Address: "localhost:1"},
		"lnd:a:1?macaroon=/a%20b+c&tls_cert=x": {Scheme: "lnd", Address: "a:1",
			Settings: url.Values{"macaroon": {"/a b+c"}, "tls_cert": {"x"}}},
		"lnd://a:1":                           {Scheme: "lnd", Address: "a:1"},
		"lnd:a?macaroon_hex={env.MAC}":        {Scheme: "lnd", Address: "a", Settings: url.Values{"macaroon_hex": {"{env.MAC}"}}},
		"lnd:a?proxy=socks5://127.0.0.1:9050": {Scheme: "lnd", Address: "a", Settings: url.Values{"proxy": {"socks5://127.0.0.1:9050"}}},
	} {
		got, err := Parse(text, true)
		if err != nil || got.Scheme != want.Scheme || got.Address != want.Address || got.Settings.Encode() != want.Settings.Encode() {
			t.Errorf("%q: got %+v, %v", text, got, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	const secret = "0201036c6e64"
	for text, want := range map[string]string{
		"":                             "must begin with a kind of wallet",
		"mainnet:x":                    "examples: cashu:",
		"lnd:a?macaroon":               "name=value",
		"lnd:a?=x":                     "name=value",
		"lnd:a?a=%zz":                  "percent escape",
		"lnd:a?a=1&a=2":                "twice",
		"lnd:a?macaroon_hex=" + secret: "macaroon_hex={env.NAME}",
		"lnd:a?proxy=socks5://u:" + secret + "@h:1": "proxy is a secret",
		"lnd:" + strings.Repeat("a", MaxSpec):       "longer",
	} {
		_, err := Parse(text, true)
		if !errors.Is(err, ErrSpec) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), secret) {
			t.Errorf("%.60q: got %v, want %q", text, err, want)
		}
	}
	if _, err := Parse("lnd:a?macaroon_hex="+secret, false); err != nil {
		t.Errorf("a secret from a file is refused: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"sandbox:x:1?network=regtest":                            `no setting "network"`,
		"lnd:a:1?tls_cert=x":                                     "macaroon is missing",
		"lnd:a:1?macaroon=x":                                     "tls_cert is missing",
		"lnd:a:1?address=b&macaroon=x&tls_cert=x":                "address is given twice",
		"lnd:a:1?macaroon=x&tls_cert=x&macaron=y":                "unknown field",
		"lnd:a:1?macaroon=x&tls_cert=x&network=moon":             "unknown network",
		"lnd:a:1?macaroon_hex=zz&tls_cert=x":                     "macaroon_hex",
		"lnd:a:1?macaroon_hex={env.NOT_SET_ANYWHERE}&tls_cert=x": "macaroon_hex",
	} {
		spec, err := Parse(text, false)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), spec); !errors.Is(err, ErrSpec) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

// TestModuleThatCannotPay shows that an adapter without payments is refused when it is opened.
func TestModuleThatCannotPay(t *testing.T) {
	caddy.RegisterModule(mute{})
	_, err := openModule("address")(t.Context(), Spec{Scheme: "mute"})
	if err == nil || !strings.Contains(err.Error(), "cannot pay") {
		t.Errorf("got %v", err)
	}
	if _, err := openModule("address")(t.Context(), Spec{Scheme: "none_such"}); err == nil {
		t.Error("an unknown module was opened")
	}
}

type mute struct{}

func (mute) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "l402.wallets.mute", New: func() caddy.Module { return new(mute) }}
}
func (mute) Identity() string                         { return "mute" }
func (mute) Network() wallets.Network                 { return wallets.Regtest }
func (mute) Open(wallets.Env) (wallets.Wallet, error) { return struct{ wallets.Wallet }{}, nil }

// TestLND pays through a double of LND over gRPC, with the settings of a command line and of a
// file.
func TestLND(t *testing.T) {
	node := lndtest.New(t, wallets.Regtest)
	cert := lndtest.NewCertificate(t, "some.node", time.Now().Add(time.Hour))
	server := node.Serve(t, cert, "")
	dir := t.TempDir()
	macaroon := node.Bake(t, lndtest.PayerRights)
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	certPath, macaroonPath := write("tls.cert", cert.PEM), write("admin.macaroon", macaroon)
	t.Setenv("TEST_MACAROON", hex.EncodeToString(macaroon))

	for name, text := range map[string]string{
		"paths":         "lnd:" + server.Address + "?network=regtest&macaroon=" + macaroonPath + "&tls_cert=" + certPath,
		"a placeholder": "lnd:" + server.Address + "?network=regtest&macaroon_hex={env.TEST_MACAROON}&tls_cert=" + certPath,
	} {
		t.Run(name, func(t *testing.T) {
			spec, err := Parse(text, true)
			if err != nil {
				t.Fatal(err)
			}
			opened, err := Open(t.Context(), spec)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := opened.Close(); err != nil {
					t.Error(err)
				}
			}()
			if opened.Network != wallets.Regtest {
				t.Errorf("network %s", opened.Network)
			}
			invoice := node.Payable(t, 10_000)
			preimage, err := opened.Pay(t.Context(), invoice, 2_000)
			decoded, decodeErr := wallets.DecodeInvoice(invoice)
			if err != nil || decodeErr != nil || !preimage.Matches(decoded.PaymentHash) {
				t.Fatalf("%v, %v", err, decodeErr)
			}
			if node.LastFeeLimit() != 2_000 {
				t.Errorf("fee limit %d", node.LastFeeLimit())
			}
		})
	}
}

func TestSandbox(t *testing.T) {
	node := wallettest.NewNode(t, wallets.Regtest)
	issued, err := node.Issue(wallettest.Terms{Amount: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	answer, calls := `{"preimage":"`+issued.Preimage.String()+`"}`, 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls++
		var in struct{ Invoice string }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Invoice != issued.Invoice || r.URL.Path != "/l402/sandbox/pay" {
			t.Errorf("%s %+v, %v", r.URL, in, err)
		}
		if strings.Contains(answer, "error") {
			w.WriteHeader(http.StatusBadRequest)
		}
		_, _ = w.Write([]byte(answer))
	}))
	defer server.Close()
	spec, err := Parse("sandbox:"+server.URL, true)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := Open(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := opened.Pay(t.Context(), "LIGHTNING:"+strings.ToUpper(issued.Invoice), 0); err != nil || p != issued.Preimage {
		t.Fatalf("%v, %v", p, err)
	}

	refused := func(name, invoice, want string) {
		t.Helper()
		p, err := opened.Pay(t.Context(), invoice, 0)
		if !errors.Is(err, wallets.ErrPaymentFailed) || !strings.Contains(err.Error(), want) || p != (lntypes.Preimage{}) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	answer = `{"error":"no sandbox wallet is declared"}`
	refused("the gate's refusal", issued.Invoice, "no sandbox wallet is declared")
	answer = `{"preimage":"xyz"}`
	refused("no preimage", issued.Invoice, "holds no preimage")
	calls = 0
	real, err := wallettest.NewNode(t, wallets.Mainnet).Issue(wallettest.Terms{Amount: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	refused("mainnet", real.Invoice, "for mainnet")
	refused("no invoice", "lnbc1", "invoice")
	if calls != 0 {
		t.Error("an invoice that is not the sandbox's business was sent to it")
	}
	server.Close()
	refused("nobody there", issued.Invoice, "--admin")
	if _, err := (&Sandbox{API: adminapi.Client{Address: "a b"}}).Pay(t.Context(), issued.Invoice, 0); !errors.Is(err, wallets.ErrPaymentFailed) {
		t.Errorf("bad address: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"sandbox", "lnd:a:1?macaroon=x&tls_cert=y", "lnd:?macaroon_hex=00", "lnd:a?b=%41"} {
		f.Add(seed, true)
	}
	f.Fuzz(func(t *testing.T, text string, public bool) {
		spec, err := Parse(text, public)
		if err != nil {
			if !errors.Is(err, ErrSpec) {
				t.Errorf("%v is no ErrSpec", err)
			}
			return
		}
		secret := spec.Settings.Get("macaroon_hex")
		if public && spec.Scheme == "lnd" && secret != "" && !strings.HasPrefix(secret, "{") {
			t.Errorf("a secret in public: %q", text)
		}
		if _, err := spec.json("address"); err != nil && !spec.Settings.Has("address") {
			t.Errorf("settings that are no JSON: %v", err)
		}
	})
}

// TestEveryKindOfWalletOpens opens each kind as its usage says. Opening dials nothing; what follows
// is the adapters' own matter, which their conformance tests cover.
func TestEveryKindOfWalletOpens(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(strings.Repeat("ab", 16)), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("NWC", "nostr+walletconnect://"+"79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"+
		"?relay=wss%3A%2F%2Frelay.example&secret="+strings.Repeat("01", 32))
	for _, text := range []string{
		"cln:/path/lightning-rpc?network=regtest",
		"cln:https://127.0.0.1:3010?rune_file=" + secret,
		"eclair:http://127.0.0.1:8080?password_file=" + secret,
		"lnbits:https://host.example?key_file=" + secret,
		"nwc:{env.NWC}",
		"phoenixd:http://127.0.0.1:9740?password_file=" + secret,
	} {
		spec, err := Parse(text, true)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		opened, err := Open(t.Context(), spec)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if opened.Wallet.Payer == nil {
			t.Errorf("%s cannot pay", text)
		}
		if err := opened.Close(); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{"cln:https://h?rune=x", "lnbits:https://h?key=x", "nwc:nostr+walletconnect://x", "phoenixd:http://h?password=x"} {
		if _, err := Parse(text, true); err == nil {
			t.Errorf("%s: a secret on the command line is taken", text)
		}
	}
}
