package purse

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

// Payment tells how the payment of an invoice goes that Pay began, without asking the mint. Its error
// is ErrNotFound where Pay began none, where it failed and the ecash is back, and where it ended
// longer than the retention ago; with ErrDisputed the payment comes too.
func (p *Purse) Payment(hash [32]byte) (*Payment, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	o := p.ops[paymentID(hash)]
	if o == nil || o.rec.Melt == nil {
		return nil, fmt.Errorf("looking up a payment: %w", ErrNotFound)
	}
	out := paymentOf(o.rec)
	if o.rec.State == stateDisputed {
		return out, fmt.Errorf("looking up a payment: %w: %s", ErrDisputed, o.rec.Problem)
	}
	return out, nil
}

// Payable is the most that one payment can take now: the invoice's amount and the fee reserve
// together, in the purse's unit, after the mint's fees for the swap before it and for the payment
// itself. It is less than what is available where that is in more proofs than a payment takes.
// Errors are those of the mint.
func (p *Purse) Payable(ctx context.Context) (uint64, error) {
	k, err := p.opts.Mint.Active(ctx, p.opts.Unit)
	if err != nil {
		return 0, fmt.Errorf("adding up what can be paid: %w", err)
	}
	proofs := p.available(k.ID)
	proofs = proofs[:min(len(proofs), token.MaxProofs)]
	fee, err := p.opts.Mint.Fee(ctx, proofs)
	if err != nil {
		return 0, fmt.Errorf("adding up what can be paid: %w", err)
	}
	sum, err := token.Sum(proofs)
	if err != nil || sum <= fee {
		return 0, err
	}
	net := sum - fee
	if keys := k.Keys.Amounts(); len(keys) > 0 {
		// One below the bound of denominate, and room for what the fee adds.
		net = min(net, saturated(keys[len(keys)-1], token.MaxProofs/2))
	}
	amounts, err := denominate(k, net)
	if err != nil {
		return 0, fmt.Errorf("adding up what can be paid: %w", err)
	}
	// The payment's own inputs cost a fee too. Less than the whole may take more proofs, though
	// not by more than the number has digits.
	spent := inputFee(k, len(amounts)+bits.Len64(net))
	return net - min(net, spent), nil
}

func saturated(a, b uint64) uint64 {
	if hi, lo := bits.Mul64(a, b); hi == 0 {
		return lo
	}
	return 1<<64 - 1
}

// Merge swaps many small proofs for few great ones until at most this many are left, or until that
// changes no more. It costs the mint's fee for inputs. Errors wrap ErrUnsettled, ErrStore or those of
// the mint.
func (p *Purse) Merge(ctx context.Context, most int) error {
	for {
		merged, err := p.mergeOnce(ctx, most)
		if err != nil {
			return fmt.Errorf("merging ecash: %w", err)
		}
		if !merged {
			return nil
		}
	}
}

func (p *Purse) mergeOnce(ctx context.Context, most int) (bool, error) {
	p.choosing.Lock()
	defer p.choosing.Unlock()
	k, err := p.opts.Mint.Active(ctx, p.opts.Unit)
	if err != nil {
		return false, err
	}
	proofs := p.available(k.ID)
	if len(proofs) <= most {
		return false, nil
	}
	slices.SortStableFunc(proofs, func(a, b token.Proof) int {
		switch {
		case a.Amount < b.Amount:
			return -1
		case a.Amount > b.Amount:
			return 1
		}
		return 0
	})
	proofs = proofs[:min(len(proofs), token.MaxProofs)]
	fee, err := p.opts.Mint.Fee(ctx, proofs)
	if err != nil {
		return false, err
	}
	sum, err := token.Sum(proofs)
	if err != nil || sum <= fee {
		return false, err
	}
	amounts, err := denominate(k, sum-fee)
	if errors.Is(err, token.ErrAmount) || err == nil && len(amounts) >= len(proofs) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, err = p.regroup(ctx, k, proofs, fee, amounts, len(amounts), newID("x"))
	return err == nil, err
}

// Sent tells whether Send took ecash out of this purse under a key, or is about to. It is for callers
// with several purses, who must repeat a payment out of the same one.
func (p *Purse) Sent(key string) bool { return key != "" && p.find(sendID(key)) != nil }
