package lnbits

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

// ErrNoPreimage says that LNbits has paid and tells no preimage, as for some payments within one
// server. The money is gone; the payee knows that it came.
var ErrNoPreimage = errors.New("LNbits has paid, but tells no preimage: " +
	"show the token without one, and the gate asks its wallet")

// Pay pays a BOLT 11 invoice; it takes the admin key. LNbits takes no limit for the fee from the
// caller, so what it would reserve for fees is asked for first, and if that is more than maxFee
// nothing is sent and the error wraps ErrPaymentFailed. It waits for the end of the payment, for two
// minutes if ctx has no deadline. An invoice that the wallet has paid already gives its preimage
// again.
//
// Only an error that wraps ErrPaymentFailed or ErrBadInvoice means that no money left; after any
// other the payment may still succeed, and after ErrNoPreimage it has.
func (w *Wallet) Pay(ctx context.Context, text string, maxFee lnwire.MilliSatoshi) (lntypes.Preimage, error) {
	p, err := w.pay(ctx, text, maxFee)
	if err != nil {
		return lntypes.Preimage{}, w.peer.Fail("paying", err)
	}
	return p, nil
}

func (w *Wallet) pay(ctx context.Context, text string, maxFee lnwire.MilliSatoshi) (lntypes.Preimage, error) {
	d, err := restpeer.Payable(text, w.peer.Network(), w.peer.Now())
	if err != nil {
		return lntypes.Preimage{}, err
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, payTime)
		defer cancel()
	}
	if err := w.checkFee(ctx, d, maxFee); err != nil {
		return lntypes.Preimage{}, err
	}
	answer, err := w.peer.Do(ctx, httpjson.Request{Method: http.MethodPost, Path: "api/v1/payments", JSON: struct {
		Out    bool   `json:"out"`
		Bolt11 string `json:"bolt11"`
	}{true, d.PaymentRequest}, Timeout: -1})
	switch {
	case err != nil && ctx.Err() == nil && errors.Is(err, httpjson.ErrNotSent):
		return lntypes.Preimage{}, fmt.Errorf("%w: %w", wallets.ErrPaymentFailed, err)
	case err != nil:
		return w.track(ctx, d.PaymentHash, err, false)
	case refused(answer):
		return lntypes.Preimage{}, fmt.Errorf("paying takes the admin key: %w", refusal(answer))
	case answer.Status == http.StatusTooManyRequests:
		return lntypes.Preimage{}, refusal(answer)
	case answer.Status == http.StatusOK, answer.Status == http.StatusCreated:
		// Whether it has ended, the look-up tells.
		return w.track(ctx, d.PaymentHash, errors.New("it does not tell how the payment ended"), false)
	}
	_, status := readFailure(answer)
	// Status 400 is for what was refused before anything was tried.
	ended := answer.Status == statusPayment && status == stateFailed || answer.Status == http.StatusBadRequest
	return w.track(ctx, d.PaymentHash, refusal(answer), ended)
}

// checkFee asks what LNbits would reserve for fees, in millisatoshi.
func (w *Wallet) checkFee(ctx context.Context, d *wallets.Decoded, maxFee lnwire.MilliSatoshi) error {
	var out struct {
		FeeReserve *int64 `json:"fee_reserve"`
	}
	err := w.call(ctx, httpjson.Request{
		Path: "api/v1/payments/fee-reserve", Query: url.Values{"invoice": {d.PaymentRequest}},
	}, &out)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil && (out.FeeReserve == nil || *out.FeeReserve < 0):
		err = fmt.Errorf("%w: no fee_reserve", wallets.ErrBadAnswer)
	}
	if err != nil {
		return fmt.Errorf("%w: asking for the fee: %w", wallets.ErrPaymentFailed, err)
	}
	if fee := uint64(*out.FeeReserve); fee > uint64(maxFee) {
		return fmt.Errorf("%w: LNbits reserves %d msat for fees, more than the limit of %d msat: allow a higher fee",
			wallets.ErrPaymentFailed, fee, uint64(maxFee))
	}
	return nil
}

// track follows a payment of unclear outcome; cause is why. ended says that LNbits itself has given
// the attempt up, so that the lack of a payment is final.
func (w *Wallet) track(ctx context.Context, hash lntypes.Hash, cause error, ended bool) (lntypes.Preimage, error) {
	failures := 0
	for pause := w.peer.FirstRetry; ; pause = min(pause*2, w.peer.LastRetry) {
		if ctx.Err() != nil {
			return lntypes.Preimage{}, fmt.Errorf("%w: the payment may still succeed: %w", ctx.Err(), cause)
		}
		out, err := w.look(ctx, hash)
		// A payment to the wallet is the invoice itself, where that is the wallet's own.
		none := errors.Is(err, wallets.ErrNotFound) || err == nil && out.Details.Amount > 0
		if !none && err == nil && out.Details.Status == stateFailed {
			failures++
		}
		switch {
		case none || failures > 0:
			// It may not have been written down yet, and a failure may be that of an
			// earlier attempt.
			if ended || failures >= sureFailures {
				return lntypes.Preimage{}, fmt.Errorf("%w: %w", wallets.ErrPaymentFailed, cause)
			}
		case errors.Is(err, wallets.ErrUnauthorized), errors.Is(err, wallets.ErrBadAnswer):
			return lntypes.Preimage{}, fmt.Errorf("%w: the payment may still succeed; asking for it: %w", cause, err)
		case err == nil && out.Paid && out.Details.Status == stateSuccess:
			if p := restpeer.Proof(out.Details.Preimage, hash); p != nil {
				return *p, nil
			}
			if p := restpeer.Proof(out.Preimage, hash); p != nil {
				return *p, nil
			}
			return lntypes.Preimage{}, ErrNoPreimage
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}
