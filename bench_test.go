package caddyl402

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// discard is a ResponseWriter that costs nothing itself.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }

// caddyServer is Caddy's own HTTP server with everything that a request passes in it.
func caddyServer(b *testing.B) *caddyhttp.Server {
	b.Helper()
	app, err := caddy.ActiveContext().App("http")
	if err != nil {
		b.Fatal(err)
	}
	return app.(*caddyhttp.App).Servers["srv0"]
}

func benchmarkRequest(b *testing.B, path string, want int, headers ...string) {
	server := caddyServer(b)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		w := &discard{header: make(http.Header)}
		for pb.Next() {
			r := httptest.NewRequest("GET", "http://127.0.0.1"+path, nil)
			for i := 0; i < len(headers); i += 2 {
				r.Header.Set(headers[i], headers[i+1])
			}
			clear(w.header)
			w.status = 200
			server.ServeHTTP(w, r)
			if w.status != want {
				b.Fatalf("got %d, want %d", w.status, want)
			}
		}
	})
}

// BenchmarkRequest compares requests through Caddy's whole handler chain: without the directive,
// with a paid token, and unpaid with an invoice of the sandbox wallet.
func BenchmarkRequest(b *testing.B) {
	s := serve(b, "wallet play sandbox", "l402 /paid/* 10 sat {\n\t\tlimit off\n\t}\n\trespond /* \"hello\"")
	p := s.buy("/paid/x")
	b.Run("without", func(b *testing.B) { benchmarkRequest(b, "/free/x", 200) })
	b.Run("paid", func(b *testing.B) { benchmarkRequest(b, "/paid/x", 200, "Authorization", p.authorization()) })
	b.Run("unpaid", func(b *testing.B) { benchmarkRequest(b, "/paid/x", 402) })
}
