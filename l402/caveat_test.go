package l402

import (
	"math"
	"strconv"
	"strings"
	"testing"
)

func TestParseCaveat(t *testing.T) {
	tests := map[string]struct {
		text string
		want Caveat
		err  error
	}{
		"plain":             {"services=svc:0", Caveat{"services", "svc:0"}, nil},
		"blanks":            {" services \t= svc:0 ", Caveat{"services", "svc:0"}, nil},
		"blanks inside":     {"a b=c d", Caveat{"a b", "c d"}, nil},
		"second =":          {"a=b=c", Caveat{"a", "b=c"}, nil},
		"empty value":       {"svc_capabilities=", Caveat{"svc_capabilities", ""}, nil},
		"no =":              {"foobar", Caveat{}, ErrMalformedCaveat},
		"empty":             {"", Caveat{}, ErrMalformedCaveat},
		"no condition":      {"=x", Caveat{}, ErrMalformedCaveat},
		"blank condition":   {"  =x", Caveat{}, ErrMalformedCaveat},
		"line end is kept":  {"a=b\n", Caveat{"a", "b\n"}, nil},
		"not UTF-8 is kept": {"a=\xff", Caveat{"a", "\xff"}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got, err := ParseCaveat(test.text); got != test.want || err != test.err {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestCaveatStringHidesPreimage(t *testing.T) {
	c := Caveat{ConditionPreimage, testPreimage.String()}
	if s := c.String(); strings.Contains(s, testPreimage.String()) {
		t.Errorf("printed as %s", s)
	}
	if s := c.Encode(); s != "preimage="+testPreimage.String() {
		t.Errorf("encoded as %s", s)
	}
	if s := (Caveat{"a", "b"}).String(); s != "a=b" {
		t.Errorf("printed as %s", s)
	}
}

func TestNames(t *testing.T) {
	long := strings.Repeat("a", MaxNameLength)
	tests := []struct {
		name                string
		service, capability bool
	}{
		{"svc", true, true},
		{"api.example.com", true, true},
		{"A-Z_09.", true, true},
		{long, true, true},
		{long + "a", false, false},
		{"", false, false},
		{"a b", false, false},
		{"a\tb", false, false},
		{"a\n", false, false},
		{"a,b", false, false},
		{"a=b", false, false},
		{`a"b`, false, false},
		{`a\b`, false, false},
		{"a:b", false, true},
		{"/pkg.Service/Method", false, true},
		{"é", false, false},
		{"a\x00", false, false},
		{"a\x7f", false, false},
	}
	for _, test := range tests {
		if got := ValidServiceName(test.name); got != test.service {
			t.Errorf("ValidServiceName(%q) is %v", test.name, got)
		}
		if got := ValidCapability(test.name); got != test.capability {
			t.Errorf("ValidCapability(%q) is %v", test.name, got)
		}
	}
}

func TestParseUint(t *testing.T) {
	for _, n := range []uint64{0, 1, 9, 10, 255, 1_800_000_000, math.MaxInt64, math.MaxUint64 - 1, math.MaxUint64} {
		if got, ok := parseUint(strconv.FormatUint(n, 10)); !ok || got != n {
			t.Errorf("%d is read as %d, %v", n, got, ok)
		}
	}
	for _, s := range []string{"", "-1", "+1", " 1", "1 ", "01", "00", "1.0", "1e3", "0x1", "a", "1_000",
		"18446744073709551616", "99999999999999999999", "100000000000000000000"} {
		if got, ok := parseUint([]byte(s)); ok {
			t.Errorf("%q is read as %d", s, got)
		}
	}
}

func FuzzParseCaveat(f *testing.F) {
	for _, s := range []string{"services=svc:0", " a = b ", "x", "=", "a==", "\t=\t"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseCaveat(s)
		if err != nil {
			if err != ErrMalformedCaveat || c != (Caveat{}) {
				t.Fatalf("got %+v, %v", c, err)
			}
			return
		}
		if c.Condition == "" || strings.Contains(c.Condition, "=") {
			t.Fatalf("condition %q", c.Condition)
		}
		if again, err := ParseCaveat(c.Encode()); again != c || err != nil || c.check() != nil {
			t.Fatalf("%+v comes back as %+v, %v", c, again, err)
		}
	})
}

func FuzzParseUint(f *testing.F) {
	for _, s := range []string{"0", "1", "18446744073709551615", "18446744073709551616", "007"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := parseUint(s)
		want, err := strconv.ParseUint(s, 10, 64)
		if ok && (err != nil || got != want || strconv.FormatUint(got, 10) != s) {
			t.Fatalf("%q is read as %d; strconv says %d, %v", s, got, want, err)
		}
		if !ok && err == nil && strconv.FormatUint(want, 10) == s {
			t.Fatalf("%q is refused", s)
		}
	})
}
