package caddyl402

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"testing"
	"time"

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
func caddyServer(b testing.TB) *caddyhttp.Server {
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
// with a paid token, with a metered one, and unpaid with an invoice of the sandbox wallet.
func BenchmarkRequest(b *testing.B) {
	s := serve(b, "wallet play sandbox", `
	l402 /paid/* 10 sat {
		limit off
	}
	l402 /metered/* 10 sat {
		uses 1000000000
		limit off
	}
	respond /* "hello"`)
	paid, metered := s.buy("/paid/x"), s.buy("/metered/x")
	// Both chains get the same header, so that they differ by the directive alone.
	b.Run("without", func(b *testing.B) { benchmarkRequest(b, "/free/x", 200, "Authorization", paid.authorization()) })
	b.Run("paid", func(b *testing.B) { benchmarkRequest(b, "/paid/x", 200, "Authorization", paid.authorization()) })
	b.Run("metered", func(b *testing.B) { benchmarkRequest(b, "/metered/x", 200, "Authorization", metered.authorization()) })
	b.Run("unpaid", func(b *testing.B) { benchmarkRequest(b, "/paid/x", 402) })
}

// BenchmarkFlood sends requests of ever new clients and tells what they leave behind: bytes of heap
// and writes to storage. Run it with -benchtime 1000000x.
func BenchmarkFlood(b *testing.B) {
	const proxies = "servers {\n\t\ttrusted_proxies static 192.0.2.1/32\n\t}"
	s := serveWith(b, proxies, "wallet play sandbox", "l402 /paid/* 10 sat\n\trespond /* \"hello\"")
	paid := s.buy("/paid/x")
	s.want(200, "GET", "/paid/x", "Authorization", paid.authorization())
	book := s.app().books.Ledger()
	for name, headers := range map[string][]string{"unpaid": nil, "paid": {"Authorization", paid.authorization()}} {
		b.Run(name, func(b *testing.B) {
			server := caddyServer(b)
			if err := book.Flush(b.Context()); err != nil {
				b.Fatal(err)
			}
			writes, heap := book.Stats().Writes, heapInUse()
			w := &discard{header: make(http.Header)}
			for i := range b.N {
				r := httptest.NewRequest("GET", "http://127.0.0.1/paid/x", nil)
				r.Header.Set("X-Forwarded-For", fmt.Sprintf("10.%d.%d.%d", i>>16&255, i>>8&255, i&255))
				for k := 0; k < len(headers); k += 2 {
					r.Header.Set(headers[k], headers[k+1])
				}
				clear(w.header)
				server.ServeHTTP(w, r)
			}
			if err := book.Flush(b.Context()); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(book.Stats().Writes-writes), "storage-writes")
			b.ReportMetric(float64(heapInUse()-heap)/(1<<20), "heap-MiB")
		})
	}
}

func heapInUse() int64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// BenchmarkSlowWallet tells how long clients wait for a challenge while the wallet takes 300 ms for
// an invoice and the demand is one request each 50 ms, and how long paid requests take meanwhile.
func BenchmarkSlowWallet(b *testing.B) {
	s := serve(b, "wallet node fake slow", "l402 /paid/* 10 sat {\n\tlimit off\n\tprefetch 32\n}\nrespond /* \"hello\"")
	paid := s.buy("/paid/x")
	w, _ := fakes.Load("slow")
	w.(*fakeWallet).fail(func(ctx context.Context) error {
		select {
		case <-time.After(300 * time.Millisecond):
		case <-ctx.Done():
		}
		return ctx.Err()
	})
	for range 40 { // demand that fills the shelf
		s.do("GET", "/paid/x")
	}
	time.Sleep(time.Second)
	for name, headers := range map[string][]string{"challenge": nil, "paid": {"Authorization", paid.authorization()}} {
		b.Run(name, func(b *testing.B) {
			server := caddyServer(b)
			var took []time.Duration
			for range b.N {
				r := httptest.NewRequest("GET", "http://127.0.0.1/paid/x", nil)
				for k := 0; k < len(headers); k += 2 {
					r.Header.Set(headers[k], headers[k+1])
				}
				begin := time.Now()
				server.ServeHTTP(&discard{header: make(http.Header)}, r)
				took = append(took, time.Since(begin))
				time.Sleep(50 * time.Millisecond)
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
		})
	}
}
