package lnc

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

const phrase = "abandon ability able about above absent absorb abstract absurd abuse"

func TestModule(t *testing.T) {
	info, err := caddy.GetModule("l402.wallets.lnc")
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := info.New().(*Session); !ok {
		t.Errorf("the module is a %T", info.New())
	}
}

func TestUnmarshalCaddyfile(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     Session
	}{
		{"the shortest", "lnc {\n pairing_phrase {env.LNC}\n}", Session{PairingPhrase: "{env.LNC}"}},
		{"all", "lnc {\n pairing_phrase " + phrase + "\n mailbox box.test:11110\n mailbox_ca /etc/ca.pem\n" +
			"network regtest\n timeout 1m30s\n private\n}", Session{
			PairingPhrase: phrase, Mailbox: "box.test:11110", MailboxCA: "/etc/ca.pem", NetworkName: "regtest",
			Timeout: caddy.Duration(90 * time.Second), Private: true,
		}},
		{"quoted", "lnc {\n pairing_phrase \"" + phrase + "\"\n}", Session{PairingPhrase: phrase}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s Session
			if err := s.UnmarshalCaddyfile(caddyfile.NewTestDispenser(c.in)); err != nil {
				t.Fatal(err)
			}
			got, _ := json.Marshal(&s)
			want, _ := json.Marshal(&c.want)
			if string(got) != string(want) {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func TestUnmarshalCaddyfileRefuses(t *testing.T) {
	for in, want := range map[string]string{
		"lnc secretword {\n}":              "takes no value",
		"lnc {\n pairing_phrase\n}":        "pairing_phrase is missing",
		"lnc {\n mailbox\n}":               "mailbox takes one value",
		"lnc {\n mailbox a secretword\n}":  "mailbox takes one value",
		"lnc {\n network\n}":               "network takes one value",
		"lnc {\n private secretword\n}":    "private takes no value",
		"lnc {\n timeout\n}":               "timeout takes one value",
		"lnc {\n timeout secretword\n}":    "timeout is not a duration",
		"lnc {\n timeout -1s\n}":           "timeout is not a duration",
		"lnc {\n secretword able\n}":       "unknown setting",
		"lnc {\n network a\n network a\n}": "network is given twice",
	} {
		var s Session
		err := s.UnmarshalCaddyfile(caddyfile.NewTestDispenser(in))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", in, err, want)
		} else if strings.Contains(err.Error(), "secretword") {
			t.Errorf("%q: the error repeats a value: %v", in, err)
		}
	}
}

func TestProvision(t *testing.T) {
	t.Setenv("LNC_TEST", "  Abandon ABILITY able about above\tabsent absorb abstract absurd abuse\n")
	s := Session{PairingPhrase: "{env.LNC_TEST}"}
	if err := s.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	plain := Session{PairingPhrase: phrase, Mailbox: "Mailbox.terminal.lightning.today"}
	if err := plain.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	if s.Identity() != plain.Identity() || s.Network() != wallets.Mainnet {
		t.Errorf("%q on %s, want %q", s.Identity(), s.Network(), plain.Identity())
	}
	for _, word := range strings.Fields(phrase) {
		if strings.Contains(s.Identity(), word) {
			t.Errorf("the identity holds %q", word)
		}
	}
	other := Session{PairingPhrase: phrase, Mailbox: "box.test:443"}
	if err := other.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	if other.Identity() == s.Identity() {
		t.Error("another mailbox has the same identity")
	}
}

func TestProvisionRefuses(t *testing.T) {
	words := strings.Fields(phrase)
	slip := strings.Join(append(slices.Clone(words[:9]), "secretword"), " ")
	for _, c := range []struct {
		name string
		s    Session
		want string
	}{
		{"no phrase", Session{}, "pairing_phrase is missing"},
		{"nine words", Session{PairingPhrase: strings.Join(words[:9], " ")}, "has 9 words"},
		{"eleven words", Session{PairingPhrase: phrase + " able"}, "has 11 words"},
		{"an unknown word", Session{PairingPhrase: slip}, "word 10 is not in the list"},
		{"an unset variable", Session{PairingPhrase: "{env.LNC_NOT_SET}"}, "pairing_phrase"},
		{"blanks", Session{PairingPhrase: "  "}, "pairing_phrase is empty"},
		{"a URL for a mailbox", Session{PairingPhrase: phrase, Mailbox: "https://box.test"}, "mailbox must be host:port"},
		{"a port too great", Session{PairingPhrase: phrase, Mailbox: "box.test:70000"}, "mailbox must be host:port"},
		{"no host", Session{PairingPhrase: phrase, Mailbox: ":443"}, "mailbox must be host:port"},
		{"an unknown network", Session{PairingPhrase: phrase, NetworkName: "moon"}, "network"},
		{"a long timeout", Session{PairingPhrase: phrase, Timeout: caddy.Duration(time.Hour)}, "timeout"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.s.Provision(caddy.Context{})
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "wallet lnc: ") {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			for _, secret := range append(words, "secretword") {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error holds a word: %v", err)
				}
			}
		})
	}
}

func TestOpenUnprovisioned(t *testing.T) {
	if _, err := new(Session).Open(wallettest.NewEnv(t)); !errors.Is(err, errGuest) {
		t.Error(err)
	}
}

func FuzzParsePhrase(f *testing.F) {
	f.Add(phrase)
	f.Add("  ")
	f.Add(strings.Repeat("zoo ", 10))
	f.Fuzz(func(t *testing.T, text string) {
		e, words, err := parsePhrase(text)
		if err != nil {
			for _, word := range strings.Fields(text) {
				if len(word) > 8 && strings.Contains(err.Error(), word) {
					t.Errorf("the error holds %q: %v", word, err)
				}
			}
			return
		}
		again, same, err := parsePhrase(words)
		if err != nil || again != e || same != words {
			t.Errorf("%q reads as %q, which does not read as itself: %v", text, words, err)
		}
	})
}

func FuzzParseAuthData(f *testing.F) {
	f.Add([]byte("Macaroon: 0201"))
	f.Add([]byte("A: b\r\nmacaroon:AgEDbG5k"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseAuthData(data)
		if err == nil {
			if _, err := m.MarshalBinary(); err != nil {
				t.Error(err)
			}
		} else if !errors.Is(err, wallets.ErrUnauthorized) {
			t.Error(err)
		}
	})
}

func FuzzParseMailbox(f *testing.F) {
	for _, s := range []string{"", "a", "a:1", "[::1]:443", "::1", "https://a", "a:0", "0]0", "a b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		address, err := parseMailbox(text)
		if err != nil {
			return
		}
		if again, err := parseMailbox(address); err != nil || again != address {
			t.Errorf("%q reads as %q, which reads as %q, %v", text, address, again, err)
		}
	})
}
