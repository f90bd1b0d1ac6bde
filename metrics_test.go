package caddyl402

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// value reads one counter.
func value(t *testing.T, c prometheus.Counter) float64 {
	t.Helper()
	return testutil.ToFloat64(c)
}

func TestMetricsCountWhatHappens(t *testing.T) {
	const site = "l402 /m/* 10 sat {\n\tservice metered\n\tuses 2\n\tlimit 3 1h\n}\nerror /m/broken 500\ntest_upstream"
	s := serve(t, "wallet play sandbox", site)
	challenges := metrics.challenges.WithLabelValues("metered")
	refused := metrics.refusals.WithLabelValues("metered", "malformed_credential")
	before := value(t, challenges)
	p := s.buy("/m/x")
	s.want(402, "HEAD", "/m/x")
	s.wantCode("malformed_credential", "/m/x", "Authorization", "L402 x:y")
	s.want(429, "GET", "/m/x")
	s.want(200, "GET", "/m/x", "Authorization", p.authorization())
	s.want(500, "GET", "/m/broken", "Authorization", p.authorization())
	for name, check := range map[string]struct {
		counter prometheus.Counter
		want    float64
	}{
		"challenges": {challenges, before + 2},
		"probes":     {metrics.probes.WithLabelValues("metered"), 1},
		"refusals":   {refused, 1},
		"limited":    {metrics.limitedTotal.WithLabelValues("metered"), 1},
		"spent":      {metrics.usesSpent.WithLabelValues("metered"), 1},
		"given back": {metrics.usesBack.WithLabelValues("metered"), 1},
		"revenue":    {metrics.revenue.WithLabelValues("metered", "play"), 10_000},
		"first uses": {metrics.firstUses.WithLabelValues("metered"), 1},
	} {
		if got := value(t, check.counter); got != check.want {
			t.Errorf("%s: got %v, want %v", name, got, check.want)
		}
	}
	// A reload does not start them anew.
	s.reload(s.config("wallet play sandbox", strings.Replace(site, "limit 3", "limit 4", 1)))
	if got := value(t, challenges); got != before+2 {
		t.Errorf("after a reload: %v", got)
	}
}

func TestStateIsCollected(t *testing.T) {
	serve(t, "wallet play sandbox", gated)
	registry := prometheus.NewRegistry()
	if err := metrics.register(registry); err != nil {
		t.Fatal(err)
	}
	if err := metrics.register(registry); err != nil {
		t.Fatal("a second time:", err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		if metric := family.GetMetric()[0]; metric.GetGauge() != nil {
			got[family.GetName()] = metric.GetGauge().GetValue()
		}
	}
	if got["caddy_l402_ledger_up"] != 1 || got["caddy_l402_wallet_up"] != 1 || got["caddy_l402_minting_key_created_timestamp_seconds"] == 0 {
		t.Error(got)
	}
}
