package l402

import (
	"bytes"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
)

// testInvoice has the characters of an invoice; nothing here looks further.
const testInvoice = "lnbc10u1pnrygxtpp5vvxu62txcse4xgj3y4zghvjmfl6p9fy8xvkm9j9tcxu9s8wsmnwsq9qrsgqpzryl"

func TestChallengeLayout(t *testing.T) {
	mac := mint(t, testTerms())
	b64 := base64.StdEncoding.EncodeToString(mac)
	c := Challenge{Macaroon: mac, Invoice: testInvoice}
	if got, want := c.L402(), `L402 macaroon="`+b64+`", invoice="`+testInvoice+`", version="0", token="`+b64+`"`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, want := c.LSAT(), `LSAT macaroon="`+b64+`", invoice="`+testInvoice+`"`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}

func TestValidInvoice(t *testing.T) {
	valid := []string{testInvoice, strings.ToUpper(testInvoice), "lnbcrt1pqq", "lntb20m1pvjluez", "lni1qqg"}
	for _, s := range valid {
		if !ValidInvoice(s) {
			t.Errorf("%q is refused", s)
		}
	}
	invalid := []string{
		"", "ln", "ln1", "ln1q", "lnbc1", "lnbc", "lnbc10u1", "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", testInvoice[:20] + "Q",
		testInvoice + `"`, testInvoice + "\r\nSet-Cookie: a=b", testInvoice + " ", " " + testInvoice, testInvoice + "b", testInvoice + "é",
		"lightning:" + testInvoice, `lnbc"10u1qq`, "lnbc 10u1qq", "lnbc1" + strings.Repeat("q", MaxInvoiceLength),
	}
	for _, s := range invalid {
		if ValidInvoice(s) {
			t.Errorf("%q is taken", s)
		}
	}
}

func TestChallengeRefuses(t *testing.T) {
	mac := mint(t, testTerms())
	tests := map[string]struct {
		c    Challenge
		want error
	}{
		"no token":       {Challenge{nil, testInvoice}, ErrMalformedChallenge},
		"token too long": {Challenge{make([]byte, MaxMacaroonSize+1), testInvoice}, ErrTokenTooLong},
		"no invoice":     {Challenge{mac, ""}, ErrMalformedInvoice},
		"header smuggle": {Challenge{mac, "lnbc1qq\r\nX: y"}, ErrMalformedInvoice},
		"quote":          {Challenge{mac, `lnbc1qq", token="x`}, ErrMalformedInvoice},
	}
	for name, test := range tests {
		if err := test.c.Validate(); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
		if test.c.L402() != "" || test.c.LSAT() != "" {
			t.Errorf("%s: written as %q, %q", name, test.c.L402(), test.c.LSAT())
		}
	}
}

func TestParseChallenges(t *testing.T) {
	s := spell(t)
	one := Challenge{Macaroon: s.mac, Invoice: testInvoice}
	other := Challenge{Macaroon: mint(t, testTerms()), Invoice: "lnbc1qqqqqq"}
	m, i := `macaroon="`+s.std+`"`, `invoice="`+testInvoice+`"`
	tests := map[string]struct {
		lines []string
		want  []Challenge
	}{
		"ours":                      {[]string{one.L402()}, []Challenge{one}},
		"LSAT":                      {[]string{one.LSAT()}, []Challenge{one}},
		"both schemes":              {[]string{one.LSAT(), one.L402()}, []Challenge{one}},
		"two":                       {[]string{one.L402(), other.L402()}, []Challenge{one, other}},
		"two in a line":             {[]string{other.LSAT() + ", " + one.L402()}, []Challenge{other, one}},
		"the specification's order": {[]string{`L402 version="0", token="` + s.std + `", ` + i}, []Challenge{one}},
		"invoice first":             {[]string{`L402 ` + i + `, ` + m}, []Challenge{one}},
		"no blank":                  {[]string{`L402 ` + m + `,` + i}, []Challenge{one}},
		"blanks only":               {[]string{`L402 ` + m + ` ` + i}, []Challenge{one}},
		"blanks around =":           {[]string{`L402 macaroon = "` + s.std + `" , invoice= ` + testInvoice}, []Challenge{one}},
		"no quotes":                 {[]string{`L402 macaroon=` + s.std + `, invoice=` + testInvoice}, []Challenge{one}},
		"lower case":                {[]string{`l402 MACAROON="` + s.url + `", Invoice="` + testInvoice + `"`}, []Challenge{one}},
		"hex":                       {[]string{`L402 token="` + s.hex + `", ` + i}, []Challenge{one}},
		"unpadded twin":             {[]string{`L402 ` + m + `, ` + i + `, token="` + s.rawURL + `"`}, []Challenge{one}},
		"escapes":                   {[]string{`L402 realm="a \"b, L402 c", ` + m + `, ` + i}, []Challenge{one}},
		"among other schemes": {[]string{
			`Basic realm="x, y", Negotiate YII/abc+d==, ` + one.L402() + `, Payment id="1", request="abc"`, `Bearer`,
		}, []Challenge{one}},
		"behind a malformed one":             {[]string{`L402 macaroon="*", ` + i, one.L402()}, []Challenge{one}},
		"first of repeated ones":             {[]string{one.L402() + `, invoice="lnbc1qq"`}, []Challenge{one}},
		"stray characters, quote not closed": {[]string{`L402 @ ` + m + `, invoice="` + testInvoice}, []Challenge{one}},
		"escapes in a value":                 {[]string{`L402 ` + m + `, invoice="\ln` + testInvoice[2:] + `"`}, []Challenge{one}},
		"commas before":                      {[]string{` , ,` + one.L402()}, []Challenge{one}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := ParseChallenges(http.Header{"Www-Authenticate": test.lines})
			if err != nil || len(got) != len(test.want) {
				t.Fatalf("%d challenges, %v", len(got), err)
			}
			for n, c := range got {
				if !c.equal(test.want[n]) {
					t.Errorf("challenge %d: %s", n, c.L402())
				}
			}
		})
	}
}

func TestParseChallengesRefuses(t *testing.T) {
	s := spell(t)
	m, i := `macaroon="`+s.std+`"`, `invoice="`+testInvoice+`"`
	tests := map[string]struct {
		lines []string
		want  error
	}{
		"nothing":              {nil, ErrNoChallenge},
		"empty":                {[]string{""}, ErrNoChallenge},
		"other schemes":        {[]string{`Basic realm="L402"`, `Payment ` + i + `, ` + m}, ErrNoChallenge},
		"in a quoted string":   {[]string{`Digest a="b, L402 ` + strings.ReplaceAll(m, `"`, "'") + `"`}, ErrNoChallenge},
		"scheme alone":         {[]string{"L402"}, ErrMalformedChallenge},
		"no invoice":           {[]string{"L402 " + m}, ErrMalformedChallenge},
		"no token":             {[]string{"L402 " + i}, ErrMalformedChallenge},
		"bad base64":           {[]string{`L402 macaroon="*", ` + i}, ErrMalformedChallenge},
		"bad invoice":          {[]string{`L402 ` + m + `, invoice="lightning"`}, ErrMalformedInvoice},
		"two different tokens": {[]string{`L402 ` + m + `, ` + i + `, token="AgEE"`}, ErrMalformedChallenge},
		"token too long":       {[]string{`L402 macaroon="` + strings.Repeat("A", 8000) + `", ` + i}, ErrTokenTooLong},
		"1 MiB":                {[]string{`L402 macaroon="` + strings.Repeat("A", 1<<20) + `", ` + i}, ErrMalformedChallenge},
		"thousand bad ones":    {[]string{strings.Repeat("L402, ", 1000)}, ErrMalformedChallenge},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := ParseChallenges(http.Header{"Www-Authenticate": test.lines})
			if len(got) != 0 || !errors.Is(err, test.want) {
				t.Errorf("%d challenges, %v", len(got), err)
			}
			if err != nil && strings.Contains(err.Error(), s.std) {
				t.Error("the token is in the error")
			}
		})
	}
}

func TestParseChallengesIsBounded(t *testing.T) {
	var lines []string
	for n := range 2 * MaxChallenges {
		lines = append(lines, Challenge{Macaroon: []byte{2, byte(n)}, Invoice: testInvoice}.L402())
	}
	got, err := ParseChallenges(http.Header{"Www-Authenticate": lines})
	if err != nil || len(got) != MaxChallenges {
		t.Errorf("%d challenges, %v", len(got), err)
	}
}

// FuzzParseChallenges checks that what is read can be written and is then read the same.
func FuzzParseChallenges(f *testing.F) {
	s := spell(f)
	one := Challenge{Macaroon: s.mac, Invoice: testInvoice}
	f.Add(one.L402() + "\n" + one.LSAT())
	f.Add(`Basic realm="x, y", Negotiate YII/abc+d==, ` + one.L402() + `, Payment id="1"`)
	f.Add(`L402 macaroon = ` + s.hex + ` invoice=` + testInvoice + `;a="\"`)
	f.Add("L402")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ParseChallenges(http.Header{"Www-Authenticate": strings.Split(text, "\n")})
		if (err == nil) != (len(got) > 0) || len(got) > MaxChallenges {
			t.Fatalf("%d challenges, %v", len(got), err)
		}
		for _, c := range got {
			if err := c.Validate(); err != nil {
				t.Fatalf("%+v: %v", c, err)
			}
			for _, line := range []string{c.L402(), c.LSAT()} {
				again, err := ParseChallenges(http.Header{"Www-Authenticate": {line}})
				if err != nil || len(again) != 1 || !again[0].equal(c) || strings.ContainsAny(line, "\r\n") {
					t.Fatalf("%q is read as %+v, %v", line, again, err)
				}
			}
		}
	})
}

// The whole exchange as server and client see it.
func TestExchange(t *testing.T) {
	preimage := lntypes.Preimage{42}
	token, err := NewTokenID(testKeyID, time.Unix(1_800_000_000, 0), nil)
	if err != nil {
		t.Fatal(err)
	}
	mac, err := Mint(&testMaster, Identifier{PaymentHash: preimage.Hash(), TokenID: token}, testTerms().Caveats())
	if err != nil {
		t.Fatal(err)
	}
	answer := http.Header{}
	answer.Add("WWW-Authenticate", Challenge{Macaroon: mac, Invoice: testInvoice}.L402())

	challenges, err := ParseChallenges(answer)
	if err != nil || len(challenges) != 1 || !bytes.Equal(challenges[0].Macaroon, mac) {
		t.Fatal(challenges, err)
	}
	request := http.Header{}
	request.Set("Authorization", FormatAuthorization(challenges[0].Macaroon, preimage))
	if paid, err := passes(request, testWant()); !paid || err != nil {
		t.Errorf("paid %v, %v", paid, err)
	}
}
