package pricing

import (
	"errors"
	"strings"
	"testing"

	"github.com/lightningnetwork/lnd/lnwire"
)

func TestParse(t *testing.T) {
	for _, tc := range []struct {
		number, unit string
		want         lnwire.MilliSatoshi
		wrong        string
	}{
		{"10", "sat", 10_000, ""},
		{"10", "SATS", 10_000, ""},
		{"1500", "msat", 1500, ""},
		{"1.5", "sat", 1500, ""},
		{"0.001", "sat", 1, ""},
		{"0.0001", "btc", 10_000_000, ""},
		{"0.00000000001", "BTC", 1, ""},
		{"21000000", "btc", MaxAmount, ""},
		{"21000000.00000000001", "btc", 0, "more than all"},
		{"99999999999999999999999999", "sat", 0, "more than all"},
		{"0", "sat", 0, "more than zero"},
		{"0.000", "btc", 0, "more than zero"},
		{"0.0001", "sat", 0, "whole number"},
		{"1.5", "msat", 0, "whole number"},
		{"-1", "sat", 0, "not a number"},
		{"1e3", "sat", 0, "not a number"},
		{"1/2", "sat", 0, "not a number"},
		{"0x10", "sat", 0, "not a number"},
		{"1_000", "sat", 0, "not a number"},
		{".5", "sat", 0, "not a number"},
		{"5.", "sat", 0, "not a number"},
		{"1.2.3", "sat", 0, "not a number"},
		{"", "sat", 0, "not a number"},
		{strings.Repeat("1", 33), "sat", 0, "not a number"},
		{"10", "", 0, "unknown unit"},
		{"10", "usd", 0, "unknown unit"},
	} {
		t.Run(tc.number+" "+tc.unit, func(t *testing.T) {
			got, err := Parse(tc.number, tc.unit)
			if tc.wrong != "" {
				if !errors.Is(err, ErrAmount) || !strings.Contains(err.Error(), tc.wrong) {
					t.Fatalf("got %v, %v; want an error with %q", got, err, tc.wrong)
				}
				return
			}
			if err != nil || got != tc.want {
				t.Fatalf("got %d, %v; want %d", got, err, tc.want)
			}
		})
	}
}

func TestParseText(t *testing.T) {
	if m, err := ParseText(" 10  sat "); err != nil || m != 10_000 {
		t.Fatal(m, err)
	}
	for _, s := range []string{"", "10", "10 sat x", "10sat"} {
		if _, err := ParseText(s); !errors.Is(err, ErrAmount) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestFormat(t *testing.T) {
	for m, want := range map[lnwire.MilliSatoshi][2]string{
		10_000: {"10 sat", "10"},
		1500:   {"1500 msat", "1.5"},
		1:      {"1 msat", "0.001"},
		100:    {"100 msat", "0.1"},
	} {
		if got := Format(m); got != want[0] {
			t.Errorf("Format(%d) = %q", m, got)
		}
		if got := Sats(m); got != want[1] {
			t.Errorf("Sats(%d) = %q", m, got)
		}
	}
}

func FuzzParseText(f *testing.F) {
	f.Add("10 sat")
	f.Add("0.0001 btc")
	f.Fuzz(func(t *testing.T, s string) {
		m, err := ParseText(s)
		if err != nil {
			return
		}
		if m == 0 || m > MaxAmount {
			t.Fatalf("%q gave %d", s, m)
		}
		if again, err := ParseText(Format(m)); err != nil || again != m {
			t.Fatalf("%q gave %d, which reads back as %d, %v", s, m, again, err)
		}
	})
}
