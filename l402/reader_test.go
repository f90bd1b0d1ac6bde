package l402

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
)

// spellings are the ways to write the same token and preimage.
type spellings struct {
	mac                          []byte
	std, url, rawStd, rawURL     string
	hex, upperHex, pre, upperPre string
}

// spell picks a token whose base64 has padding and characters that the two alphabets spell
// differently.
func spell(t testing.TB) spellings {
	t.Helper()
	for i := range 1000 {
		terms := testTerms()
		terms.Uses = uint64(i + 1)
		mac := mint(t, terms)
		std := base64.StdEncoding.EncodeToString(mac)
		if !strings.HasSuffix(std, "=") || !strings.Contains(std, "+") || !strings.Contains(std, "/") {
			continue
		}
		return spellings{
			mac: mac, std: std, url: base64.URLEncoding.EncodeToString(mac),
			rawStd: base64.RawStdEncoding.EncodeToString(mac), rawURL: base64.RawURLEncoding.EncodeToString(mac),
			hex: hex.EncodeToString(mac), upperHex: strings.ToUpper(hex.EncodeToString(mac)),
			pre: testPreimage.String(), upperPre: strings.ToUpper(testPreimage.String()),
		}
	}
	t.Fatal("no token with all characters of base64")
	return spellings{}
}

func basic(user, password string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

const (
	jwt       = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"
	lndHeader = "0201036c6e6402f801030a10" // the beginning of a macaroon of LND
)

func TestReaderTakes(t *testing.T) {
	s := spell(t)
	tests := []struct {
		name  string
		lines []string
		form  Form
		alone bool
		count int // 1 if 0
	}{
		{name: "standard", lines: []string{"Authorization: L402 " + s.std + ":" + s.pre}, form: FormL402},
		{name: "LSAT", lines: []string{"Authorization: LSAT " + s.std + ":" + s.pre}, form: FormLSAT},
		{name: "lower case", lines: []string{"Authorization: l402 " + s.std + ":" + s.pre}, form: FormL402},
		{name: "mixed case", lines: []string{"Authorization: lSaT " + s.std + ":" + s.pre}, form: FormLSAT},
		{name: "blanks", lines: []string{"Authorization:   L402 \t  " + s.std + ":" + s.pre + " \t"}, form: FormL402},
		{name: "blanks around the colon", lines: []string{"Authorization: L402 " + s.std + " : " + s.pre}, form: FormL402},
		{name: "URL-safe", lines: []string{"Authorization: L402 " + s.url + ":" + s.pre}, form: FormL402},
		{name: "unpadded", lines: []string{"Authorization: L402 " + s.rawStd + ":" + s.pre}, form: FormL402},
		{name: "URL-safe unpadded", lines: []string{"Authorization: L402 " + s.rawURL + ":" + s.pre}, form: FormL402},
		{name: "hex", lines: []string{"Authorization: L402 " + s.hex + ":" + s.pre}, form: FormL402},
		{name: "upper-case hex", lines: []string{"Authorization: L402 " + s.upperHex + ":" + s.upperPre}, form: FormL402},
		{name: "token alone", lines: []string{"Authorization: L402 " + s.std}, form: FormL402, alone: true},
		{name: "several lines", lines: []string{
			"Authorization: Bearer " + jwt, "Authorization: L402 " + s.std + ":" + s.pre, "Authorization: LSAT " + s.std + ":" + s.pre,
		}, form: FormL402, count: 2},
		{name: "several values in a line", lines: []string{
			"Authorization: Bearer " + jwt + ", L402 " + s.std + ":" + s.pre + ",LSAT " + s.std + ":" + s.pre,
		}, form: FormL402, count: 2},
		{name: "behind a scheme with commas and quotes", lines: []string{
			`Authorization: Digest username="a, L402 b\", c", realm="x", L402 ` + s.std + ":" + s.pre,
		}, form: FormL402},
		{name: "empty values", lines: []string{"Authorization: ,, ,L402 " + s.std + ":" + s.pre + ", ,"}, form: FormL402},
		{name: "several tokens, one preimage", lines: []string{
			"Authorization: L402 " + s.std + "," + s.rawURL + ", " + s.hex + ":" + s.pre,
		}, form: FormL402, count: 3},
		{name: "several pairs under one scheme", lines: []string{
			"Authorization: L402 " + s.std + ":" + s.pre + ", " + s.url + ":" + s.pre,
		}, form: FormL402, count: 2},
		{name: "several tokens, no preimage", lines: []string{"Authorization: L402 " + s.std + "," + s.std}, form: FormL402, alone: true, count: 2},
		{name: "a preimage of another scheme is not shared", lines: []string{
			"Authorization: L402 " + s.std + ", Bearer " + jwt + ":" + s.pre,
		}, form: FormL402, alone: true},
		{name: "no preimage before parameters", lines: []string{`Authorization: L402 ` + s.std + `, token="` + s.std + `"`}, form: FormL402, alone: true, count: 2},
		{name: "no preimage far and wide", lines: []string{
			"Authorization: L402 " + s.std + strings.Repeat(", ", 100), "Authorization: L402 " + s.std,
		}, form: FormL402, alone: true, count: 2},
		{name: "parameters", lines: []string{`Authorization: L402 token="` + s.std + `", preimage="` + s.pre + `"`}, form: FormToken},
		{name: "parameters of LSAT", lines: []string{`Authorization: LSAT macaroon="` + s.std + `",preimage="` + s.pre + `"`}, form: FormToken},
		{name: "parameters in another order", lines: []string{`Authorization: L402 version="0", PREIMAGE = "` + s.pre + `" , Token = "` + s.url + `"`}, form: FormToken},
		{name: "parameters without quotes", lines: []string{`Authorization: L402 token=` + s.std + `, preimage=` + s.pre}, form: FormToken},
		{name: "token doubled", lines: []string{`Authorization: L402 macaroon="` + s.std + `", token="` + s.std + `", preimage="` + s.pre + `"`}, form: FormToken},
		{name: "token parameter alone", lines: []string{`Authorization: L402 token="` + s.std + `"`}, form: FormToken, alone: true},
		{name: "parameters and then another", lines: []string{
			`Authorization: L402 token="` + s.std + `", preimage="` + s.pre + `", L402 token="` + s.std + `", preimage="` + s.pre + `"`,
		}, form: FormToken, count: 2},
		{name: "Bearer", lines: []string{"Authorization: Bearer " + s.std + ":" + s.pre}, form: FormBearer},
		{name: "bearer, hex", lines: []string{"Authorization: bearer " + s.upperHex + ":" + s.pre}, form: FormBearer},
		{name: "Bearer alone", lines: []string{"Authorization: Bearer " + s.rawURL}, form: FormBearer, alone: true},
		{name: "Basic, any user", lines: []string{basic("me", s.std+":"+s.pre)}, form: FormBasic},
		{name: "Basic, no user", lines: []string{basic("", s.rawURL+":"+s.upperPre)}, form: FormBasic},
		{name: "Basic, user and password", lines: []string{basic(s.std, s.pre)}, form: FormBasic},
		{name: "Basic, token alone as password", lines: []string{basic("me", s.std)}, form: FormBasic, alone: true},
		{name: "Basic, token alone as user", lines: []string{basic(s.hex, "")}, form: FormBasic, alone: true},
		{name: "Basic, unpadded", lines: []string{strings.TrimRight(basic("me", s.std+":"+s.pre), "=")}, form: FormBasic},
		{name: "Macaroon", lines: []string{"Macaroon: " + s.hex}, form: FormMacaroonHeader, alone: true},
		{name: "Grpc-Metadata-Macaroon", lines: []string{"Grpc-Metadata-Macaroon: " + s.upperHex}, form: FormMacaroonHeader, alone: true},
		{name: "Macaroon beside one of LND", lines: []string{"Macaroon: " + lndHeader, "Macaroon: " + s.std}, form: FormMacaroonHeader, alone: true},
		{name: "cookie", lines: []string{"Cookie: l402=" + s.rawURL + ":" + s.pre}, form: FormCookie},
		{name: "named cookie among others", lines: []string{`Cookie: a=b; l402_x.y=` + s.rawURL + ":" + s.pre + "; c=d"}, form: FormCookie},
		{name: "several cookies", lines: []string{
			`Cookie: l402_a="` + s.std + ":" + s.pre + `";l402_b=` + s.std + ":" + s.pre, "Cookie: l402=" + s.hex + ":" + s.pre,
		}, form: FormCookie, count: 3},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := header(test.lines...)
			found, errs := read(h, FormAll)
			if len(errs) != 0 || len(found) != max(test.count, 1) {
				t.Fatalf("%d credentials, errors %v", len(found), errs)
			}
			if found[0].Form != test.form {
				t.Errorf("form %s, want %s", found[0].Form, test.form)
			}
			for i, c := range found {
				if !bytes.Equal(c.Macaroon(), s.mac) {
					t.Errorf("credential %d is\n%x, want\n%x", i, c.Macaroon(), s.mac)
				}
				if c.HasPreimage == test.alone || !test.alone && c.Preimage != testPreimage {
					t.Errorf("credential %d has preimage %v: %s", i, c.HasPreimage, c.Preimage)
				}
			}
			Strip(h, FormAll)
			if found, errs := read(h, FormAll); len(found) != 0 || len(errs) != 0 {
				t.Errorf("after Strip there are %d credentials, errors %v, in %v", len(found), errs, h)
			}
		})
	}
}

func TestReaderRefuses(t *testing.T) {
	s := spell(t)
	bearerish := s.std[:20]
	malformed := map[string]string{
		"scheme alone":               "Authorization: L402",
		"scheme and blanks":          "Authorization: LSAT  ",
		"colon alone":                "Authorization: L402 :",
		"no token":                   "Authorization: L402 :" + s.pre,
		"no preimage":                "Authorization: L402 " + s.std + ":",
		"bad base64":                 "Authorization: L402 !" + s.std[1:] + ":" + s.pre,
		"both alphabets":             "Authorization: L402 AAAA+A-A:" + s.pre,
		"one character":              "Authorization: L402 A:" + s.pre,
		"stray bits":                 "Authorization: L402 AB:" + s.pre,
		"three paddings":             "Authorization: L402 " + s.rawStd + "===:" + s.pre,
		"padding alone":              "Authorization: L402 ==:" + s.pre,
		"padding inside":             "Authorization: L402 " + s.std[:8] + "=" + s.std[8:] + ":" + s.pre,
		"odd hex":                    "Authorization: L402 " + s.hex[1:] + "0:" + s.pre[1:],
		"hex of odd length":          "Authorization: L402 " + s.hex + "0:" + s.pre,
		"bad hex":                    "Authorization: L402 " + s.hex + "0g:" + s.pre,
		"bad preimage":               "Authorization: L402 " + s.std + ":g" + s.pre[1:],
		"short preimage":             "Authorization: L402 " + s.std + ":" + s.pre[2:],
		"bytes behind the preimage":  "Authorization: L402 " + s.std + ":" + s.pre + "00",
		"letters behind the digits":  "Authorization: L402 " + s.std + ":" + s.pre + "x",
		"words behind the preimage":  "Authorization: L402 " + s.std + ":" + s.pre + " x",
		"two preimages":              "Authorization: L402 " + s.std + ":" + s.pre + ":" + s.pre,
		"blank instead of colon":     "Authorization: L402 " + s.std + " " + s.pre,
		"parameters without token":   `Authorization: L402 preimage="` + s.pre + `"`,
		"empty token parameter":      `Authorization: L402 token="", preimage="` + s.pre + `"`,
		"empty preimage parameter":   `Authorization: L402 token="` + s.std + `", preimage=""`,
		"bad preimage parameter":     `Authorization: L402 token="` + s.std + `", preimage="` + s.pre[1:] + `"`,
		"bad token parameter":        `Authorization: L402 token="*", preimage="` + s.pre + `"`,
		"contradicting tokens":       `Authorization: L402 token="` + s.std + `", macaroon="` + s.rawStd[:40] + `", preimage="` + s.pre + `"`,
		"contradicting preimages":    `Authorization: L402 token="` + s.std + `", preimage="` + s.pre + `", preimage="` + strings.Repeat("0", 64) + `"`,
		"Bearer, bad base64":         "Authorization: Bearer " + bearerish + "!:" + s.pre,
		"Bearer, bad preimage":       "Authorization: Bearer " + s.std + ":" + s.pre + "0",
		"Bearer, no preimage":        "Authorization: Bearer " + s.std + ":",
		"Basic, bad base64":          basic("me", bearerish+"!:"+s.pre),
		"Basic, line end in base64":  basic("me", bearerish+"\n"+s.std[20:]+":"+s.pre),
		"Basic, bad preimage":        basic("me", s.std+":"+s.pre[1:]),
		"Basic, no preimage":         basic("me", s.std+":"),
		"Basic, word as password":    basic(s.std, "x"),
		"Basic, bytes behind":        basic(s.std, s.pre+"0"),
		"Macaroon, bad hex":          "Macaroon: " + s.hex + "xx",
		"Grpc-Metadata, odd hex":     "Grpc-Metadata-Macaroon: " + s.hex + "0",
		"cookie, empty":              "Cookie: l402=",
		"cookie, no value":           "Cookie: l402",
		"cookie, bad base64":         "Cookie: l402_a=*:" + s.pre,
		"cookie, bad preimage":       "Cookie: l402_a=" + s.rawURL + ":" + s.pre + "00",
		"cookie, preimage empty":     "Cookie: l402_a=" + s.rawURL + ":",
		"cookie, quote not closed":   `Cookie: l402_a="` + s.rawURL + ":" + s.pre,
		"percent signs":              "Cookie: l402_a=" + s.rawURL + "%3A" + s.pre,
		"a token in the wrong place": "Authorization: L402 " + s.pre + ":" + s.std,
	}
	for name, line := range malformed {
		t.Run(name, func(t *testing.T) {
			h := header(line)
			found, errs := read(h, FormAll)
			if len(found) != 0 || len(errs) != 1 || errs[0] != ErrMalformedCredential {
				t.Fatalf("%d credentials, errors %v", len(found), errs)
			}
			// The next one is found behind it, in a line of its own.
			name, _, _ := strings.Cut(line, ": ")
			good := map[string]string{
				"Authorization": "L402 " + s.std + ":" + s.pre, "Macaroon": s.hex,
				"Grpc-Metadata-Macaroon": s.hex, "Cookie": "l402_b=" + s.std + ":" + s.pre,
			}[name]
			h.Add(name, good)
			if found, errs := read(h, FormAll); len(found) != 1 || len(errs) != 1 || !bytes.Equal(found[0].Macaroon(), s.mac) {
				t.Errorf("with a good one behind: %d credentials, errors %v", len(found), errs)
			}
			Strip(h, FormAll)
			if len(h) != 0 {
				t.Errorf("Strip leaves %v", h)
			}
		})
	}
}

func TestReaderPassesOver(t *testing.T) {
	s := spell(t)
	foreign := map[string]string{
		"JWT":                     "Authorization: Bearer " + jwt,
		"opaque bearer":           "Authorization: Bearer abc:def",
		"Bearer alone":            "Authorization: Bearer",
		"password":                basic("me", "secret"),
		"password with a colon":   basic("me", "secret:"+s.pre),
		"no base64 at all":        "Authorization: Basic ***",
		"another scheme":          "Authorization: Negotiate " + s.std,
		"another scheme's comma":  `Authorization: Digest a="b, L402 c", d="e"`,
		"quote not closed":        `Authorization: Digest a="b, L402 ` + s.std,
		"scheme in the middle":    "Authorization: XL402 " + s.std + ":" + s.pre,
		"no scheme":               "Authorization: " + s.std + ":" + s.pre,
		"empty":                   "Authorization: ",
		"macaroon of LND":         "Macaroon: " + lndHeader,
		"macaroon of LND, gRPC":   "Grpc-Metadata-Macaroon: " + lndHeader,
		"cookie of another name":  "Cookie: l4020=" + s.std + ":" + s.pre,
		"cookie in capitals":      "Cookie: L402=" + s.std + ":" + s.pre,
		"session":                 "Cookie: a=b; c",
		"a header nobody asks":    "X-Authorization: L402 " + s.std + ":" + s.pre,
		"forms of another header": "Macaroon: L402 " + s.std + ":" + s.pre,
	}
	for name, line := range foreign {
		t.Run(name, func(t *testing.T) {
			h := header(line)
			if found, errs := read(h, FormAll); len(found) != 0 || len(errs) != 0 {
				t.Errorf("%d credentials, errors %v", len(found), errs)
			}
			before := h.Clone()
			Strip(h, FormAll)
			sameHeader(t, h, before)
		})
	}
	if found, errs := read(nil, FormAll); len(found) != 0 || len(errs) != 0 {
		t.Errorf("nothing gives %d credentials, errors %v", len(found), errs)
	}
}

func TestReaderObeysAllowedForms(t *testing.T) {
	s := spell(t)
	pair := s.std + ":" + s.pre
	lines := []struct {
		line string
		form Form
	}{
		{"Authorization: L402 " + pair, FormL402},
		{"Authorization: LSAT " + pair, FormLSAT},
		{"Authorization: Bearer " + pair, FormBearer},
		{basic("me", pair), FormBasic},
		{"Macaroon: " + s.hex, FormMacaroonHeader},
		{"Cookie: l402=" + pair, FormCookie},
	}
	for _, allowed := range lines {
		for _, sent := range lines {
			h := header(sent.line)
			found, errs := read(h, allowed.form)
			if len(errs) != 0 || (len(found) == 1) != (allowed.form == sent.form) {
				t.Errorf("%s allowed, %s sent: %d credentials, errors %v", allowed.form, sent.form, len(found), errs)
			}
			Strip(h, allowed.form)
			if (len(h) == 0) != (allowed.form == sent.form) {
				t.Errorf("%s allowed, %s sent: Strip leaves %d lines", allowed.form, sent.form, len(h))
			}
		}
		// All at once: each finds its own.
		h := http.Header{}
		for _, sent := range lines {
			name, value, _ := strings.Cut(sent.line, ": ")
			h.Add(name, value)
		}
		if found, _ := read(h, allowed.form); len(found) != 1 || found[0].Form != allowed.form {
			t.Errorf("%s allowed, all sent: %d credentials", allowed.form, len(found))
		}
	}
	params := `Authorization: L402 token="` + s.std + `", preimage="` + s.pre + `"`
	if found, errs := read(header(params), FormL402); len(found) != 0 || len(errs) != 1 || errs[0] != ErrMalformedCredential {
		t.Errorf("parameters not allowed: %d credentials, errors %v", len(found), errs)
	}
	if found, errs := read(header(params), 0); len(found) != 0 || len(errs) != 0 {
		t.Errorf("nothing allowed: %d credentials, errors %v", len(found), errs)
	}
}

func TestReaderLimits(t *testing.T) {
	s := spell(t)
	pair := s.std + ":" + s.pre
	mebi := strings.Repeat("A", 1<<20)
	repeat := func(n int, line string) []string {
		lines := make([]string, n)
		for i := range lines {
			lines[i] = line
		}
		return lines
	}
	long := base64.StdEncoding.EncodeToString(make([]byte, MaxMacaroonSize+1))
	longest := base64.StdEncoding.EncodeToString(append([]byte{2}, make([]byte, MaxMacaroonSize-1)...))
	tests := []struct {
		name  string
		lines []string
		found int
		errs  int // ErrTokenTooLong, the last of them for all
	}{
		{"1 MiB of base64", []string{"Authorization: L402 " + mebi + ":" + s.pre}, 0, 1},
		{"1 MiB of blanks", []string{"Authorization: L402 " + strings.Repeat(" ", 1<<20)}, 0, 1},
		{"1 MiB of commas", []string{"Authorization: " + strings.Repeat(",", 1<<20)}, 0, 1},
		{"1 MiB of cookies", []string{"Cookie: " + strings.Repeat("a=b;", 1<<18)}, 0, 1},
		{"1 MiB of a macaroon", []string{"Macaroon: " + mebi}, 0, 1},
		{"1 MiB of Basic", []string{"Authorization: Basic " + mebi}, 0, 1},
		{"1 MiB in another header", []string{"X-Other: " + mebi, "Authorization: L402 " + pair}, 1, 0},
		{"1 MiB behind a credential", []string{"Authorization: L402 " + pair, "Authorization: L402 " + mebi}, 1, 1},
		{"1 MiB in many lines", append(repeat(1024, "Authorization: Bearer "+mebi[:1024]), "Authorization: L402 "+pair), 0, 1},
		{"as many as allowed", repeat(MaxCandidates, "Authorization: L402 "+pair), MaxCandidates, 0},
		{"one too many", repeat(MaxCandidates+1, "Authorization: L402 "+pair), MaxCandidates, 1},
		{"one too many, mixed", append(repeat(MaxCandidates, "Cookie: l402="+pair), "Authorization: L402 "+pair), MaxCandidates, 1},
		{"one too many in a line", []string{"Authorization: L402 " + strings.TrimSuffix(strings.Repeat(pair+",", MaxCandidates+1), ",")}, MaxCandidates, 1},
		{"one too many macaroons", repeat(MaxCandidates+1, "Macaroon: "+s.hex), MaxCandidates, 1},
		{"foreign ones do not count", append(repeat(100, "Authorization: Bearer "+jwt), "Authorization: L402 "+pair), 1, 0},
		{"a token as long as allowed", []string{"Authorization: L402 " + longest + ":" + s.pre}, 1, 0},
		{"a token a byte too long", []string{"Authorization: L402 " + long + ":" + s.pre, "Authorization: L402 " + pair}, 1, 1},
		{"a token a byte too long in hex", []string{"Authorization: L402 02" + strings.Repeat("00", MaxMacaroonSize) + ":" + s.pre, "Authorization: L402 " + pair}, 1, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			found, errs := read(header(test.lines...), FormAll)
			if len(found) != test.found || len(errs) != test.errs {
				t.Errorf("%d credentials, errors %v", len(found), errs)
			}
			for _, err := range errs {
				if err != ErrTokenTooLong {
					t.Errorf("error %v", err)
				}
			}
		})
	}
}

func TestReaderLeavesNothingAfterAnError(t *testing.T) {
	s := spell(t)
	var c Credential
	r := NewReader(header("Authorization: L402 "+s.std+":"+s.pre, "Authorization: L402 "+s.std+":x"), FormAll)
	if ok, err := r.Next(&c); !ok || err != nil || !c.HasPreimage {
		t.Fatal(ok, err)
	}
	if ok, err := r.Next(&c); !ok || err != ErrMalformedCredential {
		t.Fatal(ok, err)
	}
	if c.HasPreimage || c.Preimage != [32]byte{} || len(c.Macaroon()) != 0 || c.Form != 0 {
		t.Error("something of the credential before is left")
	}
	for range 3 {
		if ok, err := r.Next(&c); ok || err != nil {
			t.Fatal(ok, err)
		}
	}
}
