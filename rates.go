package caddyl402

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/internal/rates"
)

// RateSettings say where exchange rates come from and which are believed. All fields may be empty.
type RateSettings struct {
	// The sources, all of which are asked. Default: `coinbase`, `kraken`, `bitstamp` and
	// `coingecko`.
	Sources []*RateSource `json:"sources,omitempty"`

	// How many sources must agree. Default: 2, or 1 where only one source is for the currency.
	MinSources int `json:"min_sources,omitempty"`

	// How long a rate is used while the sources fail, and how old a source's own time of its
	// price may be. Default: 10m.
	MaxAge caddy.Duration `json:"max_age,omitempty"`

	// How far sources that agree may be apart, such as "5%". Default: 5%.
	MaxSpread string `json:"max_spread,omitempty"`

	// How far a rate may be from the one before it. One that is farther is used when it was seen
	// three times in a row. Default: 20%.
	MaxChange string `json:"max_change,omitempty"`

	// How often the sources are asked while rates are in use. Default: 1m.
	Refresh caddy.Duration `json:"refresh,omitempty"`

	// How long a source may take to answer. Default: 5s.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// What prices are rounded up to: "sat", or "msat" for wallets that can make invoices of parts
	// of a satoshi. Default: sat.
	Round string `json:"round,omitempty"`
}

// RateSource is a web server that tells what a bitcoin costs.
type RateSource struct {
	// The name of a public server that is known, and else any name, for logs. Required.
	Name string `json:"name,omitempty"`

	// The address of a JSON document, for a server of another name; {CUR} and {cur} stand for the
	// code of the currency. Placeholders such as {env.KEY} are replaced when the configuration is
	// loaded.
	URL string `json:"url,omitempty"`

	// Where the price of one bitcoin stands in the document, such as "data.0.{cur}": names of
	// members and indexes of elements; a star stands for an only one.
	Path string `json:"path,omitempty"`

	// Where the time of the price stands, in seconds since 1970; a price that is too old is left
	// out. Default: the server is believed to give present ones.
	TimePath string `json:"time_path,omitempty"`

	// The currency that the source is for, if URL and path depend on none.
	Currency string `json:"currency,omitempty"`
}

// exchange is the part of an App that knows rates. Nobody is asked for them before some route or
// page needs one.
type exchange struct {
	sources  []rates.Source
	settings rates.Settings
	unit     lnwire.MilliSatoshi
	show     rates.Currency // what pages show prices in besides; empty for none

	market *rates.Market // nil until something uses it
	host   *rates.Host   // set while the app runs
}

// provisionRates reads the settings; it takes nothing from the pool yet.
func (a *App) provisionRates() error {
	x := &a.exchange
	*x = exchange{sources: rates.DefaultSources(), unit: rates.WholeSat}
	if a.ShowFiat != "" {
		var err error
		if x.show, err = rates.ParseCurrency(a.ShowFiat); err != nil {
			return fmt.Errorf("show_fiat: %w", err)
		}
	}
	if s := a.Rates; s != nil {
		if err := s.read(x); err != nil {
			return fmt.Errorf("rates: %w", err)
		}
	}
	if x.show != "" {
		if err := a.useRates(x.show); err != nil {
			return fmt.Errorf("show_fiat: %w", err)
		}
	}
	return nil
}

func (s *RateSettings) read(x *exchange) (err error) {
	if len(s.Sources) > 0 {
		x.sources = nil
	}
	for _, source := range s.Sources {
		read, err := source.read()
		if err != nil {
			return err
		}
		x.sources = append(x.sources, read)
	}
	x.settings = rates.Settings{
		MinSources: s.MinSources, MaxAge: time.Duration(s.MaxAge), Refresh: time.Duration(s.Refresh), Timeout: time.Duration(s.Timeout),
	}
	for _, bound := range []struct {
		name, text string
		into       **big.Rat
	}{{"max_spread", s.MaxSpread, &x.settings.MaxSpread}, {"max_change", s.MaxChange, &x.settings.MaxChange}} {
		if bound.text == "" {
			continue
		}
		if *bound.into, err = rates.ParsePercent(bound.text); err != nil {
			return fmt.Errorf("%s: %w", bound.name, err)
		}
	}
	switch s.Round {
	case "", "sat":
	case "msat":
		x.unit = rates.WholeMsat
	default:
		return fmt.Errorf("round %q is neither sat nor msat", s.Round)
	}
	return x.settings.Check(x.sources)
}

func (s *RateSource) read() (rates.Source, error) {
	if preset, ok := rates.Preset(s.Name); ok && s.URL == "" && s.Path == "" {
		return preset, nil
	}
	if s.URL == "" || s.Path == "" {
		return rates.Source{}, fmt.Errorf("source %q has no URL and path, and is none of those that are known: %s",
			s.Name, strings.Join(rates.PresetNames(), ", "))
	}
	source := rates.Source{
		Name: s.Name, URL: caddy.NewReplacer().ReplaceKnown(s.URL, ""), Path: rates.Path(s.Path), TimePath: rates.Path(s.TimePath),
	}
	if s.Currency != "" {
		var err error
		if source.Currency, err = rates.ParseCurrency(s.Currency); err != nil {
			return rates.Source{}, fmt.Errorf("source %s: %w", s.Name, err)
		}
	}
	return source, source.Check()
}

// useRates makes sure that there will be rates of a currency. It asks nobody for them yet.
func (a *App) useRates(c rates.Currency) error {
	if err := a.exchange.settings.Serves(a.exchange.sources, c); err != nil {
		return err
	}
	return a.openMarket()
}

// openMarket takes the market for the configured sources from the pool: rates outlive reloads.
func (a *App) openMarket() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.exchange.market != nil {
		return nil
	}
	id := rates.ID(a.exchange.sources)
	value, _, err := markets.LoadOrNew(id, func() (caddy.Destructor, error) { return rates.New(a.exchange.sources, nil), nil })
	if err != nil {
		return err
	}
	a.pooled = append(a.pooled, pooled{markets, id})
	a.exchange.market = value.(*rates.Market)
	return nil
}

// startRates lets the market ask its sources.
func (a *App) startRates() {
	x := &a.exchange
	if x.market != nil {
		x.host = &rates.Host{Settings: x.settings, Logger: a.logger.Named("rates")}
		x.market.Attach(x.host)
	}
}

// stopRates ends that, unless another configuration goes on with the same sources.
func (a *App) stopRates() {
	if x := &a.exchange; x.host != nil {
		x.market.Detach(x.host)
		x.host = nil
	}
}

// about says what a price is worth in the currency that pages show, and nothing where no rate is at
// hand: nobody waits for one.
func (x *exchange) about(price lnwire.MilliSatoshi, c rates.Currency) string {
	if c == "" {
		c = x.show
	}
	if x.market == nil || c == "" {
		return ""
	}
	rate, ok := x.market.Peek(c)
	if !ok {
		return ""
	}
	return rate.Worth(price)
}

// errPricedTooHigh says that an amount is more than all bitcoins.
var errPricedTooHigh = errors.New("the price is more than all bitcoins")

// states are those of the rates that the running configuration uses, for metrics.
func (x *exchange) states() []rates.State {
	if x.market == nil {
		return nil
	}
	return slices.DeleteFunc(x.market.States(), func(s rates.State) bool {
		return !s.InUse || x.settings.Serves(x.sources, s.Currency) != nil
	})
}
