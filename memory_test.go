package caddyl402

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/caddy-l402/caddy-l402/l402"
)

// raceDetector tells whether this is a test with -race.
var raceDetector bool

// heap is what is in use after collecting garbage.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestAFloodTakesLittleMemory sends requests of strangers who differ in everything they can choose.
func TestAFloodTakesLittleMemory(t *testing.T) {
	if testing.Short() || raceDetector {
		t.Skip("sends 28,000 requests, and the race detector has memory of its own")
	}
	s := serve(t, "wallet play sandbox", "respond no")
	port := s.addr[strings.LastIndexByte(s.addr, ':'):]
	s.reload(strings.Replace(s.config("wallet play sandbox", "l402 10 sat {\n\tscope host\n\tfree 1 1h {http.request.header.X-Key}\n}\ntest_upstream"),
		"http://"+s.addr+", http://other.test"+port, "http://"+port, 1))
	server := caddyServer(t)
	got := map[int]int{}
	flood := func(from, to int) {
		for i := from; i < to; i++ {
			r := httptest.NewRequest("GET", fmt.Sprintf("http://h%d.test/p%d", i, i), nil)
			r.RemoteAddr = fmt.Sprintf("[2001:db8:%x:%x::1]:1", i>>16, i&0xffff)
			r.Header.Set("X-Key", fmt.Sprint("key", i/2))
			if i%4 == 3 { // a token of a key that nobody made
				mac := append([]byte(nil), someToken...)
				binary.BigEndian.PutUint64(mac[len("\x02\x01\x04lsat\x02\x42")+34:], uint64(i))
				r.Header.Set("Authorization", l402.FormatAuthorization(mac, lntypes.Preimage{}))
			}
			w := &discard{header: make(http.Header)}
			server.ServeHTTP(w, r)
			got[w.status]++
		}
	}
	flood(0, 4000)
	before, goroutines := heap(), runtime.NumGoroutine()
	flood(4000, 28_000)
	grown := int64(heap()) - int64(before)
	t.Logf("answers %v, heap grew by %.1f MiB", got, float64(grown)/(1<<20))
	if grown > 32<<20 {
		t.Errorf("heap grew by %d MiB, more than 32", grown>>20)
	}
	if now := runtime.NumGoroutine(); now > goroutines+20 {
		t.Errorf("%d goroutines, %d before", now, goroutines)
	}
}

// someToken is a token that no server made.
var someToken = func() []byte {
	mac, err := l402.Mint(new(l402.MasterKey), l402.Identifier{}, l402.Terms{Service: "default"}.Caveats())
	if err != nil {
		panic(err)
	}
	return mac
}()
