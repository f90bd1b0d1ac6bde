package caddyl402

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-l402/caddy-l402/internal/ledger"
	"github.com/caddy-l402/caddy-l402/l402"
)

func metered(options string) string {
	return "l402 10 sat {\n\tlimit off\n\t" + options + "\n}\n"
}

func TestUsesAreSpentOneByOne(t *testing.T) {
	s := serve(t, "wallet play sandbox", metered("uses 3")+"test_upstream")
	a := s.want(402, "GET", "/x")
	if !strings.Contains(a.body, `"uses":3`) || !strings.Contains(a.body, "3 requests") {
		t.Error(a.body)
	}
	p := purchase{s.challenge(a), s.pay(s.challenge(a).Invoice)}
	for _, left := range []string{"2", "1", "0"} {
		a := s.want(200, "GET", "/x", "Authorization", p.authorization(), "Origin", "https://app.test")
		if got := a.Header.Get("X-L402-Remaining-Uses"); got != left {
			t.Errorf("%q uses are left, want %s", got, left)
		}
		if !strings.Contains(strings.Join(a.Header.Values("Access-Control-Expose-Headers"), ","), "X-L402-Remaining-Uses") {
			t.Error("scripts cannot read what is left:", a.Header)
		}
	}
	hits := upstreamHits.Load()
	s.challenge(s.wantCode("uses_exhausted", "/x", "Authorization", p.authorization()))
	// Another spelling of the token is the same payment, and so is a narrowed one.
	narrow, err := l402.Attenuate(p.Macaroon, l402.Caveat{Condition: "default_valid_until", Value: itoa(time.Now().Add(time.Hour).Unix())})
	if err != nil {
		t.Fatal(err)
	}
	s.wantCode("uses_exhausted", "/x", "Authorization", l402.FormatAuthorization(narrow, p.preimage))
	s.wantCode("uses_exhausted", "/x", "Authorization", "LSAT "+strings.TrimPrefix(p.authorization(), "L402 "))
	if upstreamHits.Load() != hits {
		t.Error("a used up token reached the upstream")
	}
}

func TestSingleUseUnderFiftyConcurrentRequests(t *testing.T) {
	s := serve(t, "wallet play sandbox", metered("uses 1")+"test_upstream")
	for range 5 {
		p := s.buy("/x")
		before := upstreamHits.Load()
		var passed atomic.Int64
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if a := s.do("GET", "/x", "Authorization", p.authorization()); a.StatusCode == 200 {
					passed.Add(1)
				}
			})
		}
		wg.Wait()
		if passed.Load() != 1 || upstreamHits.Load()-before != 1 {
			t.Fatalf("%d of 50 requests passed, %d reached the upstream", passed.Load(), upstreamHits.Load()-before)
		}
	}
}

func TestOnlySuccessIsCharged(t *testing.T) {
	site := `
	respond /fails 503
	respond /missing 404
	respond /ok "fine"
	error /error 502
	error /gone 410`
	s := serve(t, "wallet play sandbox", metered("uses 3")+site)
	p := s.buy("/ok")
	for range 5 {
		s.want(503, "GET", "/fails", "Authorization", p.authorization())
		s.want(502, "GET", "/error", "Authorization", p.authorization())
	}
	s.want(200, "GET", "/ok", "Authorization", p.authorization())
	s.want(404, "GET", "/missing", "Authorization", p.authorization())
	s.want(410, "GET", "/gone", "Authorization", p.authorization())
	s.wantCode("uses_exhausted", "/ok", "Authorization", p.authorization())

	s = serve(t, "wallet play sandbox", metered("uses 1\ncharge always")+site)
	p = s.buy("/ok")
	s.want(503, "GET", "/fails", "Authorization", p.authorization())
	s.wantCode("uses_exhausted", "/ok", "Authorization", p.authorization())
}

func TestAClientThatGoesAwaySpendsNothing(t *testing.T) {
	s := serve(t, "wallet play sandbox", metered("uses 1")+"test_upstream")
	p := s.buy("/x")
	release := holdUpstream(t)
	r, err := http.NewRequest("GET", "http://"+s.addr+"/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Wait", "1")
	r.Header.Set("Authorization", p.authorization())
	impatient := &http.Client{Timeout: 300 * time.Millisecond, Transport: &http.Transport{DisableKeepAlives: true}}
	if _, err := impatient.Do(r); err == nil {
		t.Fatal("it did not go away")
	}
	a := s.want(http.StatusTooManyRequests, "GET", "/x", "Authorization", p.authorization())
	if a.code() != "uses_in_flight" || a.Header.Get("Retry-After") == "" {
		t.Error(a.Header, a.body)
	}
	release()
	for range 100 { // until the server noticed
		if a := s.do("GET", "/x", "Authorization", p.authorization()); a.StatusCode == 200 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("the use is lost")
}

func TestIdempotentRetriesAreChargedOnce(t *testing.T) {
	s := serve(t, "wallet play sandbox", metered("uses 2")+"test_upstream")
	p := s.buy("/x")
	for range 3 {
		s.want(200, "GET", "/x", "Authorization", p.authorization(), "Idempotency-Key", "abc")
	}
	a := s.want(200, "GET", "/y", "Authorization", p.authorization(), "Idempotency-Key", "abc") // another request
	if got := a.Header.Get("X-L402-Remaining-Uses"); got != "0" {
		t.Errorf("%q uses are left", got)
	}
	s.wantCode("uses_exhausted", "/x", "Authorization", p.authorization(), "Idempotency-Key", "def")
}

func TestTwoGatesChargeOnce(t *testing.T) {
	s := serve(t, "wallet play sandbox", `
	route {
		l402 /* 10 sat {
			service api
			uses 2
		}
		l402 /b/* 10 sat {
			service api
			uses 2
		}
		test_upstream
	}`)
	p := s.buy("/b/x")
	if a := s.want(200, "GET", "/b/x", "Authorization", p.authorization()); a.Header.Get("X-L402-Remaining-Uses") != "1" {
		t.Error(a.Header)
	}
}

// TestASecondGateThatRefusesCostsNothing: what it answers is no answer that the first one sold.
func TestASecondGateThatRefusesCostsNothing(t *testing.T) {
	for name, errorRoutes := range map[string]string{"by itself": "", "through error routes": "handle_errors {\n\trespond {err.status_code}\n}"} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, "wallet play sandbox", `
			@both header X-Both yes
			route {
				l402 10 sat {
					service front
					uses 1
					charge always
				}
				l402 @both 20 sat {
					service back
					uses 1
				}
				test_upstream
			}
			`+errorRoutes)
			front := s.buy("/x")
			before := upstreamHits.Load()
			back := s.buy("/x", "Authorization", front.authorization(), "X-Both", "yes")
			for range 3 {
				s.want(402, "GET", "/x", "Authorization", front.authorization(), "X-Both", "yes")
			}
			if upstreamHits.Load() != before {
				t.Error("the upstream was reached")
			}
			both := []string{"Authorization", front.authorization(), "Authorization", back.authorization(), "X-Both", "yes"}
			a := s.want(200, "GET", "/x", both...)
			if a.Header.Get("X-L402-Remaining-Uses") != "0" {
				t.Error(a.Header)
			}
			s.want(402, "GET", "/x", both...)
			s.want(402, "GET", "/x", "Authorization", front.authorization())
		})
	}
}

func TestBytesAreCounted(t *testing.T) {
	s := serve(t, "wallet play sandbox", metered("bytes 1kB")+`
	header /large Content-Length 700
	respond /small `+strings.Repeat("a", 400)+`
	respond /large `+strings.Repeat("a", 700)+`
	respond /unknown `+strings.Repeat("a", 700))
	p := s.buy("/small")
	s.want(200, "HEAD", "/large", "Authorization", p.authorization()) // headers are not bytes of the body
	if a := s.want(200, "GET", "/small", "Authorization", p.authorization()); a.Header.Get("X-L402-Remaining-Bytes") == "" {
		t.Error(a.Header)
	}
	// What is left is too little for this one, and it says so before it sends half of it.
	a := s.wantCode("bytes_exhausted", "/large", "Authorization", p.authorization())
	s.challenge(a)
	// Where the length is not known before, the answer breaks off where the bytes end.
	r, err := http.NewRequest("GET", "http://"+s.addr+"/unknown", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", p.authorization())
	if resp, err := client.Do(r); err == nil {
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err == nil {
			t.Errorf("an answer that was cut looks whole: %d bytes", len(body))
		}
	}
	s.wantCode("bytes_exhausted", "/small", "Authorization", p.authorization())
}

func TestUsesSurviveRestartAndReload(t *testing.T) {
	s := serve(t, "wallet play sandbox", metered("uses 3")+"test_upstream")
	p := s.buy("/x")
	s.want(200, "GET", "/x", "Authorization", p.authorization())
	s.reload(s.config("wallet play sandbox", metered("uses 3\nprefetch 8")+"test_upstream"))
	s.want(200, "GET", "/x", "Authorization", p.authorization())
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	s.reload(s.config("wallet play sandbox", metered("uses 3")+"test_upstream"))
	s.want(200, "GET", "/x", "Authorization", p.authorization())
	s.wantCode("uses_exhausted", "/x", "Authorization", p.authorization())
}

func TestRevocation(t *testing.T) {
	s := serve(t, "wallet play sandbox", gated)
	p, other := s.buy("/premium/x"), s.buy("/premium/x")
	invoice := p.preimage.Hash()
	book := s.app().books.Ledger()
	if err := book.Revoke(t.Context(), ledger.KindPayment, invoice.String(), time.Time{}); err != nil {
		t.Fatal(err)
	}
	s.wantCode("token_revoked", "/premium/x", "Authorization", p.authorization())
	s.want(200, "GET", "/premium/x", "Authorization", other.authorization())
	if err := book.Revoke(t.Context(), ledger.KindService, "premium", time.Time{}); err != nil {
		t.Fatal(err)
	}
	s.wantCode("token_revoked", "/premium/x", "Authorization", other.authorization())
	time.Sleep(1100 * time.Millisecond) // a token tells the second that it was made in
	fresh := s.buy("/premium/x")
	s.want(200, "GET", "/premium/x", "Authorization", fresh.authorization())
}

func TestSettlementsAreRecordedOnce(t *testing.T) {
	s := serve(t, "wallet play sandbox", gated)
	p := s.buy("/premium/x")
	for range 5 {
		s.want(200, "GET", "/premium/x", "Authorization", p.authorization())
	}
	s.buy("/premium/x") // paid and never used: the wallet tells of it
	book := s.app().books.Ledger()
	for range 100 {
		if err := book.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		rows, err := book.Report(t.Context(), ledger.ByService, ledger.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) == 1 && rows[0].Payments == 2 && rows[0].AmountMsat == 20_000 && rows[0].Key == "premium" {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("the report does not show two payments of 10 sat")
}
