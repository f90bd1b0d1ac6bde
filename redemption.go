package caddyl402

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/lightningnetwork/lnd/lnwire"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/internal/cashier"
	"github.com/caddy-l402/caddy-l402/internal/redeem"
	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
	"github.com/caddy-l402/caddy-l402/wallets/lnurl"
)

// Redemption says where the ecash goes that was taken: the mint pays an invoice of one's own with it.
// It is redeemed when a purse holds more than `above`, or on schedule where `every` is given.
type Redemption struct {
	// Who is paid: the name of a declared wallet, a Lightning address such as shop@example.com,
	// or an LNURL. In an address there may be placeholders that each request fills in, such as
	// {http.vars.ln_address}: then the ecash of each payee is kept in a purse of its own, and
	// goes to him. Required.
	To string `json:"to,omitempty"`

	// Redeem what a purse holds when it is more than this, such as "10000 sat"; "0" is never.
	// Default: 10000 sat, and with every, never.
	Above string `json:"above,omitempty"`

	// Redeem each time this has passed.
	Every caddy.Duration `json:"every,omitempty"`

	// The smallest payment. Default: 100 sat.
	Min string `json:"min,omitempty"`

	// The most that Lightning may cost: a part of the payment, an amount, or both, which are
	// added up. A mint that wants to set more aside is not made to pay. Default: "1% 10 sat".
	MaxFee string `json:"max_fee,omitempty"`

	// What stays in each purse. Default: nothing.
	Keep string `json:"keep,omitempty"`
}

// Defaults of a Redemption.
const (
	defaultAbove  = "10000 sat"
	defaultMin    = "100 sat"
	defaultMaxFee = "1% 10 sat"
)

// redemption is a provisioned Redemption.
type redemption struct {
	app   *App
	rules redeem.Rules
	// name is what the operator calls the target; wallet is the declared wallet of that name, or
	// nil.
	name   string
	wallet *openWallet
	// payee is the Lightning address where there is no wallet that is open.
	payee *lnurl.Payee
}

// provisionRedeem checks the settings, when the wallets are open and the mints known.
func (a *App) provisionRedeem() (err error) {
	if a.Cashu == nil || a.Cashu.RedeemTo == nil {
		return nil
	}
	if a.redemption, err = a.newRedemption(a.Cashu.RedeemTo, a.mints(), a.ecashNetwork()); err != nil {
		return fmt.Errorf("cashu: %w", err)
	}
	return nil
}

// newRedemption reads a Redemption. mints are those that ecash is taken from, network is that of
// their invoices.
func (a *App) newRedemption(s *Redemption, mints []string, network wallets.Network) (*redemption, error) {
	r := &redemption{app: a}
	if err := s.readRules(&r.rules); err != nil {
		return nil, err
	}
	to := strings.TrimSpace(caddy.NewReplacer().ReplaceKnown(s.To, ""))
	if to == "" {
		return nil, errors.New("redeem_to is empty: name a wallet, or give a Lightning address such as shop@example.com")
	}
	r.name, r.wallet = to, a.open[to]
	if r.wallet != nil {
		if err := r.checkWallet(mints); err != nil {
			return nil, fmt.Errorf("redeem_to %q: %w", to, err)
		}
	} else {
		if !strings.ContainsAny(to, "@:{}") && !strings.HasPrefix(strings.ToLower(to), "lnurl1") {
			return nil, fmt.Errorf("redeem_to %q: no wallet of this name is declared, and it is no Lightning address such as "+
				"shop@example.com; the wallets are: %s", to, a.walletNames())
		}
		r.payee = &lnurl.Payee{Address: to, NetworkName: string(network)}
		if err := r.payee.Provision(a.ctx); err != nil {
			return nil, fmt.Errorf("redeem_to: %w (for settings of its own, declare a wallet lnurl with this address and name that)", err)
		}
		if !strings.Contains(to, "@") || strings.Contains(to, "://") {
			r.name = "an LNURL" // it may hold a secret
		}
	}
	if r.network() != network {
		return nil, fmt.Errorf("redeem_to %q: its invoices are for %s, and the mints are on %s", r.name, r.network(), network)
	}
	return r, a.joinTenants()
}

// checkWallet refuses wallets that no mint can pay.
func (r *redemption) checkWallet(mints []string) error {
	guest := r.wallet.guest
	if adapterOf(guest) == "bolt12" {
		return errors.New("mints pay BOLT 11 invoices, and this wallet makes BOLT 12 ones: name another wallet, or a Lightning address")
	}
	for _, m := range mints {
		if sameMint(guest, m) {
			return fmt.Errorf("its ecash is of %s too, so that nothing would change but the fees: name a wallet with "+
				"a node behind it, or a Lightning address", m)
		}
	}
	if r.wallet.cashier == nil {
		payee, ok := guest.(*lnurl.Payee)
		if !ok {
			return errors.New("requests fill this wallet in, and the ecash does not remember how: name a wallet without " +
				"placeholders, or a Lightning address")
		}
		r.payee = payee
	}
	if r.wallet.notMoney != "" {
		r.app.logger.Warn("ecash is redeemed into a wallet whose invoices are no money: only mints for tests pay them",
			zap.String("redeem_to", r.name))
	}
	return nil
}

// mintWallet is a wallet whose money is ecash of a mint.
type mintWallet interface{ Address() string }

func sameMint(guest wallets.Guest, mint string) bool {
	w, ok := guest.(mintWallet)
	return ok && token.SameMint(w.Address(), mint)
}

func (r *redemption) network() wallets.Network {
	if r.wallet != nil {
		return r.wallet.guest.Network()
	}
	return r.payee.Network()
}

// readRules reads the amounts.
func (s *Redemption) readRules(rules *redeem.Rules) (err error) {
	settings := *s
	if settings.Every == 0 {
		setDefault(&settings.Above, defaultAbove)
	}
	setDefault(&settings.Above, "0")
	setDefault(&settings.Min, defaultMin)
	setDefault(&settings.MaxFee, defaultMaxFee)
	setDefault(&settings.Keep, "0")
	for name, amount := range map[string]struct {
		text string
		into *lnwire.MilliSatoshi
	}{
		"above": {settings.Above, &rules.Above}, "min": {settings.Min, &rules.Min}, "keep": {settings.Keep, &rules.Keep},
	} {
		if *amount.into, err = redeem.ParseAmount(amount.text); err != nil {
			return fmt.Errorf("redeem_to: %s: %w", name, err)
		}
	}
	if rules.FeePPM, rules.FeeBase, err = redeem.ParseFee(settings.MaxFee); err != nil {
		return fmt.Errorf("redeem_to: max_fee: %w", err)
	}
	rules.Every = time.Duration(settings.Every)
	switch {
	case rules.Every < 0 || rules.Every > 0 && rules.Every < time.Minute:
		return fmt.Errorf("redeem_to: every %s: use a minute or more, such as 24h", rules.Every)
	case rules.Every == 0 && rules.Above == 0:
		return errors.New("redeem_to: above 0 and no every: nothing would ever be redeemed; set one of them")
	case rules.Above > 0 && rules.Above <= rules.Keep:
		return errors.New("redeem_to: keep is not less than above: nothing would be left to redeem")
	case rules.Above > 0 && rules.Above-rules.Keep < rules.Min:
		return errors.New("redeem_to: above is less than min and keep together: set it to more, or min to less")
	}
	return nil
}

// isTemplate tells whether requests fill the target in.
func (r *redemption) isTemplate() bool { return r.payee != nil && r.payee.IsTemplate() }

// purseName is the name of the purse that the ecash of a request belongs into. Where requests choose
// who is paid it is his address, or his wallet's name, so that it tells later whom the ecash is for.
// Otherwise it is that of the tenant. Errors wrap errNoPayee.
func (r *redemption) purseName(req *http.Request, tenant string) (string, error) {
	if r == nil || !r.isTemplate() {
		return tenant, nil
	}
	repl, ok := req.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return "", errNoPayee
	}
	fill := func(text string) (string, error) {
		filled, err := repl.ReplaceOrErr(text, true, true)
		if err != nil || filled == "" {
			return "", errNoPayee
		}
		return filled, nil
	}
	name, err := fill(caddy.NewReplacer().ReplaceKnown(r.payee.Address, ""))
	if err != nil || r.tenantWallet(name) != nil {
		return name, err
	}
	if _, err := r.payee.Fill(fill); err != nil {
		return "", fmt.Errorf("%w: %w", errNoPayee, err)
	}
	return name, nil
}

// tenantWallet is the declared wallet that a purse is named after, or nil.
func (r *redemption) tenantWallet(purse string) *openWallet {
	if w := r.app.open[purse]; w != nil && w.cashier != nil {
		return w
	}
	return nil
}

// payeeOf finds who is paid with the ecash of a purse.
func (r *redemption) payeeOf(purse string) (name string, w *openWallet, guest wallets.Guest, err error) {
	switch {
	case !r.isTemplate() && purse != "":
		return "", nil, nil, errors.New("it is a tenant's, and redeem_to names one payee for all: give it a placeholder such as " +
			"{http.vars.ln_address}, and each tenant is paid what was taken for him from then on")
	case r.isTemplate() && (purse == "" || strings.ContainsAny(purse, "{}")):
		return "", nil, nil, errors.New("it was taken when redeem_to did not name each tenant")
	case r.isTemplate():
		if w := r.tenantWallet(purse); w != nil {
			return purse, w, w.guest, nil
		}
		filled := *r.payee
		filled.Address = purse
		return purse, nil, &filled, filled.Provision(r.app.ctx)
	case r.payee != nil:
		return r.name, nil, r.payee, nil
	}
	return r.name, r.wallet, r.wallet.guest, nil
}

// target is where the ecash of a purse goes.
func (r *redemption) target(mint, purse string) (redeem.Target, error) {
	name, w, guest, err := r.payeeOf(purse)
	if err != nil {
		return redeem.Target{}, err
	}
	if sameMint(guest, mint) {
		return redeem.Target{}, errors.New("it is of the mint that the wallet is at: nothing would change but the fees")
	}
	var c *cashier.Cashier
	if w != nil {
		c = w.cashier
	} else if c, err = r.app.tenants.cashier("redeem_to", guest); err != nil {
		return redeem.Target{}, err
	}
	wallet := c.Member(name).Wallet
	return redeem.Target{
		Name: name, Invoice: wallet.CreateInvoice,
		Lookup: func(ctx context.Context, hash [32]byte) (*wallets.Status, error) {
			return wallet.LookupInvoice(ctx, hash)
		},
	}, nil
}
