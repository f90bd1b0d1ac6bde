package caddyl402

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func TestReadAmount(t *testing.T) {
	for text, want := range map[string]string{
		"10 sat":             "10 sat",
		" 1.5  SAT":          "1500 msat",
		"{http.vars.x} sat":  "{http.vars.x} sat",
		"{http.vars.x}0 btc": "{http.vars.x}0 btc",
	} {
		if a, err := readAmount(text); err != nil || a.String() != want {
			t.Errorf("%q: %v, %v", text, &a, err)
		}
	}
	for text, wrong := range map[string]string{
		"":                               "number and a unit",
		"sat":                            "number and a unit",
		"{http.vars.x}":                  "number and a unit",
		"{http.vars.x} {unit}":           "unknown unit",
		"10 {http.vars.unit}":            "unknown unit",
		"{http.request.body} sat":        "paid or not",
		"{http.request.body_base64} sat": "paid or not",
		"{file./run/price} sat":          "paid or not",
		"0 sat":                          "more than zero",
	} {
		if _, err := readAmount(text); err == nil || !strings.Contains(err.Error(), wrong) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// requestWith is a request as handlers get it.
func requestWith(header http.Header) *http.Request {
	r := httptest.NewRequest("GET", "http://example.com/x", nil)
	r.Header = header
	return caddyhttp.PrepareRequest(r, caddy.NewReplacer(), httptest.NewRecorder(), new(caddyhttp.Server))
}

// FuzzNamedPrice: whatever a client sends, the price lies within the bounds or there is none, and
// equal prices are equally bound.
func FuzzNamedPrice(f *testing.F) {
	for _, seed := range []string{"5", "2.0", "1000", "1001", "-1", "1e3", "NaN", "٥", "", "5,6", "{http.request.host}"} {
		f.Add(seed)
	}
	h := &Handler{Price: "{http.request.header.X-Sats} sat", Min: "2 sat", Max: "1000 sat"}
	if err := h.readTariff(); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, value string) {
		var to, again deal
		if err := h.tariff.apply(requestWith(http.Header{"X-Sats": {value}}), "s", &to); err != nil {
			if !errors.Is(err, errPriceRefused) || strings.Contains(err.Error(), value) && len(value) > 64 {
				t.Fatalf("%q: %v", value, err)
			}
			return
		}
		if to.price < 2_000 || to.price > 1_000_000 || to.binding == "" || strings.Trim(value, "0123456789.") != "" {
			t.Fatalf("%q costs %d, bound to %q", value, to.price, to.binding)
		}
		if err := h.tariff.apply(requestWith(http.Header{"X-Sats": {value}}), "s", &again); err != nil || again.binding != to.binding {
			t.Fatalf("%q is bound to %q and %q", value, to.binding, again.binding)
		}
	})
}

func TestAmountOutsideOfCaddy(t *testing.T) {
	a, err := readAmount("{http.request.header.X} sat")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.in(httptest.NewRequest("GET", "/", nil).WithContext(context.Background())); !errors.Is(err, errPriceUnknown) {
		t.Error(err)
	}
}

func FuzzReadAgain(f *testing.F) {
	for _, seed := range []string{"/a", "/%2561", `/a\b`, "/a;b/c", "/%", "/%zz;x", ";"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		got := readAgain(path)
		if !strings.ContainsAny(path, `%\;`) && got != path {
			t.Fatalf("%q became %q", path, got)
		}
		if len(got) > len(path) || strings.ContainsAny(got, `\;`) {
			t.Fatalf("%q became %q", path, got)
		}
	})
}
