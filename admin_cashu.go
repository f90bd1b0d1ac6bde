package caddyl402

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/caddy-l402/caddy-l402/internal/purses"
	"github.com/caddy-l402/caddy-l402/internal/redeem"
	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/mint"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/purse"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

// balanceFacts is a purse as the admin API shows it. Amounts are in the purse's unit.
type balanceFacts struct {
	Mint   string `json:"mint"`
	Unit   string `json:"unit"`
	Name   string `json:"name,omitempty"`
	Wallet string `json:"wallet,omitempty"`
	Seat   int    `json:"seat"`
	Own    bool   `json:"own"`
	// Available can be spent, in so many Proofs; Pending is in payments that have not ended;
	// AtRisk was accepted without the mint; Disputed is what the mint took for nothing.
	Available uint64 `json:"available"`
	Proofs    int    `json:"proofs"`
	Pending   uint64 `json:"pending"`
	AtRisk    uint64 `json:"value_at_risk"`
	Disputed  uint64 `json:"disputed"`
	Problem   string `json:"problem,omitempty"`
	// Redeem is what becomes of it, or NotRedeemed says why nothing does.
	Redeem      *redeem.State `json:"redemptions,omitempty"`
	To          string        `json:"redeem_to,omitempty"`
	NotRedeemed string        `json:"not_redeemed,omitempty"`
}

// adminEcash lists the purses: GET /l402/cashu/balance.
func (a *App) adminEcash(r *http.Request) (any, error) {
	list := []balanceFacts{}
	all, err := a.openPurses(r.Context())
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		b := p.Balance
		facts := balanceFacts{
			Mint: p.Mint, Unit: p.Unit, Name: p.Name, Wallet: p.Wallet, Seat: p.Seat, Own: p.Own,
			Available: b.Available, Proofs: b.Proofs, Pending: b.Reserved, AtRisk: b.Unswapped, Disputed: b.Disputed,
		}
		if p.Problem != nil {
			facts.Problem = p.Problem.Error()
		}
		job, err := a.redeemJob(&p)
		if err != nil {
			facts.NotRedeemed = err.Error()
		} else {
			facts.To = job.Target.Name
		}
		state, err := redeemer.State(r.Context(), job)
		if err != nil {
			return nil, adminError(http.StatusServiceUnavailable, err)
		}
		if state.Count > 0 || state.Current != nil || state.Failures > 0 {
			facts.Redeem = &state
		}
		list = append(list, facts)
	}
	return map[string]any{"purses": list}, nil
}

// purseChoice says which purses a request means. What is empty means all.
type purseChoice struct {
	Mint   string  `json:"mint"`
	Unit   string  `json:"unit"`
	Name   *string `json:"name"`
	Wallet *string `json:"wallet"`
}

// choose finds the purses that are meant.
func (c *purseChoice) choose(ctx context.Context, a *App) ([]purseFacts, error) {
	all, err := a.openPurses(ctx)
	if err != nil {
		return nil, err
	}
	var out []purseFacts
	for _, p := range all {
		if (c.Mint == "" || token.SameMint(c.Mint, p.Mint)) && (c.Unit == "" || c.Unit == p.Unit) &&
			(c.Name == nil || *c.Name == p.Name && p.Wallet == "") && (c.Wallet == nil || *c.Wallet == p.Wallet) {
			out = append(out, p)
		}
	}
	if len(out) == 0 {
		return nil, adminError(http.StatusNotFound, fmt.Errorf("there is no such purse among the %d of this instance; "+
			"caddy l402 cashu balance lists them", len(all)))
	}
	return out, nil
}

// adminSend takes ecash out of a purse: POST /l402/cashu/send. The answer is money.
func (a *App) adminSend(r *http.Request) (any, error) {
	var body struct {
		purseChoice
		Amount uint64 `json:"amount"`
		Key    string `json:"key"`
	}
	if err := readJSON(r, &body); err != nil {
		return nil, err
	}
	switch {
	case body.Amount == 0:
		return nil, adminError(http.StatusBadRequest, errors.New("amount: how much, in the unit of the purse?"))
	case body.Key == "" || len(body.Key) > 128:
		return nil, adminError(http.StatusBadRequest, errors.New("key: give up to 128 characters that name this "+
			"payment; the same request again then gives the same token and not a second one"))
	}
	chosen, err := body.choose(r.Context(), a)
	if err != nil {
		return nil, err
	}
	p, err := purseFor(chosen, body.Amount, body.Key)
	if err != nil {
		return nil, err
	}
	tok, err := p.Purse.Send(r.Context(), body.Amount, body.Key)
	if err != nil {
		return nil, ecashError(err)
	}
	amount, err := tok.Amount()
	if err == nil && amount != body.Amount {
		return nil, adminError(http.StatusConflict, fmt.Errorf("key: %d %s were sent under it before, and not %d: use another key",
			amount, p.Unit, body.Amount))
	}
	var text string
	if err == nil {
		text, err = tok.Encode()
	}
	if err != nil {
		return nil, ecashError(err)
	}
	return map[string]any{"token": text, "mint": p.Mint, "unit": p.Unit, "amount": amount}, nil
}

// purseFor finds the purse to pay out of: the one that has paid under this key, else the fullest.
func purseFor(chosen []purseFacts, amount uint64, key string) (*purseFacts, error) {
	var best *purseFacts
	kinds := make(map[string]bool)
	for i := range chosen {
		p := &chosen[i]
		if p.Purse.Sent(key) {
			return p, nil
		}
		kinds[p.Mint+" "+p.Unit+" "+p.Name+" "+p.Wallet] = true
		if best == nil || p.Balance.Available > best.Balance.Available {
			best = p
		}
	}
	if len(kinds) > 1 {
		return nil, adminError(http.StatusConflict, fmt.Errorf("%d purses are meant: say which by mint, unit, name and wallet", len(kinds)))
	}
	if best.Balance.Available < amount {
		return nil, adminError(http.StatusConflict, fmt.Errorf("the purse has %d %s to send, not %d", best.Balance.Available, best.Unit, amount))
	}
	return best, nil
}

// redeemedFacts is what came of redeeming a purse.
type redeemedFacts struct {
	Mint   string              `json:"mint"`
	Unit   string              `json:"unit"`
	Name   string              `json:"name,omitempty"`
	Wallet string              `json:"wallet,omitempty"`
	Paid   []redeem.Redemption `json:"paid"`
	// Problem says why nothing, or no more, was paid. With InFlight the payment may still be
	// made.
	Problem  string `json:"problem,omitempty"`
	InFlight bool   `json:"in_flight,omitempty"`
}

// adminRedeem redeems now: POST /l402/cashu/redeem.
func (a *App) adminRedeem(r *http.Request) (any, error) {
	var choice purseChoice
	if err := readJSON(r, &choice); err != nil {
		return nil, err
	}
	if a.redemption == nil {
		return nil, adminError(http.StatusConflict, errors.New("redeem_to is not set: say in the cashu block of the global "+
			"l402 options who is to be paid"))
	}
	chosen, err := choice.choose(r.Context(), a)
	if err != nil {
		return nil, err
	}
	list := []redeemedFacts{}
	for _, p := range chosen {
		facts := redeemedFacts{Mint: p.Mint, Unit: p.Unit, Name: p.Name, Wallet: p.Wallet, Paid: []redeem.Redemption{}}
		job, err := a.redeemJob(&p)
		if err == nil {
			var paid []redeem.Redemption
			paid, err = redeemer.Redeem(r.Context(), job)
			facts.Paid = append(facts.Paid, paid...)
		}
		if err != nil {
			facts.Problem, facts.InFlight = err.Error(), errors.Is(err, redeem.ErrInFlight)
		}
		list = append(list, facts)
	}
	return map[string]any{"purses": list}, nil
}

// ecashError gives an error of a purse the status that fits.
func ecashError(err error) error {
	status := http.StatusServiceUnavailable
	switch {
	case errors.Is(err, purse.ErrTooLittle), errors.Is(err, purse.ErrDisputed), errors.Is(err, purse.ErrForeignMint):
		status = http.StatusConflict
	case errors.Is(err, token.ErrAmount), errors.Is(err, token.ErrMintURL):
		status = http.StatusBadRequest
	case errors.Is(err, mint.ErrRefused), errors.Is(err, wallets.ErrBadAnswer):
		status = http.StatusBadGateway
	}
	return adminError(status, err)
}

// restoreTimeout bounds a restore, which asks the mint for all that a seed ever made.
const restoreTimeout = 10 * time.Minute

// adminRestore finds the ecash of the seed at the mints: POST /l402/cashu/restore.
func (a *App) adminRestore(r *http.Request) (any, error) {
	var choice purseChoice
	if err := readJSON(r, &choice); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), restoreTimeout)
	defer cancel()
	if err := a.openForRestore(ctx, &choice); err != nil {
		return nil, err
	}
	chosen, err := choice.choose(r.Context(), a)
	if err != nil {
		return nil, err
	}
	type found struct {
		Mint   string `json:"mint"`
		Unit   string `json:"unit"`
		Name   string `json:"name,omitempty"`
		Wallet string `json:"wallet,omitempty"`
		Found  uint64 `json:"found"`
	}
	list := []found{}
	all := a.allPurses()
	for _, p := range chosen {
		if !p.Own {
			continue // its own seed's purse takes all of it
		}
		var beside []*purse.Purse
		for _, other := range all {
			if other.Purse != p.Purse && other.Unit == p.Unit && token.SameMint(other.Mint, p.Mint) {
				beside = append(beside, other.Purse)
			}
		}
		sum, err := p.Purse.Restore(ctx, beside...)
		if err != nil {
			return nil, ecashError(fmt.Errorf("%w; what was found so far is kept: the same call goes on", err))
		}
		list = append(list, found{p.Mint, p.Unit, p.Name, p.Wallet, sum})
	}
	return map[string]any{"purses": list}, nil
}

// openForRestore opens purses that nothing is known of, as after the loss of the storage, and refuses
// to restore beside other instances, which have ecash of the same seed.
func (a *App) openForRestore(ctx context.Context, choice *purseChoice) error {
	if len(a.mints()) == 0 {
		return nil // there are only wallets
	}
	alone, err := a.house().Alone(ctx)
	switch {
	case err != nil:
		return adminError(http.StatusServiceUnavailable, err)
	case !alone:
		return adminError(http.StatusConflict, errors.New("other instances of Caddy on this storage have ecash of the same seed, "+
			"which would be found again here: stop all but this one, and try again a few minutes later"))
	}
	if choice.Wallet != nil && *choice.Wallet != "" {
		return nil
	}
	var name string
	if choice.Name != nil {
		name = *choice.Name
	}
	units := []string{choice.Unit}
	if choice.Unit == "" {
		units = a.units()
	}
	for _, m := range a.mints() {
		if choice.Mint != "" && !token.SameMint(choice.Mint, m) {
			continue
		}
		for _, unit := range units {
			if _, err := a.house().Purse(ctx, purses.Key{Mint: m, Unit: unit, Name: name}); err != nil {
				return ecashError(err)
			}
		}
	}
	return nil
}
