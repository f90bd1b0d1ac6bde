package payment

import (
	"errors"
	"strings"
	"testing"
)

var testSecret = []byte("a secret of the tests")

// testChallenge is a sealed challenge with every parameter.
func testChallenge(t testing.TB) Challenge {
	t.Helper()
	c := Challenge{
		Realm: "api.test", Method: Method, Intent: IntentCharge, Request: "eyJhIjoxfQ", Expires: "2027-01-01T00:00:00Z",
		Digest: "sha-256=:AAAA:", Description: `say "hi" \o/`, Header: HeaderAuthorization, Opaque: "e30",
	}
	if err := c.Seal(testSecret); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestChallengeFormat(t *testing.T) {
	c := testChallenge(t)
	want := `Payment id="` + c.ID + `", realm="api.test", method="lightning", intent="charge", request="eyJhIjoxfQ", ` +
		`expires="2027-01-01T00:00:00Z", digest="sha-256=:AAAA:", description="say \"hi\" \\o/", ` +
		`header="Payment-Authorization", opaque="e30"`
	got, err := c.Format()
	if got != want || err != nil {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
	read, err := ParseChallenges([]string{`Basic realm="x"`, `L402 macaroon="a, Payment b", invoice="c", ` + got})
	if err != nil || len(read) != 1 || read[0] != c {
		t.Errorf("read as %+v, %v", read, err)
	}
}

func TestChallengesThatAreNotWritten(t *testing.T) {
	for name, change := range map[string]func(*Challenge){
		"no realm":         func(c *Challenge) { c.Realm = "" },
		"no method":        func(c *Challenge) { c.Method = "" },
		"no intent":        func(c *Challenge) { c.Intent = "" },
		"no request":       func(c *Challenge) { c.Request = "" },
		"pipe in realm":    func(c *Challenge) { c.Realm = "a|b" },
		"pipe in method":   func(c *Challenge) { c.Method = "a|b" },
		"pipe in header":   func(c *Challenge) { c.Header = "a|b" },
		"pipe in digest":   func(c *Challenge) { c.Digest = "a|b" },
		"line in realm":    func(c *Challenge) { c.Realm = "a\r\nSet-Cookie: b=c" },
		"NUL in a text":    func(c *Challenge) { c.Description = "a\x00" },
		"delete in a text": func(c *Challenge) { c.Description = "a\x7f" },
	} {
		c := testChallenge(t)
		change(&c)
		if err := c.Seal(testSecret); !errors.Is(err, ErrMalformedChallenge) {
			t.Errorf("%s: sealed, %v", name, err)
		}
		if got, err := c.Format(); got != "" || !errors.Is(err, ErrMalformedChallenge) {
			t.Errorf("%s: written as %q, %v", name, got, err)
		}
	}
	c := testChallenge(t)
	c.ID = ""
	if got, err := c.Format(); got != "" || !errors.Is(err, ErrMalformedChallenge) {
		t.Errorf("no id: written as %q, %v", got, err)
	}
}

func TestChallengeIsBound(t *testing.T) {
	c := testChallenge(t)
	if err := c.Verify(testSecret); err != nil {
		t.Fatal(err)
	}
	if err := c.Verify([]byte("another secret")); err != ErrInvalidChallenge {
		t.Errorf("with another secret: %v", err)
	}
	for name, change := range map[string]func(*Challenge){
		"id":           func(c *Challenge) { c.ID = "A" + c.ID[1:] },
		"no id":        func(c *Challenge) { c.ID = "" },
		"longer id":    func(c *Challenge) { c.ID += "A" },
		"realm":        func(c *Challenge) { c.Realm += "x" },
		"method":       func(c *Challenge) { c.Method += "x" },
		"intent":       func(c *Challenge) { c.Intent += "x" },
		"request":      func(c *Challenge) { c.Request += "x" },
		"expires":      func(c *Challenge) { c.Expires = "" },
		"digest":       func(c *Challenge) { c.Digest = "" },
		"header":       func(c *Challenge) { c.Header = "" },
		"opaque":       func(c *Challenge) { c.Opaque = "" },
		"slots joined": func(c *Challenge) { c.Realm, c.Method = c.Realm+"|"+c.Method, "" },
		"slots moved":  func(c *Challenge) { c.Digest, c.Header = c.Digest+"|"+c.Header, "" },
		"slots swapped": func(c *Challenge) {
			c.Realm, c.Method = c.Method, c.Realm
		},
	} {
		altered := c
		change(&altered)
		if err := altered.Verify(testSecret); err != ErrInvalidChallenge {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The slots of the two drafts do not run into each other.
	without := Challenge{Realm: "r", Method: "m", Intent: "i", Request: "q", Opaque: "o"}
	with := without
	with.Header, with.Opaque = "o", ""
	if without.ComputeID(testSecret) == with.ComputeID(testSecret) {
		t.Error("header and opaque can stand for each other")
	}
}

func TestParseChallengesRefuses(t *testing.T) {
	for name, lines := range map[string][]string{
		"nothing":      nil,
		"other scheme": {`Basic realm="Payment id=a"`},
		"incomplete":   {`Payment id="a", realm="r", method="m", intent="i"`},
		"empty id":     {`Payment id="", realm="r", method="m", intent="i", request="q"`},
		"too long":     {`Payment id="a", realm="r", method="m", intent="i", request="` + strings.Repeat("q", MaxHeaderText) + `"`},
	} {
		if got, err := ParseChallenges(lines); len(got) != 0 || !errors.Is(err, ErrNoChallenge) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	many := strings.Repeat(`Payment id="a", realm="r", method="m", intent="i", request="q", `, 3*MaxChallenges)
	if got, err := ParseChallenges([]string{many, many}); len(got) != MaxChallenges || err != nil {
		t.Errorf("%d challenges, %v", len(got), err)
	}
}

// FuzzParseChallenges checks that what is read can be written, unless it must not be, and is then
// read the same.
func FuzzParseChallenges(f *testing.F) {
	line, _ := (&Challenge{ID: "a", Realm: `r"\`, Method: "m", Intent: "i", Request: "q", Description: "é"}).Format()
	f.Add(line)
	f.Add(line + `, L402 macaroon="x", invoice="y", ` + line)
	f.Add(`payment ID=a realm=r;method=m intent=i request=q`)
	f.Fuzz(func(t *testing.T, text string) {
		all, err := ParseChallenges(strings.Split(text, "\n"))
		if (err == nil) != (len(all) > 0) {
			t.Fatalf("%d challenges, %v", len(all), err)
		}
		for _, c := range all {
			line, err := c.Format()
			if err != nil {
				continue
			}
			again, err := ParseChallenges([]string{line})
			if err != nil || len(again) != 1 || again[0] != c || strings.ContainsAny(line, "\r\n") {
				t.Fatalf("%q is read as %+v, %v", line, again, err)
			}
		}
	})
}
