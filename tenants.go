package caddyl402

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	lru "github.com/hashicorp/golang-lru/v2"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/internal/cashier"
	"github.com/caddy-l402/caddy-l402/wallets"
)

// maxTenants is how many wallets of tenants are open at the same time. The one that was used
// least recently is closed for a new one and opened again when it is needed.
const maxTenants = 256

// errNoPayee says that a request does not tell whom to pay. It is answered 503, and never by
// paying somebody else.
var errNoPayee = errors.New("the request names no payee")

// payee is who is paid for a request.
type payee struct {
	// cashier deals with the payee's wallet. Where a request chose the payee it is nil until
	// open: a paid request needs no wallet, and one over its limit gets none.
	cashier *cashier.Cashier
	// binding goes into the token where the request chooses the payee, so that a token that
	// was paid to one does not open what another sells. It is empty for a fixed payee.
	binding string
	// tenant names the payee in the books where the request chose him.
	tenant string

	tenancy *tenancy
	wallet  string
	guest   wallets.Guest
}

// payee finds who is paid for a request.
func (h *Handler) payee(r *http.Request) (payee, error) {
	if h.cashier != nil {
		return payee{cashier: h.cashier}, nil
	}
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return payee{}, errNoPayee
	}
	fill := func(text string) (string, error) {
		filled, err := repl.ReplaceOrErr(text, true, true)
		if err != nil || filled == "" {
			return "", errNoPayee
		}
		return filled, nil
	}
	name := h.Wallet
	if isTemplate(name) {
		var err error
		if name, err = fill(name); err != nil {
			return payee{}, err
		}
	}
	wallet := h.app.open[name]
	if wallet == nil {
		return payee{}, fmt.Errorf("%w that is declared", errNoPayee)
	}
	if wallet.cashier != nil {
		return payee{cashier: wallet.cashier, binding: bindingOf("wallet", name), tenant: name}, nil
	}
	guest, err := wallet.guest.(wallets.Templated).Fill(fill)
	if err != nil {
		return payee{}, fmt.Errorf("%w: %w", errNoPayee, err)
	}
	binding := bindingOf("tenant", payeeName(guest))
	return payee{
		binding: binding, tenant: name + "/" + binding,
		tenancy: h.app.tenants, wallet: name, guest: guest,
	}, nil
}

// open opens the payee's wallet, if it is not.
func (p *payee) open() (err error) {
	if p.cashier != nil {
		return nil
	}
	if p.cashier, err = p.tenancy.cashier(p.wallet, p.guest); err != nil {
		return fmt.Errorf("%w: %w", errNoPayee, err)
	}
	return nil
}

// payeeName is what the tokens of a payee are bound to.
func payeeName(guest wallets.Guest) string {
	if named, ok := guest.(wallets.Named); ok {
		return string(guest.Network()) + "\x00" + named.PayeeName()
	}
	return cashier.ID(guest)
}

// bindingOf makes a caveat's value of a payee's name or of a request: short, and without the letters
// that a caveat gives a meaning to, but too long for a client to find two requests that share one,
// a cheap one and a dear one: that takes 2^64 tries.
func bindingOf(kind, name string) string {
	sum := sha256.Sum256([]byte(kind + "\x00" + name))
	return hex.EncodeToString(sum[:16])
}

// isTemplate tells whether a text holds a placeholder.
func isTemplate(text string) bool { return strings.ContainsAny(text, "{}") }

// tenants are the wallets that requests named, opened on first use. All configurations of the
// process share them, so that a reload forgets neither an open invoice nor a payment.
type tenants struct {
	mu   sync.Mutex
	open *lru.Cache[string, *tenant]
}

// tenant is an open wallet with what each configuration that used it lends to it.
type tenant struct {
	cashier *cashier.Cashier
	hosts   map[*tenancy]*cashier.Host
}

// tenancy is one configuration's part in the tenants. A nil tenancy has none.
type tenancy struct {
	shared *tenants
	app    *App
	left   bool // guarded by shared.mu
}

// tenancies holds the tenants, under one key, for as long as a configuration has wallets that
// requests fill in.
var tenancies = caddy.NewUsagePool()

const tenanciesKey = "tenants"

func newTenants() *tenants {
	open, err := lru.NewWithEvict(maxTenants, func(id string, gone *tenant) {
		for _, host := range gone.hosts {
			gone.cashier.Detach(host)
		}
		_, _ = cashiers.Delete(id) // the error is of closing a wallet nobody needs
	})
	if err != nil { // only for sizes below one
		panic(err)
	}
	return &tenants{open: open}
}

// Destruct implements caddy.Destructor: it gives all wallets back.
func (t *tenants) Destruct() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open.Purge()
	return nil
}

// joinTenants makes the app's tenancy, once.
func (a *App) joinTenants() error {
	if a.tenants != nil {
		return nil
	}
	value, _, err := tenancies.LoadOrNew(tenanciesKey, func() (caddy.Destructor, error) { return newTenants(), nil })
	if err != nil {
		return err
	}
	a.pooled = append(a.pooled, pooled{tenancies, tenanciesKey})
	a.tenants = &tenancy{shared: value.(*tenants), app: a}
	return nil
}

// cashier finds the open wallet of a tenant, or opens it. Requests that outlive their
// configuration find wallets and open none.
func (t *tenancy) cashier(name string, guest wallets.Guest) (*cashier.Cashier, error) {
	id := cashier.ID(guest)
	t.shared.mu.Lock()
	defer t.shared.mu.Unlock()
	known, ok := t.shared.open.Get(id)
	if t.left {
		if !ok {
			return nil, errors.New("the configuration is being unloaded")
		}
		return known.cashier, nil
	}
	if !ok {
		value, _, err := cashiers.LoadOrNew(id, func() (caddy.Destructor, error) { return cashier.New(guest) })
		if err != nil {
			return nil, err
		}
		known = &tenant{cashier: value.(*cashier.Cashier), hosts: make(map[*tenancy]*cashier.Host)}
		t.shared.open.Add(id, known)
		if c := t.app.logger.Check(zap.DebugLevel, "opened the wallet of a tenant"); c != nil {
			c.Write(zap.String("wallet", name), zap.Int("open", t.shared.open.Len()))
		}
	}
	if known.hosts[t] == nil {
		known.hosts[t] = t.app.host(name, guest)
		known.cashier.Attach(known.hosts[t])
	}
	return known.cashier, nil
}

// leave takes back what the configuration lent. The wallets stay open for the next one.
func (t *tenancy) leave() {
	if t == nil {
		return
	}
	t.shared.mu.Lock()
	defer t.shared.mu.Unlock()
	t.left = true
	for _, known := range t.shared.open.Values() {
		if host := known.hosts[t]; host != nil {
			known.cashier.Detach(host)
			delete(known.hosts, t)
		}
	}
}

// count is how many are open.
func (t *tenancy) count() int {
	if t == nil {
		return 0
	}
	return t.shared.open.Len()
}

// host is what this configuration lends to a wallet.
func (a *App) host(name string, guest wallets.Guest) *cashier.Host {
	return &cashier.Host{
		Name: name, Logger: a.logger.Named("wallet").With(zap.String("wallet", name)),
		Storage: a.ctx.Storage(), Guest: guest, Timeout: time.Duration(a.WalletTimeout),
		Strongroom: a.strongroom, Instance: instanceID(),
		Called: metrics.walletCalled, Settled: a.settled,
	}
}

// strongroom is the ledger, while it is open.
func (a *App) strongroom() cashier.Strongroom {
	if l := a.books.Ledger(); l != nil {
		return l
	}
	return nil
}

// Guard: what the pool wants.
var _ caddy.Destructor = (*tenants)(nil)
