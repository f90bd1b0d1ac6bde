package caddyl402

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// metrics are made once for the process and registered again with each configuration, whose
// registry is a new one: payments must not seem to start anew at a reload. No label's value is
// chosen by a client.
var metrics = newMetricSet()

type metricSet struct {
	challenges       *prometheus.CounterVec
	probes           *prometheus.CounterVec
	refusals         *prometheus.CounterVec
	paidRequests     *prometheus.CounterVec
	limitedTotal     *prometheus.CounterVec
	unavailables     *prometheus.CounterVec
	settlements      *prometheus.CounterVec
	revenue          *prometheus.CounterVec
	firstUses        *prometheus.CounterVec
	usesSpent        *prometheus.CounterVec
	usesBack         *prometheus.CounterVec
	gifts            *prometheus.CounterVec
	rehearsals       *prometheus.CounterVec
	notices          *prometheus.CounterVec
	redemptions      *prometheus.CounterVec
	redeemedSum      *prometheus.CounterVec
	redeemFees       *prometheus.CounterVec
	redeemFailed     *prometheus.CounterVec
	upstreamSpent    *prometheus.CounterVec
	upstreamPayments *prometheus.CounterVec
	upstreamRefusals *prometheus.CounterVec
	walletCalls      *prometheus.HistogramVec
	walletErrors     *prometheus.CounterVec
	pricerCalls      *prometheus.HistogramVec
	pricerErrors     *prometheus.CounterVec
}

func newMetricSet() *metricSet {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "caddy", Subsystem: "l402", Name: name, Help: help}, labels)
	}
	return &metricSet{
		challenges:       counter("challenges_total", "Fresh invoices offered with a 402.", "service"),
		probes:           counter("probes_total", "Fresh invoices offered to HEAD requests, as health checks and directories send them.", "service"),
		refusals:         counter("refusals_total", "Requests without a valid paid token, by reason.", "service", "code"),
		paidRequests:     counter("paid_requests_total", "Requests that passed with a paid token.", "service"),
		limitedTotal:     counter("limited_requests_total", "Requests answered 429.", "service"),
		unavailables:     counter("unavailable_requests_total", "Requests that no invoice could be made for.", "service"),
		settlements:      counter("settlements_total", "Payments that arrived.", "service", "wallet"),
		revenue:          counter("revenue_msat_total", "Sum of the payments that arrived, in millisatoshi.", "service", "wallet"),
		firstUses:        counter("first_uses_total", "Payments whose token was shown for the first time.", "service"),
		usesSpent:        counter("uses_spent_total", "Requests that spent a part of a payment.", "service"),
		usesBack:         counter("uses_given_back_total", "Requests that held a part of a payment and gave it back.", "service"),
		gifts:            counter("free_requests_total", "Requests of the free tier that passed.", "service"),
		rehearsals:       counter("dry_run_requests_total", "Requests in a dry run, by what would have happened.", "service", "verdict"),
		notices:          counter("notifications_total", "Payments that web servers and event handlers were to be told of, by what came of it.", "result"),
		redemptions:      counter("cashu_redemptions_total", "Payments that a mint made for ecash.", "mint", "unit"),
		redeemedSum:      counter("cashu_redeemed_total", "Sum of these payments, in the unit of the label.", "mint", "unit"),
		redeemFees:       counter("cashu_redemption_fees_total", "What they cost, in the unit of the label.", "mint", "unit"),
		redeemFailed:     counter("cashu_redemption_failures_total", "Attempts to redeem ecash that came to nothing.", "mint", "unit"),
		upstreamSpent:    counter("upstream_spent_msat_total", "What upstreams were paid, with the fees that wallets tell, in millisatoshi.", "wallet"),
		upstreamPayments: counter("upstream_payments_total", "Payments to upstreams, by what came of them.", "wallet", "result"),
		upstreamRefusals: counter("upstream_refusals_total", "Requests answered 502 because an upstream was not paid, by reason.", "wallet", "code"),
		walletCalls: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "caddy", Subsystem: "l402", Name: "wallet_call_duration_seconds",
			Help: "Time that calls to wallets took.", Buckets: prometheus.ExponentialBuckets(0.001, 3, 10),
		}, []string{"wallet", "call"}),
		pricerCalls: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "caddy", Subsystem: "l402", Name: "pricer_call_duration_seconds",
			Help: "Time that price programs took to answer.", Buckets: prometheus.ExponentialBuckets(0.001, 3, 10),
		}, []string{"pricer"}),
		pricerErrors: counter("pricer_errors_total", "Questions that price programs did not answer with a price.", "pricer"),
		walletErrors: counter("wallet_errors_total", "Calls to wallets that failed, by kind.", "wallet", "call", "kind"),
	}
}

// register makes the metrics part of a configuration's registry.
func (m *metricSet) register(registry *prometheus.Registry) error {
	if registry == nil {
		return nil
	}
	for _, collector := range []prometheus.Collector{
		ledgerCollector{}, m.challenges, m.probes, m.refusals, m.paidRequests, m.limitedTotal, m.unavailables, m.settlements,
		m.revenue, m.firstUses, m.usesSpent, m.usesBack, m.gifts, m.rehearsals, m.notices,
		m.upstreamSpent, m.upstreamPayments, m.upstreamRefusals, m.walletCalls, m.walletErrors,
		m.pricerCalls, m.pricerErrors,
		ecashCollector{}, m.redemptions, m.redeemedSum, m.redeemFees, m.redeemFailed,
	} {
		err := registry.Register(collector)
		if already := (prometheus.AlreadyRegisteredError{}); err != nil && !errors.As(err, &already) {
			return fmt.Errorf("registering metrics: %w", err)
		}
	}
	return nil
}

// challenged counts an offer; one to a HEAD request apart, since those seldom mean to pay.
func (m *metricSet) challenged(service, method string) {
	if method == http.MethodHead {
		m.probes.WithLabelValues(service).Inc()
		return
	}
	m.challenges.WithLabelValues(service).Inc()
}

func (m *metricSet) refused(service, code string) { m.refusals.WithLabelValues(service, code).Inc() }
func (m *metricSet) limited(service string)       { m.limitedTotal.WithLabelValues(service).Inc() }
func (m *metricSet) unavailable(service string)   { m.unavailables.WithLabelValues(service).Inc() }
func (m *metricSet) gave(service string)          { m.gifts.WithLabelValues(service).Inc() }
func (m *metricSet) firstUse(service string)      { m.firstUses.WithLabelValues(service).Inc() }
func (m *metricSet) spent(service string)         { m.usesSpent.WithLabelValues(service).Inc() }
func (m *metricSet) givenBack(service string)     { m.usesBack.WithLabelValues(service).Inc() }

func (m *metricSet) notified(result string) { m.notices.WithLabelValues(result).Inc() }

func (m *metricSet) rehearsed(service, verdict string) {
	m.rehearsals.WithLabelValues(service, verdict).Inc()
}

func (m *metricSet) settlement(service, wallet string, msat uint64) {
	m.settlements.WithLabelValues(service, wallet).Inc()
	m.revenue.WithLabelValues(service, wallet).Add(float64(msat))
}

func (m *metricSet) walletCalled(wallet, call string, took time.Duration, err error) {
	m.walletCalls.WithLabelValues(wallet, call).Observe(took.Seconds())
	if err != nil {
		m.walletErrors.WithLabelValues(wallet, call, errorKind(err)).Inc()
	}
}

func (m *metricSet) priced(program string, took time.Duration, err error) {
	m.pricerCalls.WithLabelValues(program).Observe(took.Seconds())
	if err != nil {
		m.pricerErrors.WithLabelValues(program).Inc()
	}
}

// errorKind sorts a wallet's errors into a few kinds.
func errorKind(err error) string {
	for kind, sentinel := range map[string]error{
		"not_found": wallets.ErrNotFound, "unsupported": wallets.ErrLookupUnsupported,
		"amount": wallets.ErrAmount, "unauthorized": wallets.ErrUnauthorized,
		"unavailable": wallets.ErrUnavailable, "rate_limited": wallets.ErrRateLimited,
		"bad_answer": wallets.ErrBadAnswer, "bad_invoice": wallets.ErrBadInvoice,
	} {
		if errors.Is(err, sentinel) {
			return kind
		}
	}
	return "other"
}
