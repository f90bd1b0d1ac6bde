package caddyl402

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/internal/books"
	"github.com/caddy-l402/caddy-l402/internal/buyer"
	"github.com/caddy-l402/caddy-l402/internal/cashier"
	"github.com/caddy-l402/caddy-l402/internal/free"
	"github.com/caddy-l402/caddy-l402/internal/keyring"
	"github.com/caddy-l402/caddy-l402/internal/limit"
	"github.com/caddy-l402/caddy-l402/wallets"
)

func init() {
	caddy.RegisterModule(new(App))
}

// App holds what all routes that charge have in common: the wallets that are paid and the keys
// that tokens are made with.
type App struct {
	// The wallets, by the names that routes use.
	WalletsRaw map[string]json.RawMessage `json:"wallets,omitempty" caddy:"namespace=l402.wallets inline_key=wallet"`

	// The wallet of routes that name none. Default: the only wallet there is.
	DefaultWallet string `json:"default_wallet,omitempty"`

	// The secrets that tokens are made with, instead of keys that are generated and kept in
	// Caddy's storage. The first one makes new tokens, the others are accepted. At least 32
	// bytes each; placeholders such as {env.L402_SECRET} are replaced.
	Secrets []string `json:"secrets,omitempty"`

	// The longest that a call to a wallet may take. Default: 10s.
	WalletTimeout caddy.Duration `json:"wallet_timeout,omitempty"`

	// Whose ecash is taken as payment. Default: none.
	Cashu *Cashu `json:"cashu,omitempty"`

	// Web servers that are told of each payment.
	Notify []*Notification `json:"notify,omitempty"`

	// Where exchange rates come from, for prices in currencies such as "0.02 usd". Default:
	// several public servers, which are asked once something has such a price.
	Rates *RateSettings `json:"rates,omitempty"`

	// A currency in which pages tell what a price is about worth, if a rate is at hand.
	ShowFiat string `json:"show_fiat,omitempty"`

	// The programs that tell what requests cost, by the names that prices use: the price
	// "pricer shop" asks the one called shop.
	Pricers map[string]*PriceProgram `json:"pricers,omitempty"`

	// How the payment page for browsers looks where a route does not say otherwise.
	Page *Page `json:"page,omitempty"`

	ctx    caddy.Context
	logger *zap.Logger
	keys   *keyring.Keyring
	random io.Reader

	books   *books.Books
	lender  *books.Host // set while the app runs
	open    map[string]*openWallet
	tenants *tenancy // nil where no wallet is filled in by requests
	pooled  []pooled
	desk    *desk // of receipts

	till *till // nil where no ecash is taken

	redemption *redemption // nil where ecash stays where it is

	notified  []notified
	announcer announcer

	shops shops // what is for sale, by server

	exchange exchange
	programs map[string]*program

	purchases *buyer.Store // of upstreams
	buying    *buyer.House

	mu     sync.Mutex
	offers offers
	buyers []*Transport
	gifts  map[string]*free.Counter // by service; complete when the app starts

	stop  context.CancelFunc
	loops sync.WaitGroup
}

// openWallet is a declared wallet with the cashier that deals with it.
type openWallet struct {
	guest   wallets.Guest
	cashier *cashier.Cashier // nil for one that requests fill in; see tenants
	host    *cashier.Host    // set while the app runs
	// notMoney says why its invoices are no money; it is empty where they are.
	notMoney string
}

// keyRefresh is how often keys that other instances made or retired are looked for.
const keyRefresh = 5 * time.Second

// startTimeout bounds what Start does before it returns.
const startTimeout = 10 * time.Second

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "l402",
		New: func() caddy.Module { return new(App) },
	}
}

// Provision reads the settings. It neither dials nor writes, since it also runs for
// configurations that are only validated.
func (a *App) Provision(ctx caddy.Context) error {
	a.ctx, a.logger, a.random = ctx, ctx.Logger(), rand.Reader
	a.open = make(map[string]*openWallet)
	if err := metrics.register(ctx.GetMetricsRegistry()); err != nil {
		return err
	}
	if err := a.provisionKeys(); err != nil {
		return err
	}
	a.books = books.For(ctx.Storage())
	a.purchases = &buyer.Store{Ledger: a.books.Ledger, Locks: ctx.Storage()}
	a.buying = buyer.NewHouse(a.purchases)
	var err error
	if a.desk, err = newDesk(a); err != nil {
		return err
	}
	if err := a.provisionNotify(); err != nil {
		return err
	}
	if err := a.provisionEvents(ctx); err != nil {
		return err
	}
	if err := a.provisionRates(); err != nil {
		return err
	}
	if err := a.provisionPricers(); err != nil {
		return err
	}
	loaded, err := ctx.LoadModule(a, "WalletsRaw")
	if err != nil {
		return fmt.Errorf("loading wallets: %w", err)
	}
	guests, _ := loaded.(map[string]any)
	if err := a.openWallets(guests); err != nil {
		return err
	}
	if err := a.provisionCashu(); err != nil {
		return fmt.Errorf("cashu: %w", err)
	}
	if err := a.provisionDefault(); err != nil {
		return err
	}
	return a.provisionRedeem()
}

func (a *App) provisionKeys() (err error) {
	if len(a.Secrets) == 0 {
		a.keys = keyring.New(a.ctx.Storage(), a.logger.Named("keys"))
		return nil
	}
	repl := caddy.NewReplacer()
	secrets := make([]string, len(a.Secrets))
	for i, secret := range a.Secrets {
		if secrets[i], err = repl.ReplaceOrErr(secret, true, true); err != nil {
			return fmt.Errorf("secret %d: %w", i+1, err)
		}
	}
	a.keys, err = keyring.NewFixed(secrets, a.logger.Named("keys"))
	return err
}

func (a *App) provisionDefault() error {
	if a.DefaultWallet == "" && len(a.open) == 1 {
		for name := range a.open {
			a.DefaultWallet = name
		}
	}
	if a.DefaultWallet != "" && a.open[a.DefaultWallet] == nil {
		return fmt.Errorf("the default wallet %q is not declared; there is %s", a.DefaultWallet, a.walletNames())
	}
	return nil
}

// openWallet takes a wallet from the pool or opens it.
func (a *App) openWallet(name string, guest wallets.Guest) error {
	if t, ok := guest.(wallets.Templated); ok && t.IsTemplate() {
		a.open[name] = &openWallet{guest: guest}
		return a.joinTenants()
	}
	id := cashier.ID(guest)
	value, _, err := cashiers.LoadOrNew(id, func() (caddy.Destructor, error) { return cashier.New(guest) })
	if err != nil {
		return err
	}
	a.pooled = append(a.pooled, pooled{cashiers, id})
	a.open[name] = &openWallet{guest: guest, cashier: value.(*cashier.Cashier), notMoney: a.whyNoMoney(guest)}
	return nil
}

// wallet finds a declared wallet; the empty name means the default one.
func (a *App) wallet(name string) (*openWallet, error) {
	switch {
	case len(a.open) == 0:
		return nil, errors.New("no wallet is declared: add `wallet <name> <adapter> …` to the global l402 " +
			"options (`wallet play sandbox` needs nothing to try things out)")
	case name == "" && a.DefaultWallet == "":
		return nil, fmt.Errorf("several wallets are declared, %s: name one with `wallet`, or set default_wallet",
			a.walletNames())
	case name == "":
		name = a.DefaultWallet
	}
	if w := a.open[name]; w != nil {
		return w, nil
	}
	return nil, fmt.Errorf("wallet %q is not declared; there is %s", name, a.walletNames())
}

func (a *App) walletNames() string {
	names := make([]string, 0, len(a.open))
	for name := range a.open {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// limiter takes the client limits of a service from the pool: they outlive reloads.
func (a *App) limiter(service string) (*limit.Limiter, error) {
	value, _, err := limiters.LoadOrNew(service, func() (caddy.Destructor, error) {
		return &limiterBox{limit.New(limit.MaxClients)}, nil
	})
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pooled = append(a.pooled, pooled{limiters, service})
	return value.(*limiterBox).Limiter, nil
}

// sells takes the terms of a handler in, or refuses them where they contradict another's.
func (a *App) sells(t terms, more []terms) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.offers.add(t, more, fmt.Sprintf("handler %d of the configuration", len(a.offers)+1))
}

// Start attaches the wallets to this configuration, which connects them, and makes sure that
// there is a key. A wallet or a storage that does not answer yet holds up nothing: unpaid
// requests get 503 until it does.
func (a *App) Start() error {
	ctx, stop := context.WithCancel(context.Background())
	a.stop = stop
	for name, w := range a.open {
		if w.cashier != nil {
			w.host = a.host(name, w.guest)
			w.cashier.Attach(w.host)
		}
	}
	a.lender = &books.Host{Storage: a.ctx.Storage(), Logger: a.logger.Named("ledger"), Instance: instanceID()}
	if err := a.books.Attach(a.lender); err != nil {
		a.logger.Error("uses cannot be counted until storage works; metered tokens get 503", zap.Error(err))
	}
	a.startCashu()
	a.startNotify()
	a.startRates()
	go a.runAnnouncer(ctx) // owned by the app; ends in Stop, or when a handler returns after it
	warm, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if _, _, err := a.keys.Minting(warm); err != nil {
		a.logger.Error("no token can be made until storage works", zap.Error(err))
	}
	// Owned by the app; ends in Stop.
	a.loops.Go(func() { a.refreshKeys(ctx) })
	if a.redemption != nil {
		a.loops.Go(func() { a.redeemEcash(ctx) }) // likewise
	}
	if len(a.gifts) > 0 {
		a.loops.Go(func() { a.shareGifts(ctx) }) // likewise
	}
	return nil
}

func (a *App) refreshKeys(ctx context.Context) {
	tick := time.NewTicker(keyRefresh)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		bounded, cancel := context.WithTimeout(ctx, startTimeout)
		err := a.keys.Refresh(bounded)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !failing:
			a.logger.Warn("master keys cannot be read; those in memory go on to be used", zap.Error(err))
		case err == nil && failing:
			a.logger.Info("master keys can be read again")
		}
		failing = err != nil
	}
}

// Stop detaches the wallets. Those that a new configuration uses too stay open.
func (a *App) Stop() error {
	if a.stop != nil {
		a.stop()
	}
	close(a.announcer.done)
	a.loops.Wait()
	for _, w := range a.open {
		if w.host != nil {
			w.cashier.Detach(w.host)
		}
	}
	a.tenants.leave()
	a.stopNotify()
	a.stopCashu()
	a.stopRates()
	if a.lender != nil {
		return a.books.Detach(a.lender)
	}
	return nil
}

// instanceID labels this server among those that share a storage.
func instanceID() string {
	id, err := caddy.InstanceID()
	if err != nil {
		return "" // the ledger adds a random part in any case
	}
	return id.String()
}

// Cleanup gives back what Provision took from the pools.
func (a *App) Cleanup() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tenants.leave() // Stop is not called where Start failed
	var errs []error
	for _, p := range a.pooled {
		_, err := p.pool.Delete(p.key)
		errs = append(errs, err)
	}
	a.pooled = nil
	return errors.Join(errs...)
}

// Guards.
var (
	_ caddy.Module       = (*App)(nil)
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
