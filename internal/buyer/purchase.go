package buyer

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/internal/budget"
	"github.com/caddy-l402/caddy-l402/internal/client"
	"github.com/caddy-l402/caddy-l402/internal/client/tokenfile"
	"github.com/caddy-l402/caddy-l402/l402"
	"github.com/caddy-l402/caddy-l402/wallets"
)

// found is a token for what an upstream asks a payment for.
type found struct {
	token *tokenfile.Token
	// fresh says that it was paid for in this exchange or one that went on at the same time.
	fresh bool
}

// obtain finds or buys a token. Requests that want the same wait for one another. The purchase goes on
// when the request that began it ends: money is on its way.
func (x *exchange) obtain(ctx context.Context, header http.Header, products []string) (found, error) {
	key := x.ID + "\x00" + x.origin + "\x00" + strings.Join(products, "\x00")
	single := singleUse(header)
	if single {
		key += "\x00" + rand.Text() // nothing to share
	}
	var own bool
	done := x.House.flights.DoChan(key, func() (any, error) {
		own = true
		// Bounded by the steps' own times: the locks, the storage and the payment.
		return x.acquire(context.WithoutCancel(ctx), header, products, single)
	})
	select {
	case <-ctx.Done():
		return found{}, ctx.Err()
	case result := <-done:
		if result.Err != nil {
			return found{}, result.Err
		}
		got := result.Val.(found)
		// What another request bought may be spent before this one comes.
		got.fresh = got.fresh && own
		return got, nil
	}
}

// singleUse tells whether the challenges of an answer sell a single use.
func singleUse(header http.Header) bool {
	challenges, _ := l402.ParseChallenges(header)
	for _, challenge := range challenges {
		token, err := l402.Describe(challenge.Macaroon)
		if err != nil {
			continue
		}
		for _, caveat := range token.Caveats {
			c, err := l402.ParseCaveat(caveat.Text)
			if err == nil && strings.HasSuffix(c.Condition, l402.SuffixUses) && strings.TrimSpace(c.Value) == "1" {
				return true
			}
		}
	}
	return false
}

// acquire looks in memory and in the storage before it buys.
func (x *exchange) acquire(ctx context.Context, header http.Header, products []string, single bool) (found, error) {
	if token := x.House.shelf.named(x.origin, products, x.now()); token != nil && !single {
		return found{token: token}, nil
	}
	for _, opens := range products {
		if single {
			break
		}
		token, err := x.stored(ctx, opens)
		if err != nil {
			return found{}, refuse(CodeNoAccount, err, storeTime)
		}
		if token != nil && x.House.shelf.good(token, x.now()) {
			x.House.shelf.add(*token)
			return found{token: token}, nil
		}
	}
	if code, left := x.House.patience.wait(x.origin, x.now()); left > 0 {
		return found{}, refuse(code, fmt.Errorf("it is left alone for %s after this happened before", left.Round(time.Second)), left)
	}
	offer, err := x.Client.Choose(header, x.req.URL.EscapedPath())
	switch {
	case errors.Is(err, client.ErrTooDear):
		return found{}, refuse(CodeTooDear, err, 0)
	case err != nil:
		return found{}, refuse(CodeBadChallenge, err, 0)
	}
	return x.buy(ctx, offer, single)
}

func (x *exchange) stored(ctx context.Context, opens string) (*tokenfile.Token, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	return x.House.store.load(ctx, x.origin, opens)
}

// turn waits for the turn at buying a product: of this process first, since a storage may hand its
// lock over slowly, then of all instances.
func (x *exchange) turn(ctx context.Context, opens string) (done func(), err error) {
	// Whoever holds it is paying, for as long as that may take.
	ctx, cancel := context.WithTimeout(ctx, 2*(x.paymentTime()+storeTime))
	defer cancel()
	id := idOf(x.origin, opens)
	sum := sha256.Sum256([]byte(id))
	turn := x.House.turns[int(sum[0])%len(x.House.turns)]
	select {
	case turn <- struct{}{}:
	case <-ctx.Done():
		return nil, fail("waiting for other purchases", ctx.Err())
	}
	unlock, err := x.House.store.lock(ctx, kindPurchase, id)
	if err != nil {
		<-turn
		return nil, err
	}
	return func() { unlock(); <-turn }, nil
}

// buy pays for an offer while nobody else buys the same.
func (x *exchange) buy(ctx context.Context, offer *client.Offer, single bool) (found, error) {
	done, err := x.turn(ctx, offer.Opens)
	if err != nil {
		return found{}, refuse(CodeNoAccount, err, storeTime)
	}
	defer done()
	earlier, err := x.stored(ctx, offer.Opens)
	if err != nil {
		return found{}, refuse(CodeNoAccount, err, storeTime)
	}
	if earlier != nil && !single && x.House.shelf.good(earlier, x.now()) {
		x.House.shelf.add(*earlier)
		return found{token: earlier}, nil
	}
	if earlier != nil && earlier.Preimage == "" {
		if token, err := x.resume(ctx, earlier, single); token != nil || err != nil {
			return found{token: token, fresh: true}, err
		}
	}
	if err := x.reserve(ctx, offer); err != nil {
		return found{}, err
	}
	token, err := x.begin(ctx, offer)
	if err != nil {
		return found{}, err
	}
	token, err = x.pay(ctx, offer, token, single)
	return found{token: token, fresh: true}, err
}

func (x *exchange) paymentTime() time.Duration {
	if x.Client.Timeout > 0 {
		return x.Client.Timeout
	}
	return client.DefaultTimeout
}

func (x *exchange) reserve(ctx context.Context, offer *client.Offer) error {
	err := x.Client.Reserve(ctx, client.HostOf(x.req.URL), offer)
	if err == nil {
		return nil
	}
	var over *budget.Refusal
	if errors.As(err, &over) {
		if over.FreeAt.IsZero() {
			return refuse(CodeOverBudget, err, 0)
		}
		return refuse(CodeOverBudget, err, over.FreeAt.Sub(x.now()))
	}
	if errors.Is(err, budget.ErrOverBudget) {
		return refuse(CodeOverBudget, err, 0)
	}
	return refuse(CodeNoAccount, err, storeTime)
}

// begin writes a purchase down before it is paid.
func (x *exchange) begin(ctx context.Context, offer *client.Offer) (*tokenfile.Token, error) {
	token := &tokenfile.Token{
		Origin: x.origin, Opens: offer.Opens, Path: x.req.URL.EscapedPath(),
		Macaroon: offer.Macaroon, Payment: offer.Payment, Invoice: offer.Decoded.PaymentRequest,
		PaymentHash: offer.Decoded.PaymentHash.String(), AmountMsat: uint64(offer.Decoded.Amount),
		Obtained: x.now().UTC(), ValidUntil: offer.ValidUntil,
	}
	storing, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	if err := x.House.store.put(storing, token); err != nil {
		return nil, refuse(CodeNoAccount, errors.Join(err, x.Client.Release(ctx, offer)), storeTime)
	}
	return token, nil
}

// pay pays a purchase that is written down and puts its token on the shelf.
func (x *exchange) pay(ctx context.Context, offer *client.Offer, token *tokenfile.Token, single bool) (*tokenfile.Token, error) {
	purchase, err := x.Client.Pay(ctx, offer)
	if err != nil {
		return nil, x.unpaid(ctx, token, err)
	}
	x.told("paid")
	if x.Events.Paid != nil {
		cost := offer.Decoded.Amount
		if purchase.Fee != nil {
			cost += *purchase.Fee
		}
		x.Events.Paid(uint64(cost))
	}
	paid := *token
	paid.Preimage = purchase.Preimage.String()
	storing, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	if single { // it is spent at once, by the request that it was bought for
		if err := x.House.store.drop(storing, &paid); err != nil {
			x.Logger.Warn("a purchase that is spent could not be removed", zap.String("upstream", x.origin), zap.Error(err))
		}
		return &paid, nil
	}
	x.House.shelf.add(paid)
	if err := x.House.store.put(storing, &paid); err != nil {
		// The purchase is stored without its proof, which paying the same invoice again gives.
		x.Logger.Error("a token that was paid for could not be stored; it is kept in memory",
			zap.String("upstream", x.origin), zap.String("payment_hash", paid.PaymentHash), zap.Error(err))
	}
	return &paid, nil
}

// unpaid sees to a payment that failed or whose end is not known.
func (x *exchange) unpaid(ctx context.Context, token *tokenfile.Token, err error) error {
	if !client.IsFinal(err) {
		x.told("unknown")
		return refuse(CodePaymentUnknown, err, failedFirst)
	}
	x.told("failed")
	storing, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	if dropErr := x.House.store.drop(storing, token); dropErr != nil {
		err = errors.Join(err, dropErr)
	}
	return refuse(CodePaymentFailed, err, x.House.patience.failed(x.origin, CodePaymentFailed, x.now()))
}

func (x *exchange) told(result string) {
	if x.Events.Payment != nil {
		x.Events.Payment(result)
	}
}

// resume takes up an earlier purchase whose end is not known: its invoice is paid again, which a
// Lightning wallet does once. It returns nil where the way is free for a new purchase.
func (x *exchange) resume(ctx context.Context, earlier *tokenfile.Token, single bool) (*tokenfile.Token, error) {
	offer, err := offerOf(earlier)
	if err == nil && offer.Decoded.Network != x.network() {
		err = fmt.Errorf("it is for %s and the wallet for another network", offer.Decoded.Network)
	}
	if err == nil && !x.now().Before(offer.Decoded.ExpiresAt) {
		err = errors.New("its invoice expired meanwhile")
	}
	if err != nil {
		// It stays in the account as spent.
		x.Logger.Error("an earlier purchase may have been paid and cannot be taken up again; the wallet knows it by its payment hash",
			zap.String("upstream", x.origin), zap.String("payment_hash", earlier.PaymentHash), zap.Error(err))
		return nil, nil
	}
	if err := x.reserve(ctx, offer); err != nil { // as a rule it is in the account already
		return nil, err
	}
	token, err := x.pay(ctx, offer, earlier, single)
	if refusal := (*Refusal)(nil); errors.As(err, &refusal) && refusal.Code == CodePaymentFailed {
		x.House.patience.worked(x.origin) // it was another one's failure
		return nil, nil
	}
	return token, err
}

func (x *exchange) network() wallets.Network {
	network, err := wallets.ParseNetwork(string(x.Client.Wallet.Network))
	if err != nil {
		return ""
	}
	return network
}

// offerOf makes the offer again that a stored purchase was begun for.
func offerOf(token *tokenfile.Token) (*client.Offer, error) {
	decoded, err := wallets.DecodeInvoice(token.Invoice)
	if err != nil {
		return nil, err
	}
	if decoded.PaymentHash.String() != token.PaymentHash {
		return nil, errors.New("its invoice is for another payment")
	}
	return &client.Offer{
		Challenge: l402.Challenge{Macaroon: token.Macaroon, Invoice: token.Invoice}, Payment: token.Payment,
		Decoded: decoded, Opens: token.Opens, ValidUntil: token.ValidUntil,
	}, nil
}
