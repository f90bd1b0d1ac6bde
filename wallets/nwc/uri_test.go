package nwc

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
)

const (
	somePubkey = "b889ff5b1513b641e2a139f661a661364979c5beee91842f8f0ef42ab558e9d4"
	someSecret = "71a8c14c1407c113601079c4302dab36460f0ccd0ad506f1f2dc73b5100e4f3c"
)

func TestParseURI(t *testing.T) {
	for name, c := range map[string]struct {
		uri    string
		relays []string
	}{
		"as the specification shows it": {"nostr+walletconnect://" + somePubkey + "?relay=wss%3A%2F%2Frelay.damus.io&secret=" + someSecret, []string{"wss://relay.damus.io"}},
		"not escaped":                   {"nostr+walletconnect://" + somePubkey + "?relay=wss://relay.damus.io&secret=" + someSecret, []string{"wss://relay.damus.io"}},
		"several relays": {"nostr+walletconnect://" + somePubkey + "?relay=wss://b.example&secret=" + someSecret + "&relay=wss%3A%2F%2Fa.example%2Fv1&relay=ws://127.0.0.1:7447",
			[]string{"wss://b.example", "wss://a.example/v1", "ws://127.0.0.1:7447"}},
		"one relay in two forms":  {"nostr+walletconnect://" + somePubkey + "?relay=wss://b.example&relay=WSS%3A%2F%2FB.example/&secret=" + someSecret, []string{"wss://b.example"}},
		"more parameters":         {"nostr+walletconnect://" + somePubkey + "?lud16=a@b.c&relay=wss://b.example&secret=" + someSecret + "&x=%zz&&budget=1", []string{"wss://b.example"}},
		"no slashes":              {"nostr+walletconnect:" + somePubkey + "?relay=wss://b.example&secret=" + someSecret, []string{"wss://b.example"}},
		"one slash too much":      {"nostr+walletconnect://" + somePubkey + "/?relay=wss://b.example&secret=" + someSecret, []string{"wss://b.example"}},
		"upper case":              {"NOSTR+WALLETCONNECT://" + strings.ToUpper(somePubkey) + "?relay=wss://b.example&secret=" + strings.ToUpper(someSecret), []string{"wss://b.example"}},
		"a fragment":              {"nostr+walletconnect://" + somePubkey + "?relay=wss://b.example&secret=" + someSecret + "#x", []string{"wss://b.example"}},
		"a relay with a query":    {"nostr+walletconnect://" + somePubkey + "?relay=wss%3A%2F%2Fb.example%2F%3Fa%3Db%2Bc&secret=" + someSecret, []string{"wss://b.example/?a=b+c"}},
		"a relay with a plus":     {"nostr+walletconnect://" + somePubkey + "?relay=wss://b.example/a+b&secret=" + someSecret, []string{"wss://b.example/a+b"}},
		"a relay by IPv6 address": {"nostr+walletconnect://" + somePubkey + "?relay=ws://[::1]:7447&secret=" + someSecret, []string{"ws://[::1]:7447"}},
	} {
		t.Run(name, func(t *testing.T) {
			c2, err := ParseURI(c.uri)
			if err != nil {
				t.Fatal(err)
			}
			if c2.Wallet != somePubkey || c2.secret != someSecret || !slices.Equal(c2.Relays, c.relays) {
				t.Errorf("got %s, %v", c2, c2.Relays)
			}
			for _, text := range []string{fmt.Sprint(*c2), fmt.Sprintf("%+v", c2), fmt.Sprintf("%#v", *c2), fmt.Sprintf("%s", c2)} {
				if strings.Contains(text, someSecret) {
					t.Errorf("the secret is printed: %s", text)
				}
			}
		})
	}
}

func TestParseURIRefuses(t *testing.T) {
	many := ""
	for i := range maxRelays + 1 {
		many += fmt.Sprintf("relay=wss://r%d.example&", i)
	}
	head := "nostr+walletconnect://" + somePubkey + "?"
	for name, c := range map[string]struct{ uri, want string }{
		"nothing":                {"", "uri is missing"},
		"blanks":                 {head + "relay=wss://b.example &secret=" + someSecret, "blanks"},
		"a line break":           {head + "relay=wss://b.example\n&secret=" + someSecret, "blanks"},
		"too long":               {head + strings.Repeat("x", maxURI), "longer than"},
		"another scheme":         {"https://" + somePubkey + "?relay=wss://b.example&secret=" + someSecret, "nostr+walletconnect://"},
		"nostr alone":            {"nostr:" + somePubkey, "nostr+walletconnect://"},
		"no key":                 {"nostr+walletconnect://?relay=wss://b.example&secret=" + someSecret, "public key"},
		"a short key":            {"nostr+walletconnect://" + somePubkey[2:] + "?relay=wss://b.example&secret=" + someSecret, "public key"},
		"a key on no curve":      {"nostr+walletconnect://" + strings.Repeat("f", 64) + "?relay=wss://b.example&secret=" + someSecret, "public key"},
		"a key in bech32":        {"nostr+walletconnect://npub1abc?relay=wss://b.example&secret=" + someSecret, "public key"},
		"no query":               {"nostr+walletconnect://" + somePubkey, "secret is missing"},
		"no secret":              {head + "relay=wss://b.example", "secret is missing"},
		"no relay":               {head + "secret=" + someSecret, "relay is missing"},
		"two secrets":            {head + "relay=wss://b.example&secret=" + someSecret + "&secret=" + someSecret, "secret is given twice"},
		"a short secret":         {head + "relay=wss://b.example&secret=" + someSecret[2:], "secret is not 64 hex digits"},
		"an empty secret":        {head + "relay=wss://b.example&secret=", "secret is not 64 hex digits"},
		"a secret in bech32":     {head + "relay=wss://b.example&secret=nsec1" + someSecret, "secret is not 64 hex digits"},
		"the secret zero":        {head + "relay=wss://b.example&secret=" + strings.Repeat("0", 64), "no private key"},
		"too great a secret":     {head + "relay=wss://b.example&secret=" + strings.Repeat("f", 64), "no private key"},
		"a bad escape":           {head + "relay=wss%3&secret=" + someSecret, "relay has a '%'"},
		"a bad escape in secret": {head + "relay=wss://b.example&secret=%zz" + someSecret, "secret has a '%'"},
		"http":                   {head + "relay=https://b.example&secret=" + someSecret, "wss://"},
		"no host":                {head + "relay=wss://&secret=" + someSecret, "no host"},
		"no URL":                 {head + "relay=wss%3A%2F%2F%5B&secret=" + someSecret, "no URL"},
		"a port of words":        {head + "relay=wss://b.example:port&secret=" + someSecret, "no URL"},
		"port 0":                 {head + "relay=wss://b.example:0&secret=" + someSecret, "port"},
		"port 99999":             {head + "relay=wss://b.example:99999&secret=" + someSecret, "port"},
		"a user":                 {head + "relay=wss://me:" + someSecret + "@b.example&secret=" + someSecret, "user name"},
		"too many relays":        {head + many + "secret=" + someSecret, "more than 8 relays"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseURI(c.uri)
			if err == nil {
				t.Fatalf("accepted as %s", got)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %q, want it to say %q", err, c.want)
			}
			if strings.Contains(err.Error(), someSecret[2:]) {
				t.Errorf("the error holds the secret: %v", err)
			}
		})
	}
}

func FuzzParseURI(f *testing.F) {
	f.Add("nostr+walletconnect://" + somePubkey + "?relay=wss%3A%2F%2Frelay.damus.io&secret=" + someSecret)
	f.Add("nostr+walletconnect:" + somePubkey + "?relay=ws://[::1]:1&relay=wss://a&secret=" + someSecret + "&lud16=a@b")
	f.Add("nostr+walletconnect://?relay=%&secret=")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseURI(text)
		if err != nil {
			_, secret, _ := strings.Cut(text, "secret=")
			if secret, _, _ = strings.Cut(secret, "&"); len(secret) >= 16 && strings.Contains(err.Error(), secret) {
				t.Errorf("the error holds the secret: %v", err)
			}
			return
		}
		if len(c.Relays) == 0 || len(c.Relays) > maxRelays {
			t.Errorf("%d relays", len(c.Relays))
		}
		if _, err := newKeys(c.secret, c.Wallet); err != nil {
			t.Errorf("accepted keys are of no use: %v", err)
		}
		again := "nostr+walletconnect://" + c.Wallet + "?secret=" + c.secret
		for _, r := range c.Relays {
			again += "&relay=" + url.QueryEscape(r)
		}
		c2, err := ParseURI(again)
		if err != nil || c2.Wallet != c.Wallet || c2.secret != c.secret || !slices.Equal(c2.Relays, c.Relays) {
			t.Errorf("%q came back as %v, error %v", c.Relays, c2, err)
		}
	})
}
