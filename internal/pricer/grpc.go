package pricer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/caddy-l402/caddy-l402/internal/pricer/rpc"
)

// overGRPC asks a program as Aperture asks one.
type overGRPC struct {
	config Config
	tls    *tls.Config

	mu     sync.Mutex
	conn   *grpc.ClientConn
	closed bool
}

// client gives the connection. It is not made before it is needed because it has goroutines.
func (o *overGRPC) client() (*grpc.ClientConn, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return nil, net.ErrClosed
	}
	if o.conn != nil {
		return o.conn, nil
	}
	target, creds := "dns:///"+o.config.Address, credentials.NewTLS(o.tls)
	if strings.HasPrefix(o.config.Address, "unix:") {
		target = o.config.Address
	}
	if o.config.Insecure || strings.HasPrefix(target, "unix:") {
		creds = insecure.NewCredentials()
	}
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(creds),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)), grpc.WithMaxHeaderListSize(maxAnswer),
		grpc.WithDisableServiceConfig(), grpc.WithDisableRetry(), grpc.WithNoProxy(), grpc.WithUserAgent("caddy-l402"))
	if err != nil {
		return nil, errors.New("preparing the connection") // the error would repeat the address
	}
	o.conn = conn
	return conn, nil
}

func (o *overGRPC) ask(ctx context.Context, q Question) (Price, error) {
	conn, err := o.client()
	if err != nil {
		return Price{}, err
	}
	if o.config.Secret != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+o.config.Secret)
	}
	answer, err := rpc.GetPrice(ctx, conn, &rpc.GetPriceRequest{Path: q.Path, HttpRequestText: q.text()})
	if err != nil {
		if status.Code(err) == codes.DeadlineExceeded {
			// The program hears of the deadline and may say so a moment before our own clock does.
			return Price{}, context.DeadlineExceeded
		}
		// What the program says may repeat what the client sent.
		cause := ""
		if strings.Contains(status.Convert(err).Message(), "x509: ") {
			cause = ": its certificate is not trusted: set ca to it or to that of its authority"
		}
		return Price{}, fmt.Errorf("%w: gRPC status %s%s", ErrAnswer, status.Code(err), cause)
	}
	price, err := readSats(answer.GetPriceSats())
	if err != nil && !errors.Is(err, ErrFree) {
		err = fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	return price, err
}

func (o *overGRPC) close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	if o.conn == nil {
		return nil
	}
	conn := o.conn
	o.conn = nil
	return conn.Close()
}

// Guards.
var _ asker = (*overGRPC)(nil)
