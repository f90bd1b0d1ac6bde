package pricer

import (
	"errors"
	"testing"
)

func TestReadAnswer(t *testing.T) {
	for content, want := range map[string]string{
		`{"price":"10 sat"}`:                   "10 sat",
		`{"price":"1500 msat","note":"cheap"}`: "1500 msat",
		`{"price":" 0.0001  BTC "}`:            "10000 sat",
		`{"price":"0.02 usd"}`:                 "0.02 USD",
		`{"price":"3 EUR"}`:                    "3 EUR",
	} {
		if p, err := readAnswer([]byte(content)); err != nil || p.String() != want {
			t.Errorf("%s: got %s, %v", content, p, err)
		}
	}
	for _, content := range []string{
		``, `null`, `[]`, `"10 sat"`, `{}`, `{"price":10}`, `{"price":null}`, `{"price":""}`, `{"price":"10"}`,
		`{"price":"10sat"}`, `{"price":"-1 sat"}`, `{"price":"1e3 sat"}`, `{"price":"0.5 msat"}`, `{"price":"10 dollars"}`,
		`{"price":"10 sat now"}`, `{"price":"99999999999999 btc"}`, `{"price":"1e3 usd"}`, `{"price":"10 sat"} x`, `{"price":". sat"}`,
	} {
		if p, err := readAnswer([]byte(content)); err == nil || errors.Is(err, ErrFree) || p.String() != "" {
			t.Errorf("%s: got %s, %v", content, p, err)
		}
	}
	for _, content := range []string{`{"price":"0 sat"}`, `{"price":"0.00 usd"}`} {
		if _, err := readAnswer([]byte(content)); !errors.Is(err, ErrFree) {
			t.Errorf("%s: got %v", content, err)
		}
	}
}

func TestReadSats(t *testing.T) {
	if p, err := readSats(10); err != nil || p.Msat != 10_000 {
		t.Error(p, err)
	}
	if _, err := readSats(0); !errors.Is(err, ErrFree) {
		t.Error(err)
	}
	for _, sats := range []int64{-1, 1 << 62, 21_000_000*100_000_000 + 1} {
		if p, err := readSats(sats); err == nil || errors.Is(err, ErrFree) {
			t.Errorf("%d: %s, %v", sats, p, err)
		}
	}
}

func FuzzReadAnswer(f *testing.F) {
	f.Add([]byte(`{"price":"10 sat"}`))
	f.Add([]byte(`{"price":"0.02 usd"}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		p, err := readAnswer(content)
		if err != nil {
			return
		}
		again, err := ParsePrice(p.String())
		if err != nil || again.String() != p.String() || (p.Msat > 0) == !p.Fiat.IsZero() {
			t.Fatalf("%q gave %s, which reads back as %s, %v", content, p, again, err)
		}
	})
}
