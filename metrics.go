package caddyl402

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// metrics are made once for the process and registered again with each configuration, whose
// registry is a new one: payments must not seem to start anew at a reload. No label's value is
// chosen by a client.
var metrics = newMetricSet()

type metricSet struct {
	challenges   *prometheus.CounterVec
	refusals     *prometheus.CounterVec
	paidRequests *prometheus.CounterVec
	limitedTotal *prometheus.CounterVec
	unavailables *prometheus.CounterVec
	settlements  *prometheus.CounterVec
	walletCalls  *prometheus.HistogramVec
	walletErrors *prometheus.CounterVec
}

func newMetricSet() *metricSet {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "caddy", Subsystem: "l402", Name: name, Help: help}, labels)
	}
	return &metricSet{
		challenges:   counter("challenges_total", "Fresh invoices offered with a 402.", "service"),
		refusals:     counter("refusals_total", "Requests without a valid paid token, by reason.", "service", "code"),
		paidRequests: counter("paid_requests_total", "Requests that passed with a paid token.", "service"),
		limitedTotal: counter("limited_requests_total", "Requests answered 429.", "service"),
		unavailables: counter("unavailable_requests_total", "Requests that no invoice could be made for.", "service"),
		settlements:  counter("settlements_total", "Payments that wallets reported.", "wallet"),
		walletCalls: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "caddy", Subsystem: "l402", Name: "wallet_call_duration_seconds",
			Help: "Time that calls to wallets took.", Buckets: prometheus.ExponentialBuckets(0.001, 3, 10),
		}, []string{"wallet", "call"}),
		walletErrors: counter("wallet_errors_total", "Calls to wallets that failed, by kind.", "wallet", "call", "kind"),
	}
}

// register makes the metrics part of a configuration's registry.
func (m *metricSet) register(registry *prometheus.Registry) error {
	if registry == nil {
		return nil
	}
	for _, collector := range []prometheus.Collector{
		m.challenges, m.refusals, m.paidRequests, m.limitedTotal, m.unavailables, m.settlements,
		m.walletCalls, m.walletErrors,
	} {
		err := registry.Register(collector)
		if already := (prometheus.AlreadyRegisteredError{}); err != nil && !errors.As(err, &already) {
			return fmt.Errorf("registering metrics: %w", err)
		}
	}
	return nil
}

func (m *metricSet) challenged(service string)    { m.challenges.WithLabelValues(service).Inc() }
func (m *metricSet) refused(service, code string) { m.refusals.WithLabelValues(service, code).Inc() }
func (m *metricSet) paid(service string)          { m.paidRequests.WithLabelValues(service).Inc() }
func (m *metricSet) limited(service string)       { m.limitedTotal.WithLabelValues(service).Inc() }
func (m *metricSet) unavailable(service string)   { m.unavailables.WithLabelValues(service).Inc() }
func (m *metricSet) settled(wallet string)        { m.settlements.WithLabelValues(wallet).Inc() }

func (m *metricSet) walletCalled(wallet, call string, took time.Duration, err error) {
	m.walletCalls.WithLabelValues(wallet, call).Observe(took.Seconds())
	if err != nil {
		m.walletErrors.WithLabelValues(wallet, call, errorKind(err)).Inc()
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
