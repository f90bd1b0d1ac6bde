package lnd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/lnd/rpc"
)

const (
	// attemptTime is how long LND looks for a route; a payment on its way takes longer.
	attemptTime = 60 * time.Second
	// payTime bounds the wait where the caller's context has no deadline.
	payTime = 2 * time.Minute
)

// Pay pays with SendPaymentV2 (needs offchain:write; offchain:read to follow a payment whose
// stream was lost or that was made before). It waits for the end of the payment, for two minutes
// if ctx has no deadline. An invoice that the node has paid already gives its preimage again.
//
// Only an error that wraps ErrPaymentFailed or ErrBadInvoice means that no money left; after any
// other the payment may still succeed.
func (c *Client) Pay(ctx context.Context, invoice string, maxFee lnwire.MilliSatoshi) (lntypes.Preimage, error) {
	const step = "paying"
	d, err := c.payable(invoice)
	if err != nil {
		return lntypes.Preimage{}, c.fail(step, err)
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, payTime)
		defer cancel()
	}
	p, err := c.pay(ctx, d, maxFee)
	if err != nil {
		return lntypes.Preimage{}, c.fail(step, err)
	}
	return p, nil
}

// payable checks the invoice before LND sees it.
func (c *Client) payable(invoice string) (*wallets.Decoded, error) {
	d, err := wallets.DecodeInvoice(invoice)
	if err != nil {
		return nil, err
	}
	net := c.opts.Load().Network
	switch {
	case d.Bolt12:
		return nil, fmt.Errorf("%w: LND cannot pay BOLT 12 invoices", wallets.ErrBadInvoice)
	case d.Network != net:
		return nil, fmt.Errorf("%w: it is for %s and the wallet for %s", wallets.ErrBadInvoice, d.Network, net)
	case d.Amount == 0:
		return nil, fmt.Errorf("%w: it names no amount", wallets.ErrBadInvoice)
	case !c.now().Before(d.ExpiresAt):
		return nil, fmt.Errorf("%w: it expired at %s", wallets.ErrBadInvoice, d.ExpiresAt.UTC().Format(time.RFC3339))
	}
	return d, nil
}

func (c *Client) pay(ctx context.Context, d *wallets.Decoded, maxFee lnwire.MilliSatoshi) (lntypes.Preimage, error) {
	deadline, _ := ctx.Deadline()
	// LND should give up before we do, so that its answer is final.
	attempts := min(attemptTime, time.Until(deadline)*9/10)
	send := &rpc.SendPaymentRequest{
		PaymentRequest:    d.PaymentRequest,
		TimeoutSeconds:    int32(max(attempts/time.Second, 1)),
		FeeLimitMsat:      int64(min(uint64(maxFee), math.MaxInt64)),
		NoInflightUpdates: true,
	}
	p, sent, err := c.outcome(ctx, d.PaymentHash, rpc.MethodSendPayment, send)
	if err == nil || !sent || !mayBeUnderWay(err) {
		return p, c.told(ctx, err)
	}
	return c.track(ctx, d.PaymentHash)
}

// track follows a payment that may have begun until LND tells its end.
func (c *Client) track(ctx context.Context, hash lntypes.Hash) (lntypes.Preimage, error) {
	in := &rpc.TrackPaymentRequest{PaymentHash: hash[:], NoInflightUpdates: true}
	for pause := c.firstRetry; ; pause = min(pause*2, c.lastRetry) {
		select {
		case <-ctx.Done():
			return lntypes.Preimage{}, fmt.Errorf("%w: the payment may still succeed", ctx.Err())
		case <-time.After(pause):
		}
		p, _, err := c.outcome(ctx, hash, rpc.MethodTrackPayment, in)
		switch {
		case status.Code(err) == codes.NotFound:
			return p, fmt.Errorf("%w: LND never began it", wallets.ErrPaymentFailed)
		case err == nil || !mayBeUnderWay(err):
			return p, c.told(ctx, err)
		}
	}
}

// told gives the error of an outcome as the caller shall see it.
func (c *Client) told(ctx context.Context, err error) error {
	var final *finalError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &final):
		return final.err
	}
	return c.classify(ctx, err)
}

// finalError is an outcome that LND told, as against an error of the call.
type finalError struct{ err error }

func (e *finalError) Error() string { return e.err.Error() }

// mayBeUnderWay tells whether a payment may have begun although the call failed.
func mayBeUnderWay(err error) bool {
	if errors.Is(err, io.EOF) {
		return true
	}
	s, ok := status.FromError(err)
	if !ok {
		return false
	}
	switch s.Code() {
	case codes.AlreadyExists:
		return true
	case codes.Unknown, codes.PermissionDenied, codes.Unauthenticated, codes.InvalidArgument,
		codes.Unimplemented, codes.ResourceExhausted, codes.FailedPrecondition:
		return false
	}
	return true
}

// outcome reads a stream of payment updates to the final one. sent is false when the request
// cannot have reached LND. Its errors are those of gRPC, or a finalError.
func (c *Client) outcome(ctx context.Context, hash lntypes.Hash, method string, in proto.Message) (p lntypes.Preimage, sent bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := rpc.Open[rpc.Payment](ctx, c.conn, method, in)
	if err != nil {
		return p, false, err
	}
	for {
		up, err := stream.Recv()
		if err != nil {
			return p, true, err
		}
		switch up.Status {
		case rpc.PaymentStatus_SUCCEEDED:
			preimage, err := lntypes.MakePreimageFromStr(up.PaymentPreimage)
			if err != nil || !preimage.Matches(hash) {
				return p, true, &finalError{fmt.Errorf(
					"%w: LND says it paid but its preimage does not fit", wallets.ErrBadAnswer)}
			}
			return preimage, true, nil
		case rpc.PaymentStatus_FAILED:
			return p, true, &finalError{fmt.Errorf("%w: %s",
				wallets.ErrPaymentFailed, failureReason(up.FailureReason))}
		}
	}
}

func failureReason(r rpc.PaymentFailureReason) string {
	switch r {
	case rpc.PaymentFailureReason_FAILURE_REASON_TIMEOUT:
		return "no route worked in time"
	case rpc.PaymentFailureReason_FAILURE_REASON_NO_ROUTE:
		return "no route to the payee within the fee limit"
	case rpc.PaymentFailureReason_FAILURE_REASON_INCORRECT_PAYMENT_DETAILS:
		return "the payee refuses it: unknown, expired or paid already"
	case rpc.PaymentFailureReason_FAILURE_REASON_INSUFFICIENT_BALANCE:
		return "not enough balance in the channels"
	case rpc.PaymentFailureReason_FAILURE_REASON_CANCELED:
		return "it was canceled"
	}
	return "LND names no reason"
}
