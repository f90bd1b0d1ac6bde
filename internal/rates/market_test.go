package rates

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// exchange is the transport of a market: a server for each host, without a network.
type exchange struct {
	mu     sync.Mutex
	prices map[string]string // by host; what is missing fails
	hangs  bool
	asked  atomic.Int64
}

func (e *exchange) set(prices map[string]string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.prices = prices
}

func (e *exchange) RoundTrip(r *http.Request) (*http.Response, error) {
	e.asked.Add(1)
	e.mu.Lock()
	price, hangs := e.prices[r.URL.Host], e.hangs
	e.mu.Unlock()
	if hangs {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	rec := httptest.NewRecorder()
	if price == "" {
		http.Error(rec, "closed", http.StatusServiceUnavailable)
	} else {
		fmt.Fprintf(rec, `{"price":%q}`, price)
	}
	return rec.Result(), nil
}

func newMarket(t *testing.T, hosts ...string) (*Market, *exchange, *Host) {
	var sources []Source
	for _, host := range hosts {
		sources = append(sources, Source{Name: host, URL: "https://" + host + "/{CUR}", Path: "price"})
	}
	e := &exchange{prices: make(map[string]string)}
	for _, host := range hosts {
		e.prices[host] = "100"
	}
	m := New(sources, e)
	h := &Host{Logger: zap.NewNop()}
	m.Attach(h)
	t.Cleanup(func() { m.Detach(h) })
	return m, e, h
}

func wantRate(t *testing.T, m *Market, want string) {
	t.Helper()
	r, err := m.Rate(t.Context(), "USD")
	if err != nil || r.PerBTC.RatString() != want {
		t.Fatalf("got %v, %v; want %s", r.PerBTC, err, want)
	}
}

func wantNone(t *testing.T, m *Market, is error) {
	t.Helper()
	if r, err := m.Rate(t.Context(), "USD"); !errors.Is(err, ErrNoRate) || !errors.Is(err, is) {
		t.Fatalf("got %v, %v; want %v", r.PerBTC, err, is)
	}
}

func TestMarketAsksOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, e, h := newMarket(t, "a", "b", "c")
		defer m.Detach(h)
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { wantRate(t, m, "100") })
		}
		all.Wait()
		if n := e.asked.Load(); n != 3 {
			t.Errorf("%d questions for 50 who ask", n)
		}
		wantRate(t, m, "100")
		if n := e.asked.Load(); n != 3 {
			t.Errorf("%d questions", n)
		}
	})
}

func TestMarketRefreshesWhileUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, e, h := newMarket(t, "a", "b", "c")
		defer m.Detach(h)
		wantRate(t, m, "100")
		e.set(map[string]string{"a": "101", "b": "101", "c": "101"})
		time.Sleep(DefaultRefresh + time.Second)
		wantRate(t, m, "101")
		time.Sleep(keepFor + 5*DefaultRefresh)
		idle := e.asked.Load()
		if idle < 24 || idle > 45 {
			t.Errorf("%d questions", idle)
		}
		time.Sleep(24 * time.Hour)
		if n := e.asked.Load(); n != idle {
			t.Errorf("%d questions while nobody asks", n-idle)
		}
		e.set(map[string]string{"a": "102", "b": "102", "c": "102"})
		wantRate(t, m, "102")
	})
}

func TestMarketOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, e, h := newMarket(t, "a", "b", "c")
		defer m.Detach(h)
		wantRate(t, m, "100")
		e.set(nil)
		for range int(DefaultMaxAge / time.Minute) {
			time.Sleep(time.Minute)
			wantRate(t, m, "100")
		}
		time.Sleep(time.Minute)
		wantNone(t, m, ErrStale)
		before := e.asked.Load()
		for range 100 {
			wantNone(t, m, ErrStale)
		}
		if n := e.asked.Load() - before; n > 3 {
			t.Errorf("%d questions for those who come to nothing", n)
		}
		e.set(map[string]string{"a": "101", "b": "101"})
		time.Sleep(retryAfter)
		wantRate(t, m, "101")
	})
}

func TestMarketDisagreement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, e, h := newMarket(t, "a", "b")
		defer m.Detach(h)
		wantRate(t, m, "100")
		e.set(map[string]string{"a": "100", "b": "150"})
		time.Sleep(DefaultRefresh + time.Second)
		wantNone(t, m, ErrDisagree)
		e.set(map[string]string{"a": "100", "b": "102"})
		time.Sleep(DefaultRefresh)
		wantRate(t, m, "101")
	})
}

func TestMarketJump(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, e, h := newMarket(t, "a", "b")
		defer m.Detach(h)
		wantRate(t, m, "100")
		e.set(map[string]string{"a": "200", "b": "200"})
		time.Sleep(DefaultRefresh + time.Second)
		before := e.asked.Load()
		for range 100 { // many who ask confirm nothing
			wantNone(t, m, ErrJump)
			time.Sleep(100 * time.Millisecond)
		}
		if n := e.asked.Load() - before; n != 0 {
			t.Errorf("%d questions", n)
		}
		time.Sleep(DefaultRefresh)
		wantNone(t, m, ErrJump)
		time.Sleep(DefaultRefresh)
		wantRate(t, m, "200") // confirmed in the background
	})
}

func TestMarketOldPrices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := new(exchange)
		sources := []Source{{Name: "a", URL: "https://a/{CUR}", Path: "price", TimePath: "price"}}
		m, h := New(sources, e), &Host{Logger: zap.NewNop()}
		m.Attach(h)
		defer m.Detach(h)
		for name, at := range map[string]time.Time{
			"too old": time.Now().Add(-DefaultMaxAge - time.Minute), "of the future": time.Now().Add(DefaultMaxAge + time.Minute),
		} {
			e.set(map[string]string{"a": fmt.Sprint(at.Unix())})
			wantNone(t, m, ErrStale)
			t.Log(name)
			time.Sleep(retryAfter)
		}
		e.set(map[string]string{"a": fmt.Sprint(time.Now().Unix())})
		if _, err := m.Rate(t.Context(), "USD"); err != nil {
			t.Error(err)
		}
	})
}

func TestMarketDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, e, h := newMarket(t, "a", "b")
		defer m.Detach(h)
		e.hangs = true
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		_, err := m.Rate(ctx, "USD")
		if !errors.Is(err, ErrNoRate) || !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Second {
			t.Errorf("got %v after %s", err, time.Since(begin))
		}
		wantNone(t, m, ErrStale) // the sources' own deadline
		if took := time.Since(begin); took != DefaultTimeout {
			t.Errorf("took %s", took)
		}
	})
}

func TestMarketPeek(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, e, h := newMarket(t, "a")
		defer m.Detach(h)
		if _, ok := m.Peek("USD"); ok {
			t.Error("a rate out of nowhere")
		}
		synctest.Wait()
		if r, ok := m.Peek("USD"); !ok || r.PerBTC.RatString() != "100" {
			t.Errorf("got %v, %t", r, ok)
		}
		if n := e.asked.Load(); n != 1 {
			t.Errorf("%d questions", n)
		}
	})
}

func TestMarketWithoutHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, e, h := newMarket(t, "a")
		m.Detach(h)
		m.Detach(h) // a second time does nothing
		if _, err := m.Rate(t.Context(), "USD"); !errors.Is(err, ErrNoRate) {
			t.Error(err)
		}
		if _, ok := m.Peek("USD"); ok || e.asked.Load() != 0 {
			t.Error("a market asked for nobody")
		}
		m.Attach(h)
		wantRate(t, m, "100")
		m.Detach(h)
		wantRate(t, m, "100") // a request of the configuration before, while the rate is new enough
		if err := m.Destruct(); err != nil {
			t.Error(err)
		}
	})
}

func TestMarketReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, e, old := newMarket(t, "a", "b")
		wantRate(t, m, "100")
		fresh := &Host{Logger: zap.NewNop(), Settings: Settings{Refresh: 2 * time.Second}}
		m.Attach(fresh)
		m.Detach(old)
		before := e.asked.Load()
		time.Sleep(time.Minute)
		if n := e.asked.Load() - before; n < 50 || n > 64 {
			t.Errorf("%d questions in a minute at one each two seconds to two sources", n)
		}
		m.Detach(fresh)
	})
}

func TestMarketUnknownCurrency(t *testing.T) {
	m := New([]Source{{Name: "a", URL: "https://a/usd", Path: "price", Currency: "USD"}}, new(exchange))
	if _, err := m.Rate(t.Context(), "EUR"); !errors.Is(err, ErrNoRate) || !errors.Is(err, ErrCurrency) {
		t.Error(err)
	}
	if _, ok := m.Peek("EUR"); ok || len(m.States()) != 0 {
		t.Error("a currency without a source is kept")
	}
}

func TestMarketStatesAndLogs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zapcore.DebugLevel)
		m, e, plain := newMarket(t, "a", "b", "c")
		h := &Host{Logger: zap.New(core)}
		m.Attach(h)
		defer m.Detach(plain)
		defer m.Detach(h)
		e.set(map[string]string{"a": "100", "b": "100", "c": "900"})
		wantRate(t, m, "100")
		states := m.States()
		if len(states) != 1 || states[0].Currency != "USD" || states[0].PerBTC != 100 || states[0].Sources != 2 || !states[0].Usable || !states[0].InUse || states[0].Err != nil {
			t.Errorf("got %+v", states)
		}
		e.set(nil)
		time.Sleep(time.Hour)
		states = m.States()
		if len(states) != 1 || states[0].Usable || states[0].InUse || !errors.Is(states[0].Err, ErrStale) || states[0].Age < 59*time.Minute {
			t.Errorf("got %+v", states)
		}
		e.set(map[string]string{"a": "100", "b": "100", "c": "100"})
		wantRate(t, m, "100")
		want := map[string]int{
			"source of exchange rates is far from the others and left out": 1, "source of exchange rates fails": 3,
			"exchange rate cannot be renewed": 1, "source of exchange rates is believed again": 3, "exchange rate is known again": 1,
		}
		for message, n := range want {
			if got := logs.FilterMessage(message).Len(); got != n {
				t.Errorf("%q was logged %d times, want %d", message, got, n)
			}
		}
		if m.RetryAfter() != time.Minute {
			t.Errorf("retry after %s", m.RetryAfter())
		}
	})
}
