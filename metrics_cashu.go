package caddyl402

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-l402/caddy-l402/internal/redeem"
)

// ecashCollector reads the purses of the running configuration at each scrape. Purses of one mint and
// unit are added up: the names of tenants are no labels.
type ecashCollector struct{}

var (
	descEcashBalance   = stateDesc("cashu_balance", "Ecash that can be spent, in the unit of the label.", "mint", "unit")
	descEcashPending   = stateDesc("cashu_pending", "Ecash in payments that have not ended.", "mint", "unit")
	descEcashUnswapped = stateDesc("cashu_value_at_risk", "Ecash that was accepted without asking the mint and is not swapped yet.", "mint", "unit")
	descEcashDisputed  = stateDesc("cashu_disputed", "Ecash that the mint took and gave nothing for.", "mint", "unit")
)

// Describe implements prometheus.Collector.
func (ecashCollector) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{descEcashBalance, descEcashPending, descEcashUnswapped, descEcashDisputed} {
		descs <- desc
	}
}

// Collect implements prometheus.Collector.
func (ecashCollector) Collect(out chan<- prometheus.Metric) {
	app, err := activeApp()
	if err != nil {
		return
	}
	type key struct{ mint, unit string }
	sums := make(map[key][4]float64)
	for _, p := range app.allPurses() {
		k := key{p.Mint, p.Unit}
		b, sum := p.Balance, sums[k]
		for i, n := range []uint64{b.Available, b.Reserved, b.Unswapped, b.Disputed} {
			sum[i] += float64(n)
		}
		sums[k] = sum
	}
	for k, sum := range sums {
		for i, desc := range []*prometheus.Desc{descEcashBalance, descEcashPending, descEcashUnswapped, descEcashDisputed} {
			out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, sum[i], k.mint, k.unit)
		}
	}
}

// redeemed counts a redemption that was made, or one that failed.
func (m *metricSet) redeemed(job redeem.Job, paid *redeem.Redemption, _ error) {
	mint, unit := job.Purse.MintURL(), job.Purse.Unit()
	if paid == nil {
		m.redeemFailed.WithLabelValues(mint, unit).Inc()
		return
	}
	m.redemptions.WithLabelValues(mint, unit).Inc()
	m.redeemedSum.WithLabelValues(mint, unit).Add(float64(paid.Amount))
	m.redeemFees.WithLabelValues(mint, unit).Add(float64(paid.Fee))
}

// Guards.
var _ prometheus.Collector = ecashCollector{}
