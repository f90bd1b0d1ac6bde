package lnc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/lightninglabs/lightning-node-connect/mailbox"
	"github.com/lightningnetwork/lnd/keychain"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"gopkg.in/macaroon.v2"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/lnd"
)

const (
	// maxAnswer bounds one message of the node.
	maxAnswer = 4 << 20
	// maxHeaders bounds the headers of an answer.
	maxHeaders = 64 << 10
	// maxFile bounds what is read from the file of certificates.
	maxFile = 1 << 20
)

// link is one connection to the node: gRPC, in a Noise session, in a stream of packets that are
// sent again when they get lost, in two mailboxes of a server that only sees noise.
type link struct {
	cc       *grpc.ClientConn
	macaroon *macaroon.Macaroon
	// header is the macaroon as LND wants it.
	header string
	// lost is closed when the connection has ended.
	lost <-chan struct{}
	// close ends the connection and waits for what belongs to it.
	close func()
}

// dialer makes links. Its fields do not change.
type dialer struct {
	entropy   entropy
	mailbox   string
	ca        string
	complaint *complaint
}

// dial makes a link. With remote it takes the handshake of a paired client and otherwise the
// first one, with the phrase; paired is then called with the node's key. Within timeout the link
// stands or dial returns an error. From then on it lives until it is closed or lost.
func (d *dialer) dial(ctx context.Context, timeout time.Duration, local *btcec.PrivateKey, remote *btcec.PublicKey,
	paired func(*btcec.PublicKey)) (_ *link, err error) {
	// The link outlives the caller's context for as long as it takes to say goodbye.
	parent := ctx
	ctx, cancel := context.WithCancel(context.WithoutCancel(parent))
	unhook := context.AfterFunc(parent, cancel)
	cleanup := cancel
	defer func() {
		if what := recover(); what != nil {
			err = panicked(what)
		}
		if err != nil {
			cleanup()
		}
	}()
	// The library takes no deadline but ends with its context.
	watch := time.AfterFunc(timeout, cancel)

	var post courier
	box, err := d.connectMailbox(&post)
	if err != nil {
		return nil, err
	}
	cleanup = func() { cancel(); _ = box.Close() }
	data := mailbox.NewConnData(&keychain.PrivKeyECDH{PrivKey: local}, remote, d.entropy[:], nil,
		func(key *btcec.PublicKey) error { paired(key); return nil }, nil)
	client, err := mailbox.NewClient(ctx, d.mailbox, data, mailbox.WithGrpcConn(box))
	if err != nil {
		return nil, fmt.Errorf("preparing connection: %s", clean(err.Error()))
	}
	raw, err := client.Dial(ctx, "")
	if err != nil || ctx.Err() != nil {
		return nil, errors.New(d.complaint.reason())
	}
	cleanup = func() {
		// While the mailbox is away the library tries for ever to say goodbye.
		enough := time.AfterFunc(farewell, cancel)
		defer enough.Stop()
		_ = raw.Close()
		cancel()
		post.wait()
		_ = box.Close()
	}
	noise, _, err := mailbox.NewNoiseGrpcConn(data).ClientHandshake(ctx, "", raw)
	if err != nil {
		return nil, fmt.Errorf("shaking hands with the node: %s", clean(err.Error()))
	}
	mac, err := parseAuthData(data.AuthData())
	if err != nil {
		return nil, err
	}
	encoded, err := mac.MarshalBinary()
	if err != nil {
		return nil, errors.New("encoding macaroon")
	}
	conn := newPipe(noise)
	cc, err := overPipe(conn)
	if err != nil {
		return nil, err
	}
	closing := cleanup
	cleanup = func() {
		enough := time.AfterFunc(farewell, cancel)
		defer enough.Stop()
		_ = cc.Close() // which closes what lies below, too
		closing()
	}
	if err := ready(ctx, cc); err != nil {
		return nil, err
	}
	if !watch.Stop() || !unhook() {
		return nil, fmt.Errorf("not connected within %s", timeout)
	}
	return &link{
		cc: cc, macaroon: mac, header: hex.EncodeToString(encoded), lost: conn.lost, close: sync.OnceFunc(cleanup),
	}, nil
}

// connectMailbox prepares the connection to the mailbox's server.
func (d *dialer) connectMailbox(post *courier) (*grpc.ClientConn, error) {
	host, _, err := net.SplitHostPort(d.mailbox)
	if err != nil {
		return nil, fmt.Errorf("mailbox: %w", err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	if d.ca != "" {
		if config.RootCAs, err = readCertificates(d.ca); err != nil {
			return nil, fmt.Errorf("reading mailbox_ca: %w", err)
		}
	}
	return grpc.NewClient("dns:///"+d.mailbox,
		grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithChainStreamInterceptor(d.complaint.intercept, post.intercept),
		grpc.WithMaxHeaderListSize(maxHeaders),
		grpc.WithDisableServiceConfig(),
		grpc.WithUserAgent("caddy-l402"),
	)
}

func readCertificates(path string) (*x509.CertPool, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return nil, err
	}
	certs, err := lnd.ParseCertificates(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	pool := x509.NewCertPool()
	for _, cert := range certs {
		pool.AddCert(cert)
	}
	return pool, nil
}

// overPipe speaks gRPC over a connection that stands. When that is lost it makes no other: the
// session does.
func overPipe(conn *pipe) (*grpc.ClientConn, error) {
	given := make(chan net.Conn, 1)
	given <- conn
	return grpc.NewClient("passthrough:///lnc",
		// What goes through the pipe is encrypted and authenticated by Noise.
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
			select {
			case c := <-given:
				return c, nil
			default:
				return nil, errors.New("connection through the mailbox was lost")
			}
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)),
		grpc.WithMaxHeaderListSize(maxHeaders),
		grpc.WithDisableServiceConfig(),
		grpc.WithDisableRetry(),
		grpc.WithIdleTimeout(0), // an idle connection must stay, since the next one takes long
		grpc.WithUserAgent("caddy-l402"),
	)
}

// ready waits until the node has said its first word, by which it proves that it finished the
// handshake too.
func ready(ctx context.Context, cc *grpc.ClientConn) error {
	cc.Connect()
	for {
		switch state := cc.GetState(); state {
		case connectivity.Ready:
			return nil
		case connectivity.TransientFailure, connectivity.Shutdown:
			return fmt.Errorf("%w: the node hung up after the handshake", wallets.ErrUnavailable)
		default:
			if !cc.WaitForStateChange(ctx, state) {
				return fmt.Errorf("%w: the node is silent after the handshake", wallets.ErrUnavailable)
			}
		}
	}
}
