package rpc

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// The methods by the names that LND gives them.
const (
	MethodAddInvoice        = "/lnrpc.Lightning/AddInvoice"
	MethodLookupInvoice     = "/lnrpc.Lightning/LookupInvoice"
	MethodListInvoices      = "/lnrpc.Lightning/ListInvoices"
	MethodSubscribeInvoices = "/lnrpc.Lightning/SubscribeInvoices"
	MethodLookupInvoiceV2   = "/invoicesrpc.Invoices/LookupInvoiceV2"
	MethodAddHoldInvoice    = "/invoicesrpc.Invoices/AddHoldInvoice"
	MethodSettleInvoice     = "/invoicesrpc.Invoices/SettleInvoice"
	MethodCancelInvoice     = "/invoicesrpc.Invoices/CancelInvoice"
	MethodSendPayment       = "/routerrpc.Router/SendPaymentV2"
	MethodTrackPayment      = "/routerrpc.Router/TrackPaymentV2"
	MethodGetState          = "/lnrpc.State/GetState"
)

// Call makes a unary call and reads the answer into out.
func Call(ctx context.Context, conn grpc.ClientConnInterface, method string, in, out proto.Message) error {
	return conn.Invoke(ctx, method, in, out)
}

// Stream is the receiving end of a call that LND answers with any number of messages.
type Stream[T any, M interface {
	*T
	proto.Message
}] struct {
	stream grpc.ClientStream
}

// Open starts a streaming call. It ends with ctx, which the caller must end sooner or later.
func Open[T any, M interface {
	*T
	proto.Message
}](ctx context.Context, conn grpc.ClientConnInterface, method string, in proto.Message) (*Stream[T, M], error) {
	s, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, method)
	if err != nil {
		return nil, err
	}
	// An io.EOF from sending only says that the answer has the reason: Recv tells it.
	if err := s.SendMsg(in); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if err := s.CloseSend(); err != nil {
		return nil, err
	}
	return &Stream[T, M]{s}, nil
}

// Recv waits for the next message. The error is io.EOF when LND ends the stream in good order.
func (s *Stream[T, M]) Recv() (M, error) {
	m := M(new(T))
	if err := s.stream.RecvMsg(m); err != nil {
		return nil, err
	}
	return m, nil
}
