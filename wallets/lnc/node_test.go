package lnc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btclog/v2"
	"github.com/lightninglabs/lightning-node-connect/hashmailrpc"
	"github.com/lightninglabs/lightning-node-connect/mailbox"
	"github.com/lightningnetwork/lnd/keychain"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/lnd/lndtest"
)

// peer is a node with one session of Lightning Node Connect: the double of LND behind the real
// library's server side.
type peer struct {
	node     *lndtest.Node
	mail     *mailServer
	phrase   string
	macaroon []byte
	data     *mailbox.ConnData

	mu     sync.Mutex
	lis    *mailListener
	server *grpc.Server
	done   chan struct{}
}

// newPeer makes a session whose macaroon has the rights and has the node wait in the mailbox.
func newPeer(t testing.TB, rights []string) *peer {
	t.Helper()
	node := lndtest.New(t, wallets.Regtest)
	mac := node.Bake(t, rights)
	return newPeerWith(t, node, mac, "Macaroon: "+hex.EncodeToString(mac))
}

func newPeerWith(t testing.TB, node *lndtest.Node, mac []byte, authData string) *peer {
	t.Helper()
	words, entropy, err := mailbox.NewPassphraseEntropy()
	if err != nil {
		t.Fatal(err)
	}
	key, err := btcec.NewPrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{node: node, mail: newMailServer(t), phrase: strings.Join(words[:], " "), macaroon: mac}
	p.mail.eager = true
	p.data = mailbox.NewConnData(&keychain.PrivKeyECDH{PrivKey: key}, nil, entropy[:], []byte(authData), nil, nil)
	p.start(t)
	t.Cleanup(p.stop)
	return p
}

func (p *peer) start(t testing.TB) {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(p.mail.cert.PEM)
	// The node's last word must arrive too, or the wallet finds out by its silence only.
	var post courier
	box, err := grpc.NewClient("dns:///"+p.mail.address, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
		RootCAs: pool, ServerName: "localhost"})), grpc.WithStreamInterceptor(post.intercept))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	lis := &mailListener{address: p.mail.address, data: p.data, box: box, ctx: ctx, cancel: cancel}
	server := grpc.NewServer(append(p.node.Options(), grpc.Creds(mailbox.NewNoiseGrpcConn(p.data)))...)
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(lis) }() // ends by stop
	p.mu.Lock()
	p.lis, p.server, p.done = lis, server, done
	p.mu.Unlock()
	// A wallet that comes too early would try again after two seconds.
	for end := time.Now().Add(10 * time.Second); !p.mail.occupied(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the node does not come to the mailbox")
		}
	}
}

// stop has the node go offline.
func (p *peer) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.server == nil {
		return
	}
	_ = p.lis.Close()
	p.server.Stop()
	<-p.done
	_ = p.lis.box.Close()
	p.server = nil
}

// hangUp ends the connection that there is.
func (p *peer) hangUp() {
	p.mu.Lock()
	lis := p.lis
	p.mu.Unlock()
	lis.hangUp()
}

// connections is how many connections were accepted.
func (p *peer) connections() int {
	p.mu.Lock()
	lis := p.lis
	p.mu.Unlock()
	lis.mu.Lock()
	defer lis.mu.Unlock()
	return lis.accepted
}

// mailListener accepts one connection at a time through a mailbox. It is what the library's own
// listener does, but lets go of its connection to the mailbox.
type mailListener struct {
	address string
	data    *mailbox.ConnData
	box     *grpc.ClientConn
	ctx     context.Context
	cancel  context.CancelFunc

	sid [64]byte // used by Accept alone

	mu       sync.Mutex
	conn     *mailbox.ServerConn
	accepted int
}

// Accept implements net.Listener.
func (l *mailListener) Accept() (net.Conn, error) {
	l.mu.Lock()
	last := l.conn
	l.mu.Unlock()
	if last != nil {
		select {
		case <-last.Done():
		case <-l.ctx.Done():
			return nil, io.EOF
		}
	}
	sid, err := l.data.SID()
	if err != nil {
		return nil, err
	}
	if last != nil && sid != l.sid {
		_ = last.Stop()
		last = nil
	}
	l.sid = sid
	var conn *mailbox.ServerConn
	if last == nil {
		conn, err = mailbox.NewServerConn(l.ctx, l.address, hashmailrpc.NewHashMailClient(l.box), sid, btclog.Disabled, nil)
	} else {
		conn, err = mailbox.RefreshServerConn(last)
	}
	if l.ctx.Err() != nil {
		return nil, io.EOF // a connection that was not made yet ends by its context
	}
	if err != nil {
		return nil, temporary{err}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn = conn
	l.accepted++
	return conn, nil
}

func (l *mailListener) hangUp() {
	l.mu.Lock()
	conn := l.conn
	l.mu.Unlock()
	if conn != nil {
		_ = conn.Close()
	}
}

// Close implements net.Listener.
func (l *mailListener) Close() error {
	enough := time.AfterFunc(farewell, l.cancel) // while the mailbox is away it takes for ever
	defer enough.Stop()
	l.hangUp()
	l.cancel()
	return nil
}

// Addr implements net.Listener.
func (l *mailListener) Addr() net.Addr { return &mailbox.Addr{Server: l.address} }

// temporary is an error after which gRPC accepts again.
type temporary struct{ error }

// Temporary tells gRPC so.
func (temporary) Temporary() bool { return true }

var errDown = errors.New("storage is down")
