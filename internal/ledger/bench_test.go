package ledger

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
)

func benchLedger(b *testing.B) *Ledger {
	b.Helper()
	l, err := Open(b.Context(), Options{Storage: &certmagic.FileStorage{Path: b.TempDir()}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := l.Close(ctx); err != nil {
			b.Error(err)
		}
	})
	return l
}

func numberedHash(n uint64) (h [32]byte) {
	x := n
	for i := 0; i < 32; i += 8 {
		x += 0x9e3779b97f4a7c15
		z := (x ^ x>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		binary.LittleEndian.PutUint64(h[i:], z^z>>31)
	}
	return h
}

// BenchmarkReserveCommit is what a metered request costs: one token for all, one for each core, a
// thousand tokens.
func BenchmarkReserveCommit(b *testing.B) {
	for _, tokens := range []uint64{1, 2, 1000} {
		b.Run(fmt.Sprintf("tokens=%d", tokens), func(b *testing.B) {
			l := benchLedger(b)
			req := UseRequest{Limit: Amount{Uses: 1 << 50}, Cost: Amount{Uses: 1}}
			for i := range tokens {
				req.Hash = numberedHash(i)
				r, err := l.Reserve(b.Context(), req)
				if err != nil {
					b.Fatal(err)
				}
				r.Release()
			}
			b.ReportAllocs()
			b.ResetTimer()
			var next atomic.Uint64
			b.RunParallel(func(pb *testing.PB) {
				req := req
				ctx := context.Background()
				for n := next.Add(1); pb.Next(); n++ {
					req.Hash = numberedHash(n % tokens)
					r, err := l.Reserve(ctx, req)
					if err == nil {
						err = r.Commit(ctx)
					}
					if err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

// BenchmarkSingleUse is what a payment of one use costs: a claim and a durable commit.
func BenchmarkSingleUse(b *testing.B) {
	l := benchLedger(b)
	var next atomic.Uint64
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		ctx := context.Background()
		for pb.Next() {
			r, err := l.Reserve(ctx, UseRequest{Hash: numberedHash(next.Add(1)), Limit: Amount{Uses: 1}, Cost: Amount{Uses: 1}})
			if err == nil {
				err = r.Commit(ctx)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	l := benchLedger(b)
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := l.Append(context.Background(), "bench", []byte("0123456789abcdef")); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkRecordSettlement(b *testing.B) {
	for _, known := range []bool{true, false} {
		b.Run(fmt.Sprintf("known=%t", known), func(b *testing.B) {
			l := benchLedger(b)
			s := sampleSettlement(1)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if !known {
					s.PaymentHash = numberedHash(uint64(i))
				}
				for {
					_, err := l.RecordSettlement(s)
					if err == nil {
						break
					}
					time.Sleep(time.Millisecond) // faster than the disk: the buffer is full
				}
			}
		})
	}
}

func BenchmarkRevoked(b *testing.B) {
	l := benchLedger(b)
	for i := range uint64(100) {
		h := numberedHash(i)
		if err := l.Revoke(b.Context(), KindToken, fmt.Sprintf("%x", h), time.Time{}); err != nil {
			b.Fatal(err)
		}
	}
	id := numberedHash(1 << 40)
	now := time.Now()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if l.Revoked(id, id, "svc", now) {
				b.Fail()
			}
		}
	})
}

// BenchmarkTenMillion opens and reports over a ledger of LEDGER_SETTLEMENTS settlements, written
// into LEDGER_DIR where they are kept for the next run. It is skipped without them:
//
//	LEDGER_SETTLEMENTS=10000000 LEDGER_DIR=/var/tmp/l go test -run '^$' -bench TenMillion -benchtime 1x
func BenchmarkTenMillion(b *testing.B) {
	n, err := strconv.Atoi(os.Getenv("LEDGER_SETTLEMENTS"))
	dir := os.Getenv("LEDGER_DIR")
	if err != nil || dir == "" {
		b.Skip("needs LEDGER_SETTLEMENTS and LEDGER_DIR")
	}
	s := &certmagic.FileStorage{Path: dir}
	if _, err := os.Stat(filepath.Join(dir, "l402")); err != nil {
		writeMany(b, s, n)
		runtime.GC()
	}
	resetPeak(b)
	for b.Loop() {
		start := time.Now()
		l, err := Open(b.Context(), Options{Storage: s})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(start).Seconds(), "open-s")
		b.ReportMetric(peak(b), "open-MiB")
		start = time.Now()
		rows, err := l.Report(b.Context(), ByDay, Filter{})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(start).Seconds(), "report-s")
		b.ReportMetric(peak(b), "report-MiB")
		var sum int64
		for _, r := range rows {
			sum += r.Payments
		}
		if sum != int64(n) {
			b.Errorf("%d payments in %d rows, want %d", sum, len(rows), n)
		}
		if err := l.Close(b.Context()); err != nil {
			b.Error(err)
		}
	}
}

// writeMany writes n settlements over a year, by three instances, and each tenth twice.
func writeMany(b *testing.B, s certmagic.Storage, n int) {
	o := newObjects(s, "l402", time.Minute)
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	incs := []*incarnation{newIncarnation("a"), newIncarnation("b"), newIncarnation("c")}
	perDay := (n + 364) / 365
	for day := range 365 {
		date := start.AddDate(0, 0, day)
		var records []byte
		count, seq := 0, uint64(day*1000+1)
		flush := func() {
			name := segName{incs[day%3].name, date.Format("20060102"), seq, seq + 9, sufSettlements}
			if err := o.store(b.Context(), o.segment(name), sealSegment(records, count, 1)); err != nil {
				b.Fatal(err)
			}
			records, count, seq = records[:0], 0, seq+10
		}
		for i := day * perDay; i < min(n, (day+1)*perDay); i++ {
			st := sampleSettlement(byte(i))
			st.PaymentHash, st.Time = numberedHash(uint64(i)), date.Add(time.Duration(i%86400)*time.Second)
			st.Service = "service-" + strconv.Itoa(i%10)
			for range 1 + (i+1)%10/9 {
				records = appendRecord(records, recSettlement, st.Time.UnixNano(), st.appendTo(nil))
				count++
			}
			if len(records) > segmentTarget {
				flush()
			}
		}
		if count > 0 {
			flush()
		}
	}
}

// resetPeak makes the kernel forget the greatest resident size; peak reads it in MiB.
func resetPeak(b *testing.B) {
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		b.Log("the peak of memory includes what came before:", err)
	}
}

func peak(b *testing.B) float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.SplitSeq(string(status), "\n") {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "VmHWM:" {
			kb, err := strconv.ParseFloat(f[1], 64)
			if err != nil {
				b.Fatal(err)
			}
			return kb / 1024
		}
	}
	return 0
}
