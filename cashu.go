package caddyl402

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/internal/pricing"
	"github.com/caddy-l402/caddy-l402/internal/purses"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/ecash"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/mint"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

// Cashu says whose ecash is taken as payment (NUT-24).
type Cashu struct {
	// The mints whose ecash is taken, such as "https://mint.example.com"; at least one. No other
	// mint is ever contacted, whatever a token says.
	Mints []string `json:"mints,omitempty"`

	// The unit of the ecash, "sat" or "msat". Default: "sat".
	Unit string `json:"unit,omitempty"`

	// The words (BIP 39) that the ecash can be restored from; whoever has them has the money.
	// Placeholders such as {env.CASHU_SEED} are replaced. Default: words that are generated
	// once and kept in Caddy's storage.
	Seed string `json:"seed,omitempty"`

	// Takes ecash that is locked to this server without asking the mint, within bounds.
	P2PK *CashuP2PK `json:"p2pk,omitempty"`

	// Asks for ecash in the newer encoding (NUT-26) too.
	RequestB bool `json:"request_b,omitempty"`

	// The longest that taking ecash may hold up a request. Default: 15s.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// How much of a mint's input fee (NUT-02) this server bears for a payment, such as "1 sat";
	// what is more the payer has to add. Default: "1 sat".
	MaxFee string `json:"max_fee,omitempty"`

	// Refuses ecash without proofs that the mint signed it (NUT-12). Made-up ecash then costs
	// no call to the mint; but many wallets leave these proofs out.
	RequireDLEQ bool `json:"require_dleq,omitempty"`

	// Where the ecash goes that was taken. Default: it stays in Caddy's storage.
	RedeemTo *Redemption `json:"redeem_to,omitempty"`
}

// CashuP2PK bounds what is taken without asking the mint. It is what a payer could get for nothing
// from a mint that signs ecash twice, or with the help of another server with the same seed.
type CashuP2PK struct {
	// The most that may wait to be swapped, such as "10000 sat". Required.
	MaxValue string `json:"max_value,omitempty"`

	// For how long at most ecash may wait; while some is older, the mint is asked first again.
	// A lock must keep the payer out for as long. Default: 1h.
	MaxAge caddy.Duration `json:"max_age,omitempty"`
}

const (
	unitSat, unitMsat = "sat", "msat"

	defaultCashuTimeout = 15 * time.Second
	defaultCashuAge     = time.Hour
	maxCashuMints       = 32
	// maxCashing bounds the payments that wait for a mint at the same time. It is for each mint, so
	// that one that hangs keeps nobody from paying with ecash of another.
	maxCashing = 256
)

// till takes ecash. It belongs to an app.
type till struct {
	house   *purses.House
	lender  *purses.Host
	mints   []string
	unit    string
	maxFee  uint64
	timeout time.Duration
	second  bool // the request in version B too

	offline  bool
	maxValue uint64
	maxAge   time.Duration

	cashing map[string]chan struct{} // by mint
}

// provisionCashu checks the settings. Nothing is dialed.
func (a *App) provisionCashu() (err error) {
	c := a.Cashu
	if c == nil {
		return nil
	}
	setDefault(&c.Unit, unitSat)
	setDefault(&c.Timeout, caddy.Duration(defaultCashuTimeout))
	setDefault(&c.MaxFee, "1 sat")
	t := &till{unit: c.Unit, timeout: time.Duration(c.Timeout), second: c.RequestB, cashing: make(map[string]chan struct{})}
	switch {
	case c.Unit != unitSat && c.Unit != unitMsat:
		return fmt.Errorf("unit %q: use sat or msat", c.Unit)
	case len(c.Mints) == 0:
		return errors.New("no mint: name at least one whose ecash is taken, such as `mint https://mint.example.com`")
	case len(c.Mints) > maxCashuMints:
		return fmt.Errorf("%d mints: name at most %d", len(c.Mints), maxCashuMints)
	case t.timeout < time.Second:
		return fmt.Errorf("timeout %v is too short: use at least 1s", t.timeout)
	}
	for _, address := range c.Mints {
		normal, err := token.NormalizeMint(address)
		if err == nil {
			var client *mint.Client // says what an address must be like; it dials nothing
			if client, err = mint.New(mint.Config{URL: normal}); err == nil {
				err = client.Close()
			}
		}
		if err != nil {
			return fmt.Errorf("mint %q: %w", address, err)
		}
		if slices.Contains(t.mints, normal) {
			return fmt.Errorf("mint %q is named twice", address)
		}
		t.mints = append(t.mints, normal)
		t.cashing[normal] = make(chan struct{}, maxCashing)
	}
	if t.maxFee, err = t.setting("max_fee", c.MaxFee); err != nil {
		return err
	}
	if err := t.setOffline(c.P2PK); err != nil {
		return err
	}
	seed, err := cashuSeed(c.Seed)
	if err != nil {
		return err
	}
	for name, w := range a.open {
		// Each counts what it derived from the seed for itself, so that two would make the same
		// secrets.
		if m, ok := w.guest.(interface{ HasSeed(words string) bool }); ok && m.HasSeed(seed) {
			return fmt.Errorf("the seed is that of wallet %q, too: give each its own", name)
		}
	}
	t.house = purses.For(a.ctx.Storage())
	// A call to the mint, and what is asked after one that failed, fit into the time together.
	t.lender = &purses.Host{
		Storage: a.ctx.Storage(), Logger: a.logger.Named("cashu"), Mints: t.mints, Seed: seed,
		Timeout: t.timeout * 2 / 3, Patience: t.timeout / 3, RequireDLEQ: c.RequireDLEQ,
	}
	for _, address := range t.mints {
		t.lender.Open = append(t.lender.Open, purses.Key{Mint: address, Unit: t.unit})
	}
	a.till = t
	return nil
}

// cashuSeed fills the seed in and checks it.
func cashuSeed(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	words, err := caddy.NewReplacer().ReplaceOrErr(text, true, true)
	if err != nil {
		return "", fmt.Errorf("seed: %w", err)
	}
	if _, err := ecash.NewSeed(words); err != nil {
		return "", fmt.Errorf("seed: %w", err)
	}
	return words, nil
}

func (t *till) setOffline(p *CashuP2PK) (err error) {
	if p == nil {
		return nil
	}
	if p.MaxValue == "" {
		return errors.New("p2pk has no max_value: say how much ecash may wait to be swapped, such as `max_value 10000 sat`")
	}
	if t.maxValue, err = t.setting("p2pk max_value", p.MaxValue); err != nil {
		return err
	}
	setDefault(&p.MaxAge, caddy.Duration(defaultCashuAge))
	if t.maxAge = time.Duration(p.MaxAge); t.maxAge < time.Minute {
		return fmt.Errorf("p2pk max_age %v is too short: use at least 1m", t.maxAge)
	}
	t.offline = true
	return nil
}

// setting reads an amount in the till's unit.
func (t *till) setting(name, text string) (uint64, error) {
	value, err := pricing.ParseText(text)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	amount, ok := t.amount(value)
	if !ok {
		return 0, fmt.Errorf("%s %q is no whole number of %s", name, text, t.unit)
	}
	return amount, nil
}

// amount gives a price in the till's unit, or false where it is not a whole number of it.
func (t *till) amount(price lnwire.MilliSatoshi) (uint64, bool) {
	if t.unit == unitMsat {
		return uint64(price), price > 0
	}
	return uint64(price / 1000), price > 0 && price%1000 == 0
}

// worth is an amount in the till's unit in millisatoshi.
func (t *till) worth(amount uint64) uint64 {
	if t.unit == unitMsat {
		return amount
	}
	return amount * 1000
}

// startCashu opens the purses in the background; the ledger is attached.
func (a *App) startCashu() {
	if a.till == nil {
		return
	}
	a.till.lender.Network = a.ecashNetwork()
	a.till.house.Attach(a.till.lender)
}

// stopCashu gives the purses back, while the ledger is still attached.
func (a *App) stopCashu() {
	if a.till != nil {
		a.till.house.Detach(a.till.lender)
	}
}

// provisionCashu decides whether the route takes ecash.
func (h *Handler) provisionCashu() error {
	named := len(h.Credentials) > 0
	switch {
	case h.Cashu == "off" || h.Cashu == "" && (h.app.till == nil || named && !h.takesCashu):
		return nil
	case h.app.till == nil:
		return errors.New("cashu on: no mint is named whose ecash could be taken: add `cashu { mint https://… }` to the global l402 options")
	case named && !h.takesCashu:
		return errors.New("cashu on: the credentials that are accepted leave ecash out: add cashu to `credentials`")
	}
	if _, ok := h.app.till.amount(h.price); !ok && h.tariff == nil {
		return fmt.Errorf("price %q cannot be paid with ecash in %s: use a price in whole %[2]s, the unit msat for ecash, or `cashu off`",
			h.Price, h.app.till.unit)
	}
	h.till = h.app.till
	return nil
}
