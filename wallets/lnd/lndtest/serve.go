package lndtest

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/lnd/rpc"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

// Options are for a gRPC server that serves the node. All calls come through one handler, since
// only their names tell LND's services apart.
func (n *Node) Options() []grpc.ServerOption {
	return []grpc.ServerOption{grpc.ForceServerCodecV2(codec{}), grpc.UnknownServiceHandler(n.serve)}
}

func (n *Node) serve(_ any, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	n.mu.Lock()
	n.calls[method]++
	state := n.state
	n.mu.Unlock()
	if method != rpc.MethodGetState {
		if err := refuseInState(state); err != nil {
			return err
		}
	}
	if err := n.allow(stream.Context(), method); err != nil {
		return status.Error(codes.Unknown, err.Error())
	}
	if stop, err := n.misbehave(stream); stop {
		return err
	}
	switch method {
	case rpc.MethodAddInvoice:
		return unary(stream, n.addInvoice)
	case rpc.MethodAddHoldInvoice:
		return unary(stream, n.addHold)
	case rpc.MethodLookupInvoice:
		return unary(stream, func(in *rpc.PaymentHash) (*rpc.Invoice, error) { return n.lookup(in.RHash) })
	case rpc.MethodLookupInvoiceV2:
		return unary(stream, func(in *rpc.LookupInvoiceMsg) (*rpc.Invoice, error) { return n.lookup(in.PaymentHash) })
	case rpc.MethodListInvoices:
		return unary(stream, n.list)
	case rpc.MethodSettleInvoice:
		return unary(stream, n.settleHold)
	case rpc.MethodCancelInvoice:
		return unary(stream, n.cancelHold)
	case rpc.MethodGetState:
		return unary(stream, func(*rpc.GetStateRequest) (*rpc.GetStateResponse, error) {
			return &rpc.GetStateResponse{State: state}, nil
		})
	case rpc.MethodSubscribeInvoices:
		return n.subscribe(stream)
	case rpc.MethodSendPayment:
		return n.send(stream)
	case rpc.MethodTrackPayment:
		return n.track(stream)
	}
	return status.Errorf(codes.Unimplemented, "unknown method %s", method)
}

func refuseInState(s rpc.WalletState) error {
	switch s {
	case rpc.WalletState_RPC_ACTIVE, rpc.WalletState_SERVER_ACTIVE:
		return nil
	case rpc.WalletState_LOCKED:
		return status.Error(codes.Unknown, "wallet locked, unlock it to enable full RPC access")
	case rpc.WalletState_NON_EXISTING:
		return status.Error(codes.Unknown, "wallet not created, create one to enable full RPC access")
	}
	return status.Error(codes.Unknown, "waiting to start, RPC services not available")
}

// message is a pointer to T that is a protobuf message.
type message[T any] interface {
	*T
	proto.Message
}

func unary[In any, PIn message[In], Out proto.Message](stream grpc.ServerStream, f func(PIn) (Out, error)) error {
	in := PIn(new(In))
	if err := stream.RecvMsg(in); err != nil {
		return err
	}
	out, err := f(in)
	if err != nil {
		return err
	}
	return stream.SendMsg(out)
}

func (n *Node) addInvoice(in *rpc.InvoiceRequest) (*rpc.AddInvoiceResponse, error) {
	n.mu.Lock()
	n.private = in.Private
	n.mu.Unlock()
	issued, err := n.issue(in.Memo, in.ValueMsat, in.Expiry, nil)
	if err != nil {
		return nil, err
	}
	return &rpc.AddInvoiceResponse{RHash: issued.Hash[:], PaymentRequest: issued.Invoice}, nil
}

func (n *Node) addHold(in *rpc.AddHoldInvoiceRequest) (*rpc.AddHoldInvoiceResp, error) {
	hash, err := lntypes.MakeHash(in.Hash)
	if err != nil {
		return nil, status.Error(codes.Unknown, err.Error())
	}
	issued, err := n.issue(in.Memo, in.ValueMsat, in.Expiry, &hash)
	if err != nil {
		return nil, err
	}
	return &rpc.AddHoldInvoiceResp{PaymentRequest: issued.Invoice}, nil
}

func (n *Node) issue(memo string, msat, expiry int64, hold *lntypes.Hash) (*wallettest.Issued, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if hold != nil && n.find(hold[:]) != nil {
		return nil, status.Error(codes.Unknown, "invoice with payment hash already exists")
	}
	issued, err := n.signer.Issue(wallettest.Terms{
		Amount: lnwire.MilliSatoshi(msat), Memo: memo, Expiry: time.Duration(expiry) * time.Second,
		Hash: hold, Fault: n.fault,
	})
	if err != nil {
		return nil, status.Error(codes.Unknown, err.Error())
	}
	inv := &invoice{hash: issued.Hash, hold: hold != nil}
	inv.RHash = issued.Hash[:]
	inv.PaymentRequest = issued.Invoice
	inv.CreationDate = issued.CreatedAt.Unix()
	inv.Expiry = expiry
	if hold == nil {
		// As LND does, which knows it from the beginning.
		inv.RPreimage = issued.Preimage[:]
	}
	n.invoices = append(n.invoices, inv)
	n.tell(inv)
	return issued, nil
}

func (n *Node) lookup(hash []byte) (*rpc.Invoice, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	inv := n.find(hash)
	if inv == nil {
		return nil, status.Error(codes.NotFound, "unable to locate invoice")
	}
	return copyOf(inv), nil
}

// list pages backwards only; the index of an invoice is its place, from 1.
func (n *Node) list(in *rpc.ListInvoiceRequest) (*rpc.ListInvoiceResponse, error) {
	if !in.Reversed {
		return nil, status.Error(codes.Unimplemented, "the double lists backwards only")
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	end := len(n.invoices)
	if in.IndexOffset > 0 {
		end = min(end, int(in.IndexOffset)-1)
	}
	start := max(0, end-int(in.NumMaxInvoices))
	out := &rpc.ListInvoiceResponse{}
	for _, inv := range n.invoices[start:end] {
		out.Invoices = append(out.Invoices, copyOf(inv))
	}
	if len(out.Invoices) > 0 {
		out.FirstIndexOffset = uint64(start) + 1
	}
	return out, nil
}

func (n *Node) settleHold(in *rpc.SettleInvoiceMsg) (*rpc.SettleInvoiceResp, error) {
	p, err := lntypes.MakePreimage(in.Preimage)
	if err != nil {
		return nil, status.Error(codes.Unknown, err.Error())
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	hash := p.Hash()
	switch inv := n.find(hash[:]); {
	case inv == nil:
		return nil, status.Error(codes.Unknown, "unable to locate invoice")
	case inv.State == rpc.InvoiceState_OPEN:
		return nil, status.Error(codes.Unknown, "invoice still open")
	case inv.State == rpc.InvoiceState_ACCEPTED:
		inv.RPreimage = p[:]
		n.settle(inv)
	}
	return &rpc.SettleInvoiceResp{}, nil
}

func (n *Node) cancelHold(in *rpc.CancelInvoiceMsg) (*rpc.CancelInvoiceResp, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch inv := n.find(in.PaymentHash); {
	case inv == nil:
		return nil, status.Error(codes.Unknown, "unable to locate invoice")
	case inv.State == rpc.InvoiceState_SETTLED:
		return nil, status.Error(codes.Unknown, "invoice already settled")
	default:
		inv.State = rpc.InvoiceState_CANCELED
	}
	return &rpc.CancelInvoiceResp{}, nil
}

// subscribe sends the settlements after the index, unless that is 0, and then all that happens.
func (n *Node) subscribe(stream grpc.ServerStream) error {
	in := new(rpc.InvoiceSubscription)
	if err := stream.RecvMsg(in); err != nil {
		return err
	}
	n.mu.Lock()
	next := len(n.events)
	var past []*rpc.Invoice
	for _, inv := range n.invoices {
		if in.SettleIndex > 0 && inv.SettleIndex > in.SettleIndex {
			past = append(past, copyOf(inv))
		}
	}
	if !n.sqlOrder {
		slices.SortFunc(past, func(a, b *rpc.Invoice) int { return int(a.SettleIndex) - int(b.SettleIndex) })
	}
	n.mu.Unlock()
	for _, inv := range past {
		if err := stream.SendMsg(inv); err != nil {
			return err
		}
	}
	for {
		n.mu.Lock()
		now, changed := n.events[next:], n.changed
		n.mu.Unlock()
		for _, inv := range now {
			if err := stream.SendMsg(inv); err != nil {
				return err
			}
		}
		next += len(now)
		select {
		case <-changed:
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

func (n *Node) send(stream grpc.ServerStream) error {
	in := new(rpc.SendPaymentRequest)
	if err := stream.RecvMsg(in); err != nil {
		return err
	}
	d, err := wallets.DecodeInvoice(in.PaymentRequest)
	if err != nil {
		return status.Error(codes.Unknown, err.Error())
	}
	n.mu.Lock()
	n.lastFee = in.FeeLimitMsat
	p, known := n.payable[d.PaymentHash]
	paid, refusal, cut := n.paid[d.PaymentHash], n.refusal, n.cutStream
	n.cutStream = false
	if known && refusal == 0 {
		n.paid[d.PaymentHash] = true
	}
	n.mu.Unlock()
	switch {
	case paid:
		return status.Error(codes.AlreadyExists, "invoice is already paid")
	case cut:
		return status.Error(codes.Unavailable, "server is going away")
	case !known:
		refusal = rpc.PaymentFailureReason_FAILURE_REASON_NO_ROUTE
	}
	if refusal != 0 {
		return stream.SendMsg(&rpc.Payment{Status: rpc.PaymentStatus_FAILED, FailureReason: refusal})
	}
	return stream.SendMsg(success(d.PaymentHash, p))
}

func (n *Node) track(stream grpc.ServerStream) error {
	in := new(rpc.TrackPaymentRequest)
	if err := stream.RecvMsg(in); err != nil {
		return err
	}
	hash, err := lntypes.MakeHash(in.PaymentHash)
	if err != nil {
		return status.Error(codes.Unknown, err.Error())
	}
	n.mu.Lock()
	p, paid := n.payable[hash], n.paid[hash]
	n.mu.Unlock()
	if !paid {
		return status.Error(codes.NotFound, "payment isn't initiated")
	}
	return stream.SendMsg(success(hash, p))
}

func success(hash lntypes.Hash, p lntypes.Preimage) *rpc.Payment {
	return &rpc.Payment{
		PaymentHash: hash.String(), PaymentPreimage: p.String(), Status: rpc.PaymentStatus_SUCCEEDED,
	}
}

// misbehave plays the fault and tells whether the call ends with that.
func (n *Node) misbehave(stream grpc.ServerStream) (stop bool, err error) {
	n.mu.Lock()
	f, healed, text := n.fault, n.healed, n.text
	n.mu.Unlock()
	if text != "" {
		return true, status.Error(codes.Unknown, text)
	}
	ctx := stream.Context()
	switch f.Kind {
	case wallettest.Hang:
		return true, wait(ctx, healed, time.Hour)
	case wallettest.Slow:
		return false, wait(ctx, healed, f.Delay)
	case wallettest.Garbage:
		return true, stream.SendMsg(raw("\xff\xff\xff\xffno protobuf"))
	case wallettest.Huge:
		return true, stream.SendMsg(hugeAnswer)
	case wallettest.Disconnect:
		n.hangUp(ctx)
		return true, status.Error(codes.Unavailable, "hung up")
	case wallettest.Unauthorized:
		return true, status.Error(codes.Unknown, "verification failed: signature mismatch after caveat verification")
	case wallettest.ServerError:
		return true, status.Error(codes.Internal, fmt.Sprintf("panic at %s", n.echo(ctx)))
	}
	return false, nil
}

func wait(ctx context.Context, healed chan struct{}, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-healed:
		return status.Error(codes.Unavailable, "gave up")
	case <-timer.C:
		return nil
	}
}

// hugeAnswer is beyond what a client takes; it is made once for all answers.
var hugeAnswer = raw(strings.Repeat("\x0a\x04abcd", 1<<20))

// echo repeats the credential as a careless server would.
func (n *Node) echo(ctx context.Context) string {
	mac := macaroonOf(ctx)
	b, _ := hex.DecodeString(mac)
	return mac + " " + string(b)
}
