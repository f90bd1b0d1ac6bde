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
	cashier *cashier.Cashier
	// binding goes into the token where the request chooses the payee, so that a token that
	// was paid to one does not open what another sells. It is empty for a fixed payee.
	binding string
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
		return payee{wallet.cashier, bindingOf("wallet", name)}, nil
	}
	guest, err := wallet.guest.(wallets.Templated).Fill(fill)
	if err != nil {
		return payee{}, fmt.Errorf("%w: %w", errNoPayee, err)
	}
	c, err := h.app.tenants.cashier(h.app, name, guest)
	if err != nil {
		return payee{}, fmt.Errorf("%w: %w", errNoPayee, err)
	}
	return payee{c, bindingOf("tenant", cashier.ID(guest))}, nil
}

// bindingOf makes a caveat's value of a payee's name: short, and without the letters that a
// caveat gives a meaning to.
func bindingOf(kind, name string) string {
	sum := sha256.Sum256([]byte(kind + "\x00" + name))
	return hex.EncodeToString(sum[:12])
}

// isTemplate tells whether a text holds a placeholder.
func isTemplate(text string) bool { return strings.ContainsAny(text, "{}") }

// tenants are the wallets that requests named, opened on first use.
type tenants struct {
	mu   sync.Mutex
	open *lru.Cache[string, *tenant]
	done bool
}

type tenant struct {
	cashier *cashier.Cashier
	host    *cashier.Host
}

func newTenants() *tenants {
	t := new(tenants)
	open, err := lru.NewWithEvict(maxTenants, func(id string, gone *tenant) {
		gone.cashier.Detach(gone.host)
		_, _ = cashiers.Delete(id) // the error is of closing a wallet nobody needs
	})
	if err != nil { // only for sizes below one
		panic(err)
	}
	t.open = open
	return t
}

// cashier opens the wallet of a tenant, or finds the one that is open.
func (t *tenants) cashier(app *App, name string, guest wallets.Guest) (*cashier.Cashier, error) {
	id := cashier.ID(guest)
	t.mu.Lock()
	defer t.mu.Unlock()
	if known, ok := t.open.Get(id); ok {
		return known.cashier, nil
	}
	if t.done {
		return nil, errors.New("the configuration is being unloaded")
	}
	value, _, err := cashiers.LoadOrNew(id, func() (caddy.Destructor, error) { return cashier.New(guest) })
	if err != nil {
		return nil, err
	}
	opened := &tenant{value.(*cashier.Cashier), app.host(name, guest)}
	opened.cashier.Attach(opened.host)
	t.open.Add(id, opened)
	if c := app.logger.Check(zap.DebugLevel, "opened the wallet of a tenant"); c != nil {
		c.Write(zap.String("wallet", name), zap.Int("open", t.open.Len()))
	}
	return opened.cashier, nil
}

// close gives all of them back.
func (t *tenants) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done = true
	t.open.Purge()
}

// host is what this configuration lends to a wallet.
func (a *App) host(name string, guest wallets.Guest) *cashier.Host {
	return &cashier.Host{
		Name: name, Logger: a.logger.Named("wallet").With(zap.String("wallet", name)),
		Storage: a.ctx.Storage(), Guest: guest, Timeout: time.Duration(a.WalletTimeout),
		Called: metrics.walletCalled, Settled: a.settled,
	}
}
