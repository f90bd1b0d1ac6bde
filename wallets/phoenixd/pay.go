package phoenixd

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/httpjson"
	"github.com/caddy-l402/caddy-l402/wallets/internal/restpeer"
)

// payTime bounds the wait for a payment where the caller's context has no deadline.
const payTime = 2 * time.Minute

// sureFailures is how often a payment of unclear outcome must be seen failed to be taken for that.
const sureFailures = 3

// fee is what phoenixd charges for a payment: 4 sat and 0.4 %. It takes no limit from the caller.
func fee(amount lnwire.MilliSatoshi) lnwire.MilliSatoshi {
	return 4000 + (amount*4+999)/1000
}

// Pay pays a BOLT 11 invoice; it takes the password with full access. phoenixd's fee is fixed, at
// 4 sat and 0.4 %, so that a lower maxFee is refused with ErrPaymentFailed before anything is sent.
// It waits for the end of the payment, for two minutes if ctx has no deadline.
//
// Only an error that wraps ErrPaymentFailed or ErrBadInvoice means that no money left; after any
// other the payment may still succeed.
func (w *Wallet) Pay(ctx context.Context, text string, maxFee lnwire.MilliSatoshi) (lntypes.Preimage, error) {
	p, err := w.pay(ctx, text, maxFee)
	if err != nil {
		return lntypes.Preimage{}, w.peer.Fail("paying", err)
	}
	return p, nil
}

// payment is the answer to payinvoice: payment_sent or payment_failed.
type payment struct {
	Preimage string `json:"paymentPreimage"`
	Reason   string `json:"reason"`
}

func (w *Wallet) pay(ctx context.Context, text string, maxFee lnwire.MilliSatoshi) (lntypes.Preimage, error) {
	d, err := restpeer.Payable(text, w.peer.Network(), w.peer.Now())
	if err != nil {
		return lntypes.Preimage{}, err
	}
	if err := ctx.Err(); err != nil {
		return lntypes.Preimage{}, err
	}
	if f := fee(d.Amount); f > maxFee {
		return lntypes.Preimage{}, fmt.Errorf("%w: phoenixd charges %d msat for it, more than the limit of %d msat: "+
			"allow a higher fee", wallets.ErrPaymentFailed, uint64(f), uint64(maxFee))
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, payTime)
		defer cancel()
	}
	var out payment
	err = w.call(ctx, httpjson.Request{
		Method: http.MethodPost, Path: "payinvoice", Form: url.Values{"invoice": {d.PaymentRequest}}, Timeout: -1,
	}, &out)
	switch {
	case err == nil && out.Preimage != "":
		if p := restpeer.Proof(out.Preimage, d.PaymentHash); p != nil {
			return *p, nil
		}
		return lntypes.Preimage{}, fmt.Errorf("%w: it says that it paid, but the preimage does not fit", wallets.ErrBadAnswer)
	case ctx.Err() == nil && errors.Is(err, httpjson.ErrNotSent):
		return lntypes.Preimage{}, fmt.Errorf("%w: %w", wallets.ErrPaymentFailed, err)
	case errors.Is(err, wallets.ErrUnauthorized):
		return lntypes.Preimage{}, fmt.Errorf("paying takes http-password: %w", err)
	case errors.Is(err, wallets.ErrRateLimited):
		return lntypes.Preimage{}, err
	case err == nil && out.Reason != "":
		err = errors.New(w.peer.Clean(out.Reason))
		// An earlier attempt may have succeeded, or be on its way.
		return w.track(ctx, d.PaymentHash, err, true)
	case err == nil:
		err = fmt.Errorf("%w: neither a preimage nor a reason", wallets.ErrBadAnswer)
	}
	return w.track(ctx, d.PaymentHash, err, false)
}

// outgoing is a payment that phoenixd made or tries to make.
type outgoing struct {
	PaymentHash string `json:"paymentHash"`
	Preimage    string `json:"preimage"`
	IsPaid      bool   `json:"isPaid"`
	CompletedAt *int64 `json:"completedAt"`
}

// track follows a payment of unclear outcome; cause is why. ended says that phoenixd itself has
// given the attempt up, so that the lack of a payment is final.
func (w *Wallet) track(ctx context.Context, hash lntypes.Hash, cause error, ended bool) (lntypes.Preimage, error) {
	failures := 0
	for pause := w.peer.FirstRetry; ; pause = min(pause*2, w.peer.LastRetry) {
		if ctx.Err() != nil {
			return lntypes.Preimage{}, fmt.Errorf("%w: the payment may still succeed: %w", ctx.Err(), cause)
		}
		var out outgoing
		err := w.call(ctx, httpjson.Request{Path: "payments/outgoingbyhash/" + hash.String()}, &out)
		switch {
		case errors.Is(err, wallets.ErrNotFound):
			if ended {
				return lntypes.Preimage{}, fmt.Errorf("%w: %w", wallets.ErrPaymentFailed, cause)
			}
			// It may not have been written down yet.
		case errors.Is(err, wallets.ErrUnauthorized), errors.Is(err, wallets.ErrBadAnswer):
			return lntypes.Preimage{}, fmt.Errorf("%w: the payment may still succeed; asking for it: %w", cause, err)
		case err == nil && out.PaymentHash != hash.String():
			return lntypes.Preimage{}, fmt.Errorf("%w: asking for the payment gave another one: %w", wallets.ErrBadAnswer, cause)
		case err == nil && out.IsPaid:
			if p := restpeer.Proof(out.Preimage, hash); p != nil {
				return *p, nil
			}
			return lntypes.Preimage{}, fmt.Errorf("%w: it says that it paid, but the preimage does not fit", wallets.ErrBadAnswer)
		case err == nil && out.CompletedAt != nil:
			// It may be the failure of an earlier attempt.
			if failures++; ended || failures >= sureFailures {
				return lntypes.Preimage{}, fmt.Errorf("%w: %w", wallets.ErrPaymentFailed, cause)
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}
