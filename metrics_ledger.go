package caddyl402

import "github.com/prometheus/client_golang/prometheus"

// ledgerCollector reads the state of the running configuration's ledger, wallets and keys at each
// scrape, so that nothing has to be kept up to date for it.
type ledgerCollector struct{}

func stateDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName("caddy", "l402", name), help, labels, nil)
}

var (
	descLedgerUp       = stateDesc("ledger_up", "1 while the ledger is open and keeps what is spent, else 0.")
	descLedgerPending  = stateDesc("ledger_pending_bytes", "Bytes of records that wait to be written.")
	descLedgerLag      = stateDesc("ledger_lag_seconds", "Age of the oldest record that waits to be written.")
	descLedgerCommits  = stateDesc("ledger_commits_total", "Group commits of this process.")
	descLedgerLatency  = stateDesc("ledger_last_commit_duration_seconds", "What the last group commit took.")
	descLedgerLost     = stateDesc("ledger_lost_records_total", "Records that were given up because storage failed too long.")
	descLedgerDamaged  = stateDesc("ledger_damaged_objects_total", "Objects that were found cut or damaged.")
	descLedgerWrites   = stateDesc("ledger_writes_total", "Writes and deletions in the storage.")
	descWalletUp       = stateDesc("wallet_up", "0 while a wallet is left alone after failures, else 1.", "wallet")
	descWalletPremade  = stateDesc("wallet_premade_invoices", "Invoices that were made beforehand and are ready.", "wallet")
	descTenantsOpen    = stateDesc("tenant_wallets_open", "Wallets of tenants that are open.")
	descRate           = stateDesc("exchange_rate", "Price of a bitcoin at the last rate that was believed.", "currency")
	descRateAge        = stateDesc("exchange_rate_age_seconds", "Age of the last rate that was believed.", "currency")
	descRateSources    = stateDesc("exchange_rate_sources", "Sources that agreed on the last rate.", "currency")
	descRateUsable     = stateDesc("exchange_rate_usable", "1 while prices are made of the rate, else 0.", "currency")
	descMintingKeyMade = stateDesc("minting_key_created_timestamp_seconds", "When the key that makes new tokens was made.")
)

// Describe implements prometheus.Collector.
func (ledgerCollector) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{
		descLedgerUp, descLedgerPending, descLedgerLag, descLedgerCommits, descLedgerLatency, descLedgerLost,
		descLedgerDamaged, descLedgerWrites, descWalletUp, descWalletPremade, descTenantsOpen, descMintingKeyMade,
		descRate, descRateAge, descRateSources, descRateUsable,
	} {
		descs <- desc
	}
}

// Collect implements prometheus.Collector.
func (ledgerCollector) Collect(out chan<- prometheus.Metric) {
	app, err := activeApp()
	if err != nil {
		return
	}
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	counter := func(desc *prometheus.Desc, value int64) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(value))
	}
	for name, w := range app.open {
		if w.cashier == nil {
			continue
		}
		gauge(descWalletUp, boolean(w.cashier.Healthy()), name)
		gauge(descWalletPremade, float64(w.cashier.Premade()), name)
	}
	gauge(descTenantsOpen, float64(app.tenants.count()))
	if keys := app.keys.Keys(); len(keys) > 0 && !keys[0].Created.IsZero() {
		gauge(descMintingKeyMade, float64(keys[0].Created.Unix()))
	}
	for _, state := range app.exchange.states() {
		currency := string(state.Currency)
		gauge(descRateUsable, boolean(state.Usable), currency)
		if state.Age >= 0 {
			gauge(descRate, state.PerBTC, currency)
			gauge(descRateAge, state.Age.Seconds(), currency)
			gauge(descRateSources, float64(state.Sources), currency)
		}
	}
	book := app.books.Ledger()
	if book == nil {
		gauge(descLedgerUp, 0)
		return
	}
	stats := book.Stats()
	gauge(descLedgerUp, boolean(!stats.Degraded))
	gauge(descLedgerPending, float64(stats.Pending))
	gauge(descLedgerLag, stats.Lag.Seconds())
	counter(descLedgerCommits, stats.Commits)
	gauge(descLedgerLatency, stats.CommitLatency.Seconds())
	counter(descLedgerLost, stats.Lost)
	counter(descLedgerDamaged, stats.Damaged)
	counter(descLedgerWrites, stats.Writes)
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Guards.
var _ prometheus.Collector = ledgerCollector{}
