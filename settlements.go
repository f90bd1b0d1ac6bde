package caddyl402

import (
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/lightningnetwork/lnd/lntypes"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/internal/ledger"
	"github.com/caddy-l402/caddy-l402/l402"
	"github.com/caddy-l402/caddy-l402/wallets"
)

// maxSales bounds the offers whose terms are remembered until they are paid.
const maxSales = 8192

// sales remembers what was offered for a payment hash. It belongs to the process: an offer of an
// old configuration may be paid under a new one.
var sales = func() *lru.Cache[lntypes.Hash, ledger.Settlement] {
	cache, err := lru.New[lntypes.Hash, ledger.Settlement](maxSales)
	if err != nil { // only for sizes below one
		panic(err)
	}
	return cache
}()

// offered notes an offer, with the scheme that it is likely to be paid by: a wallet may report the
// payment before any credential comes. Only its being paid is written down.
func (h *Handler) offered(inv *wallets.Invoice, id l402.TokenID, to deal, scheme string) {
	sales.Add(inv.PaymentHash, ledger.Settlement{
		PaymentHash: inv.PaymentHash, Service: h.Service, Tier: to.tier, AmountMsat: uint64(inv.Amount),
		Wallet: h.Wallet, Scheme: scheme, TokenID: id, Tenant: to.tenant,
	})
}

// settledByUse notes the payment of a token that was shown for the first time. On all further
// requests it is one look into memory.
func (h *Handler) settledByUse(g *l402.Grant, to deal) {
	if shown.first(g.PaymentHash) {
		metrics.firstUse(h.Service)
	}
	book := h.app.books.Ledger()
	if book == nil || book.Settled(g.PaymentHash) {
		return
	}
	sale, known := sales.Get(g.PaymentHash)
	if !known { // offered before a restart or by another instance
		sale = ledger.Settlement{
			PaymentHash: g.PaymentHash, Service: h.Service, Tier: h.Tier, AmountMsat: uint64(h.price),
			Wallet: h.Wallet, TokenID: g.TokenID, Tenant: to.tenant,
		}
		if g.Price > 0 {
			sale.AmountMsat = uint64(g.Price)
		}
	}
	sale.Scheme = schemeOf(g)
	h.app.record(book, sale)
}

// settled is told of each payment that a wallet reports, perhaps more than once.
func (a *App) settled(wallet string, s wallets.Settlement) {
	if c := a.logger.Check(zap.DebugLevel, "invoice settled"); c != nil {
		c.Write(zap.String("wallet", wallet), zap.Stringer("payment_hash", s.PaymentHash),
			zap.Uint64("amount_msat", uint64(s.AmountPaid)))
	}
	sale, known := sales.Get(s.PaymentHash)
	book := a.books.Ledger()
	if !known || book == nil {
		return // noted when its token is shown
	}
	sale.Time = s.SettledAt
	a.record(book, sale)
}

// backlogLogged bounds how often a full ledger is reported.
var backlogLogged seldom

// seldom is true once a minute, for what may happen with every request. The zero value is ready.
type seldom struct{ last atomic.Int64 }

func (s *seldom) due() bool {
	now := time.Now().Unix()
	last := s.last.Load()
	return now-last >= 60 && s.last.CompareAndSwap(last, now)
}

// record writes a payment down, once, and tells who wants to know.
func (a *App) record(book *ledger.Ledger, s ledger.Settlement) {
	if s.Time.IsZero() {
		s.Time = time.Now()
	}
	first, err := book.RecordSettlement(s)
	if err != nil {
		if backlogLogged.due() {
			a.logger.Error("payment is not recorded; it is tried again with the token's next request", zap.Error(err))
		}
		return
	}
	if first {
		metrics.settlement(s.Service, s.Wallet, s.AmountMsat)
		a.tell(s)
	}
}
