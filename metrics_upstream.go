package caddyl402

import "github.com/caddy-l402/caddy-l402/internal/buyer"

// purchases counts what is bought of upstreams with a wallet.
func (m *metricSet) purchases(wallet string) buyer.Events {
	return buyer.Events{
		Paid:    func(msat uint64) { m.upstreamSpent.WithLabelValues(wallet).Add(float64(msat)) },
		Payment: func(result string) { m.upstreamPayments.WithLabelValues(wallet, result).Inc() },
		Refused: func(code string) { m.upstreamRefusals.WithLabelValues(wallet, code).Inc() },
	}
}
