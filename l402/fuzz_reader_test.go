package l402

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// fuzzHeader spreads text over the headers that a Reader looks at: a line each, which begins with
// the number of its header.
func fuzzHeader(text string) http.Header {
	h := http.Header{}
	for line := range strings.SplitSeq(text, "\n") {
		if line == "" {
			continue
		}
		name := sources[int(line[0])%len(sources)].header
		h[name] = append(h[name], line[1:])
	}
	return h
}

func seedReader(f *testing.F) {
	s := spell(f)
	pair := s.std + ":" + s.pre
	authorization, cookie, macaroon := "\x00", "\x03", "\x01"
	for _, seed := range []string{
		authorization + "L402 " + pair,
		authorization + "L402 " + s.std + "," + s.url + ":" + s.pre + ", Bearer x",
		authorization + `L402 token="` + s.std + `", preimage="` + s.pre + `", Digest a="b, c"`,
		authorization + "Bearer " + pair + "\n" + authorization + "LSAT " + s.hex,
		authorization + basic("me", pair)[len("Authorization: "):],
		macaroon + s.hex + "\n" + cookie + "a=b; l402_x=" + pair,
		authorization + "L402\n" + cookie + "l402",
		authorization + `Digest a="\", L402 x:y`,
		authorization + "foo, L402 a:b, bar baz, qux",
		authorization + "Bearer x, " + paidCredential(f) + ", L402 " + pair + "\n\x04" + paidCredential(f),
		authorization + "Payment e30, x=y, Payment\n\x04L402 " + pair,
	} {
		f.Add(seed, uint16(FormAll))
		f.Add(seed, uint16(FormBasic|FormCookie))
	}
}

// FuzzReader checks what holds for every header: the walk ends, its limits hold, an error leaves
// nothing behind, and after Strip there is nothing to find.
func FuzzReader(f *testing.F) {
	seedReader(f)
	f.Fuzz(func(t *testing.T, text string, forms uint16) {
		h, allowed := fuzzHeader(text), Form(forms)&FormAll
		r := NewReader(h, allowed)
		var c Credential
		tooLong := false
		for n := 0; ; n++ {
			ok, err := r.Next(&c)
			if !ok {
				break
			}
			if n > MaxCandidates {
				t.Fatal("the walk goes on and on")
			}
			if err != nil {
				if Code(err) == "internal" {
					t.Fatalf("error %v", err)
				}
				if c.HasPreimage || len(c.Macaroon()) != 0 || c.Form != 0 {
					t.Fatal("an error leaves a credential behind")
				}
				tooLong = tooLong || len(text) > MaxHeaderText
				continue
			}
			if c.Form&allowed == 0 || c.Form&(c.Form-1) != 0 || len(c.Macaroon()) == 0 {
				t.Fatalf("form %s of %s, %d bytes", c.Form, allowed, len(c.Macaroon()))
			}
		}
		Strip(h, allowed)
		r = NewReader(h, allowed)
		if ok, err := r.Next(&c); ok && !(err == ErrTokenTooLong && tooLong) {
			t.Fatalf("after Strip there is a credential in %q (%v)", h, err)
		}
	})
}

// FuzzStrip checks that Strip is done at once, adds nothing and spares what it is not asked for.
func FuzzStrip(f *testing.F) {
	seedReader(f)
	f.Fuzz(func(t *testing.T, text string, forms uint16) {
		h, allowed := fuzzHeader(text), Form(forms)&FormAll
		original := h.Clone()
		Strip(h, 0)
		sameHeader(t, h, original)

		Strip(h, allowed)
		for name, lines := range h {
			if len(lines) == 0 || len(lines) > len(original[name]) {
				t.Fatalf("%s has %d lines, had %d", name, len(lines), len(original[name]))
			}
			for _, line := range lines {
				for part := range strings.FieldsFuncSeq(line, func(r rune) bool { return r == ',' || r == ';' }) {
					if !slices.ContainsFunc(original[name], func(o string) bool { return strings.Contains(o, trim(part)) }) {
						t.Fatalf("%s: %q is new", name, part)
					}
				}
			}
		}
		once := h.Clone()
		Strip(h, allowed)
		sameHeader(t, h, once)
	})
}

func FuzzDecodeMacaroon(f *testing.F) {
	s := spell(f)
	for _, seed := range []string{s.std, s.url, s.rawStd, s.rawURL, s.hex, s.upperHex, "", "=", "02", "AB"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		mac, err := DecodeMacaroon(text)
		if err != nil {
			if err != ErrMalformedCredential && err != ErrTokenTooLong || mac != nil {
				t.Fatalf("got %x, %v", mac, err)
			}
			return
		}
		if len(mac) == 0 || len(mac) > MaxMacaroonSize || strings.ContainsAny(text, "\r\n") {
			t.Fatalf("%q gives %d bytes", text, len(mac))
		}
	})
}
