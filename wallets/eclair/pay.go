package eclair

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/httpjson"
	"github.com/caddy-l402/caddy-l402/wallets/internal/restpeer"
)

const (
	// payTime bounds the wait for a payment where the caller's context has no deadline.
	payTime = 2 * time.Minute
	// sureFailures is how often a payment of unclear outcome must be seen failed to be taken
	// for that.
	sureFailures = 3
)

// Pay pays a BOLT 11 invoice with payinvoice, with whole satoshis of maxFee as the limit for fees. It
// waits for the end of the payment, for two minutes if ctx has no deadline. An invoice that the node
// has paid already gives its preimage again.
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

// payment is the answer to payinvoice: an event payment-sent or payment-failed.
type payment struct {
	Type        string `json:"type"`
	PaymentHash string `json:"paymentHash"`
	Preimage    string `json:"paymentPreimage"`
}

func (w *Wallet) pay(ctx context.Context, text string, maxFee lnwire.MilliSatoshi) (lntypes.Preimage, error) {
	d, err := restpeer.Payable(text, w.peer.Network(), w.peer.Now())
	if err != nil {
		return lntypes.Preimage{}, err
	}
	if err := ctx.Err(); err != nil {
		return lntypes.Preimage{}, err
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, payTime)
		defer cancel()
	}
	deadline, _ := ctx.Deadline()
	// Eclair should answer before we stop to wait.
	wait := max(time.Until(deadline)*8/10, time.Second)
	var out payment
	err = w.long(ctx, "payinvoice", url.Values{
		"invoice":  {d.PaymentRequest},
		"blocking": {"true"},
		// The greater one of the two is Eclair's limit.
		"maxFeeFlatSat":  {strconv.FormatUint(min(uint64(maxFee)/1000, math.MaxInt32), 10)},
		"maxFeePct":      {"0"},
		"timeoutSeconds": {strconv.FormatInt(int64(wait/time.Second), 10)},
	}, &out, -1)
	switch {
	case err == nil && out.Type == "payment-sent":
		if p := restpeer.Proof(out.Preimage, d.PaymentHash); p != nil {
			return *p, nil
		}
		return lntypes.Preimage{}, fmt.Errorf("%w: it says that it paid, but the preimage does not fit", wallets.ErrBadAnswer)
	case err == nil && out.Type == "payment-failed":
		// An earlier attempt may have succeeded, or be on its way.
		return w.track(ctx, d.PaymentHash, errors.New("the payment failed, see the node's log"), true)
	case err == nil:
		err = fmt.Errorf("%w: neither a success nor a failure", wallets.ErrBadAnswer)
	case ctx.Err() == nil && errors.Is(err, httpjson.ErrNotSent):
		return lntypes.Preimage{}, fmt.Errorf("%w: %w", wallets.ErrPaymentFailed, err)
	case errors.Is(err, wallets.ErrUnauthorized), errors.Is(err, wallets.ErrRateLimited):
		return lntypes.Preimage{}, err
	}
	return w.track(ctx, d.PaymentHash, err, false)
}

// sent is an attempt to pay: an entry of the answer to getsentinfo.
type sent struct {
	PaymentHash string `json:"paymentHash"`
	Status      struct {
		Type     string `json:"type"`
		Preimage string `json:"paymentPreimage"`
	} `json:"status"`
}

// track follows a payment of unclear outcome; cause is why. ended says that Eclair itself has given
// the attempt up, so that the lack of a payment is final.
func (w *Wallet) track(ctx context.Context, hash lntypes.Hash, cause error, ended bool) (lntypes.Preimage, error) {
	failures := 0
	for pause := w.peer.FirstRetry; ; pause = min(pause*2, w.peer.LastRetry) {
		if ctx.Err() != nil {
			return lntypes.Preimage{}, fmt.Errorf("%w: the payment may still succeed: %w", ctx.Err(), cause)
		}
		state, preimage, err := w.outcome(ctx, hash)
		switch {
		case errors.Is(err, wallets.ErrUnauthorized), errors.Is(err, wallets.ErrBadAnswer):
			return lntypes.Preimage{}, fmt.Errorf("%w: the payment may still succeed; asking for it: %w", cause, err)
		case err != nil:
		case state == "sent":
			if p := restpeer.Proof(preimage, hash); p != nil {
				return *p, nil
			}
			return lntypes.Preimage{}, fmt.Errorf("%w: it says that it paid, but the preimage does not fit", wallets.ErrBadAnswer)
		case state == "pending":
			failures = 0
		case state == "failed":
			// It may be the failure of an earlier attempt.
			failures++
		}
		none := err == nil && (state == "" || state == "failed")
		if none && ended || failures >= sureFailures {
			return lntypes.Preimage{}, fmt.Errorf("%w: %w", wallets.ErrPaymentFailed, cause)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// outcome asks for the attempts to pay the hash and gives the state of the one that went furthest:
// sent, pending, failed, or nothing where there was none.
func (w *Wallet) outcome(ctx context.Context, hash lntypes.Hash) (state, preimage string, err error) {
	var attempts *[]sent
	if err := w.call(ctx, "getsentinfo", url.Values{"paymentHash": {hash.String()}}, &attempts); err != nil {
		return "", "", err
	}
	if attempts == nil {
		return "", "", fmt.Errorf("%w: no list of payments", wallets.ErrBadAnswer)
	}
	rank := map[string]int{"failed": 1, "pending": 2, "sent": 3}
	for _, a := range *attempts {
		if a.PaymentHash == hash.String() && rank[a.Status.Type] > rank[state] {
			state, preimage = a.Status.Type, a.Status.Preimage
		}
	}
	return state, preimage, nil
}
