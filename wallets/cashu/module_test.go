package cashu

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

func TestCaddyfile(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"bare": {"cashu https://mint.example.com", `{"mint":"https://mint.example.com"}`},
		"all": {
			"cashu https://mint.example.com {\n unit msat\n seed \"one two\"\n network signet\n timeout 5s\n}",
			`{"mint":"https://mint.example.com","unit":"msat","seed":"one two","network":"signet","timeout":5000000000}`,
		},
	} {
		var m Mint
		if err := m.UnmarshalCaddyfile(caddyfile.NewTestDispenser(test.text)); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := json.Marshal(&m)
		if err != nil || string(got) != test.want {
			t.Errorf("%s: got %s, %v; want %s", name, got, err, test.want)
		}
	}
}

func TestCaddyfileRefusals(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"no address":     {"cashu", "needs the mint's address"},
		"two addresses":  {"cashu https://a https://b", "one address"},
		"seed of words":  {"cashu https://a {\n seed secretword other\n}", "put quotes"},
		"twice":          {"cashu https://a {\n unit sat\n unit sat\n}", "twice"},
		"unknown":        {"cashu https://a {\n mint https://b\n}", "unknown setting"},
		"timeout of nil": {"cashu https://a {\n timeout 0s\n}", "not a duration"},
	} {
		var m Mint
		err := m.UnmarshalCaddyfile(caddyfile.NewTestDispenser(test.text))
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "secretword") {
			t.Errorf("%s: got %v, want it to say %q and no secret", name, err, test.want)
		}
	}
}

func TestProvisionRefusals(t *testing.T) {
	t.Setenv("EMPTY_SEED", "")
	for name, test := range map[string]struct {
		mint Mint
		want string
	}{
		"no mint":        {Mint{}, "mint is missing"},
		"no URL":         {Mint{MintURL: "mint.example.com"}, "mint:"},
		"plain http":     {Mint{MintURL: "http://mint.example.com"}, "use https"},
		"private http":   {Mint{MintURL: "http://10.0.0.1"}, "use https"},
		"a user":         {Mint{MintURL: "https://user:secretword@mint.example.com"}, "mint:"},
		"unit":           {Mint{MintURL: "https://a.example", Unit: "usd"}, "sat or msat"},
		"seed":           {Mint{MintURL: "https://a.example", Seed: strings.Repeat("secretword ", 12)}, "BIP 39"},
		"seed checksum":  {Mint{MintURL: "https://a.example", Seed: strings.Repeat("abandon ", 12)}, "BIP 39"},
		"seed not there": {Mint{MintURL: "https://a.example", Seed: "{env.EMPTY_SEED}"}, "seed"},
		"network":        {Mint{MintURL: "https://a.example", NetworkName: "moon"}, "network"},
		"timeout":        {Mint{MintURL: "https://a.example", Timeout: -1}, "timeout"},
	} {
		err := test.mint.Provision(caddy.Context{})
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "secretword") {
			t.Errorf("%s: got %v, want it to say %q and no secret", name, err, test.want)
		}
	}
}

func TestProvision(t *testing.T) {
	t.Setenv("SEED", "  "+strings.ToUpper(words)+"\n")
	given := provision(t, "https://Mint.Example.com:443/", func(m *Mint) { m.Seed = "{env.SEED}" })
	same := provision(t, "https://mint.example.com", func(m *Mint) { m.Seed = words })
	if given.Identity() != same.Identity() || given.PayeeName() != same.PayeeName() || given.set.name() != same.set.name() {
		t.Error("two spellings of one wallet are two wallets")
	}
	for name, other := range map[string]*Mint{
		"another mint": provision(t, "https://mint.example.com/Bitcoin", func(m *Mint) { m.Seed = words }),
		"another unit": provision(t, "https://mint.example.com", func(m *Mint) { m.Seed, m.Unit = words, "msat" }),
		"no seed":      provision(t, "https://mint.example.com", nil),
	} {
		if other.Identity() == same.Identity() {
			t.Errorf("%s has the same identity", name)
		}
	}
	if a, b := provision(t, "https://a.example", nil), provision(t, "https://a.example", func(m *Mint) { m.Seed = words }); a.set.name() == b.set.name() {
		t.Error("a given seed and a generated one have the same purse")
	}
	if strings.Contains(given.set.name(), "half") {
		t.Error("the purse's name tells the seed")
	}
}

// poor is an Env without a Vault.
type poor struct{}

func (poor) Logger() *zap.Logger                          { return zap.NewNop() }
func (poor) Load(context.Context, string) ([]byte, error) { return nil, fs.ErrNotExist }
func (poor) Store(context.Context, string, []byte) error  { return errors.New("no storage") }

func TestOpenRefusals(t *testing.T) {
	if _, err := new(Mint).Open(wallettest.NewEnv(t)); err == nil {
		t.Error("a Mint that was not provisioned was opened")
	}
	if _, err := provision(t, "https://a.example", nil).Open(poor{}); err == nil || !strings.Contains(err.Error(), "storage") {
		t.Errorf("without storage: got %v", err)
	}
	var _ wallets.Env = poor{}
}
