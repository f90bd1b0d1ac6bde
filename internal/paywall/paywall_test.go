package paywall

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func problem() *Problem {
	return &Problem{
		Status: 402, Code: "token_expired", Title: "Payment Required", Detail: `a "quoted" <script>alert(1)</script>`,
		Cure: "Pay.", Offer: &Offer{
			Service: "api", Price: 1500, Invoice: "lnbcrt1abc", PaymentHash: "00ff", Macaroon: "AgEE+/==",
			InvoiceExpires: time.Unix(1_800_000_000, 0), Terms: "valid for 24h", NotMoney: true,
		},
	}
}

func write(p *Problem, method string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/", nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	Write(w, r, p)
	return w
}

func TestJSON(t *testing.T) {
	w := write(problem(), "GET")
	var doc map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]any{
		"type": "about:blank", "title": "Payment Required", "status": 402.0, "code": "token_expired",
		"service": "api", "tier": 0.0, "price_msat": 1500.0, "invoice": "lnbcrt1abc", "payment_hash": "00ff",
		"macaroon": "AgEE+/==", "invoice_expires": "2027-01-15T08:00:00Z", "terms": "valid for 24h", "not_money": true,
	} {
		if doc[field] != want {
			t.Errorf("%s = %v, want %v", field, doc[field], want)
		}
	}
}

func TestHTMLEscapesAndIsSealed(t *testing.T) {
	w := write(problem(), "GET", "Accept", "text/html")
	if strings.Contains(w.Body.String(), "<script") {
		t.Error("markup got through:", w.Body)
	}
	if !strings.Contains(w.Body.String(), `href="lightning:lnbcrt1abc"`) || !strings.Contains(w.Body.String(), "not money") {
		t.Error(w.Body)
	}
	if !strings.Contains(w.Header().Get("Content-Security-Policy"), "default-src 'none'") {
		t.Error(w.Header())
	}
}

func TestTextWithoutOffer(t *testing.T) {
	p := &Problem{Status: 503, Code: "wallet_unavailable", Title: "Payments Unavailable", Cure: "Later.", RetryAfter: 1500 * time.Millisecond}
	w := write(p, "GET", "Accept", "text/plain")
	if w.Code != 503 || w.Header().Get("Retry-After") != "2" || strings.Contains(w.Body.String(), "Price") {
		t.Error(w.Code, w.Header(), w.Body)
	}
}

func TestHeadHasNoBody(t *testing.T) {
	w := write(problem(), "HEAD")
	if w.Body.Len() != 0 || w.Header().Get("Content-Length") == "0" {
		t.Error(w.Body, w.Header())
	}
}

func TestGRPC(t *testing.T) {
	for status, code := range map[int]string{402: "13", 429: "14", 503: "14"} {
		p := problem()
		p.Status = status
		w := write(p, "POST", "Content-Type", "application/grpc-web+proto")
		if w.Code != 200 || w.Header().Get("Grpc-Status") != code || w.Body.Len() != 0 {
			t.Error(status, w.Code, w.Header(), w.Body)
		}
	}
}

func TestAccepted(t *testing.T) {
	for accept, want := range map[string]Kind{
		"": JSON, "*/*": JSON, "image/png": JSON, "text/html": HTML, "application/xhtml+xml": HTML,
		"text/html, */*": HTML, "text/html;q=0.1, */*": JSON, "text/plain": Text, "text/*": Text,
		"text/plain, application/json": JSON, "text/html;q=0": JSON, "text/html;q=5": JSON, "text/html;q=x": JSON,
		"application/problem+json": JSON, "garbage;;;": JSON, strings.Repeat("a/b,", 40) + "text/html": JSON,
	} {
		if got := Accepted([]string{accept}); got != want {
			t.Errorf("Accepted(%.40q) = %v, want %v", accept, got, want)
		}
	}
}

func FuzzAccepted(f *testing.F) {
	f.Add("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
	f.Fuzz(func(t *testing.T, accept string) {
		if kind := Accepted([]string{accept}); kind < JSON || kind > Text {
			t.Fatal(kind)
		}
	})
}

func TestPreflight(t *testing.T) {
	preflight := func() *http.Request {
		r := httptest.NewRequest("OPTIONS", "/", nil)
		r.Header.Set("Origin", "https://app.test")
		r.Header.Set("Access-Control-Request-Method", "PUT")
		r.Header.Set("Access-Control-Request-Headers", "authorization, x-a")
		return r
	}
	for name, tc := range map[string]struct {
		upstream func(http.ResponseWriter)
		origin   string
	}{
		"silent":        {func(http.ResponseWriter) {}, "*"},
		"refuses":       {func(w http.ResponseWriter) { http.Error(w, "secret", 405) }, "*"},
		"knows no CORS": {func(w http.ResponseWriter) { _, _ = w.Write([]byte("secret")) }, "*"},
		"has its policy": {func(w http.ResponseWriter) {
			w.Header().Set("Access-Control-Allow-Origin", "https://a")
			w.WriteHeader(204)
		}, "https://a"},
		"writes twice": {func(w http.ResponseWriter) { w.WriteHeader(200); w.WriteHeader(500); _, _ = w.Write([]byte("secret")) }, "*"},
	} {
		t.Run(name, func(t *testing.T) {
			r, w := preflight(), httptest.NewRecorder()
			if !IsPreflight(r) {
				t.Fatal("not seen as a preflight")
			}
			pw := NewPreflightWriter(w, r)
			tc.upstream(pw)
			pw.Finish()
			if w.Code != 204 || w.Body.Len() != 0 || w.Header().Get("Access-Control-Allow-Origin") != tc.origin {
				t.Error(w.Code, w.Header(), w.Body)
			}
		})
	}
	for _, missing := range []string{"Origin", "Access-Control-Request-Method"} {
		r := preflight()
		r.Header.Del(missing)
		if IsPreflight(r) {
			t.Error("a preflight without", missing)
		}
	}
}
