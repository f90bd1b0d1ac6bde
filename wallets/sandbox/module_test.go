package sandbox

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

func TestCaddyfile(t *testing.T) {
	for name, c := range map[string]struct {
		in, want, says string
	}{
		"plain":           {"sandbox", `{}`, ""},
		"named":           {"sandbox play-1", `{"name":"play-1"}`, ""},
		"empty block":     {"sandbox {\n}", `{}`, ""},
		"two names":       {"sandbox a b", "", "wrong argument count"},
		"upper case":      {"sandbox Play", "", "lower-case"},
		"a path":          {"sandbox ../a", "", "lower-case"},
		"empty name":      {`sandbox ""`, "", "1 to 64"},
		"long name":       {"sandbox " + strings.Repeat("a", 65), "", "1 to 64"},
		"unknown setting": {"sandbox {\n\tmacaroon x\n}", "", "no settings, so remove 'macaroon'"},
	} {
		t.Run(name, func(t *testing.T) {
			var g Guest
			err := g.UnmarshalCaddyfile(caddyfile.NewTestDispenser(c.in))
			if c.says != "" {
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Fatalf("error %v, want one that says %q", err, c.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := json.Marshal(g); string(got) != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestModule(t *testing.T) {
	info, err := caddy.GetModule("l402.wallets.sandbox")
	if err != nil {
		t.Fatal(err)
	}
	g, ok := info.New().(wallets.Guest)
	if !ok {
		t.Fatal("the module is no wallets.Guest")
	}
	if g.Network() != wallets.Regtest || g.Network().IsRealMoney() {
		t.Errorf("network %s", g.Network())
	}
	a, b := &Guest{}, &Guest{Name: "b"}
	if a.Identity() != (&Guest{Name: "sandbox"}).Identity() || a.Identity() == b.Identity() {
		t.Errorf("identities %q and %q", a.Identity(), b.Identity())
	}
	w, err := a.Open(wallettest.NewEnv(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := w.(*Wallet); !ok {
		t.Errorf("opened a %T", w)
	}
}

func TestBadName(t *testing.T) {
	g := &Guest{Name: "A B"}
	if err := g.Validate(); err == nil {
		t.Error("validated")
	}
	if w, err := g.Open(wallettest.NewEnv(t)); err == nil {
		t.Errorf("opened %v", w)
	}
	if err := new(Guest).Validate(); err != nil {
		t.Error(err)
	}
}
