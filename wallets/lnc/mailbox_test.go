package lnc

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/lightninglabs/lightning-node-connect/hashmailrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/caddy-l402/caddy-l402/wallets/lnd/lndtest"
)

// mailServer is a double of a mailbox server: named boxes with one writer and one reader each,
// over gRPC and TLS, with the words of Aperture's.
type mailServer struct {
	hashmailrpc.UnimplementedHashMailServer
	address string
	cert    *lndtest.Certificate
	grpc    *grpc.Server

	mu    sync.Mutex
	boxes map[string]*box
	// silent drops all that is sent.
	silent bool
	opened int
	// eager makes both boxes of a pair when the first is wanted. A real server waits for the
	// node to want the second, which costs each new pair of boxes two to four seconds.
	eager bool
}

type box struct {
	letters        chan []byte
	reader, writer chan struct{}
	gone           chan struct{}
}

// newMailServer starts a mailbox server that ends with the test.
func newMailServer(t testing.TB) *mailServer {
	t.Helper()
	m := &mailServer{
		cert:  lndtest.NewCertificate(t, "localhost", time.Now().Add(time.Hour)),
		boxes: make(map[string]*box),
	}
	m.start(t, "127.0.0.1:0")
	return m
}

func (m *mailServer) start(t testing.TB, listen string) {
	t.Helper()
	l, err := net.Listen("tcp", listen)
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	m.address = "localhost:" + port
	m.grpc = grpc.NewServer(grpc.Creds(credentials.NewServerTLSFromCert(&m.cert.Pair)))
	hashmailrpc.RegisterHashMailServer(m.grpc, m)
	server, done := m.grpc, make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }() // ends by Stop
	t.Cleanup(func() { server.Stop(); <-done })
}

// restart loses all connections and boxes.
func (m *mailServer) restart(t testing.TB) {
	t.Helper()
	m.grpc.Stop()
	m.mu.Lock()
	m.boxes = make(map[string]*box)
	m.mu.Unlock()
	_, port, _ := net.SplitHostPort(m.address)
	m.start(t, "127.0.0.1:"+port)
}

func (m *mailServer) setSilent(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.silent = on
}

// occupied tells whether there is a box.
func (m *mailServer) occupied() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.boxes) > 0
}

// streams is how many streams were opened by now.
func (m *mailServer) streams() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.opened
}

// NewCipherBox implements hashmailrpc.HashMailServer.
func (m *mailServer) NewCipherBox(_ context.Context, in *hashmailrpc.CipherBoxAuth) (*hashmailrpc.CipherInitResp, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	name := string(in.GetDesc().GetStreamId())
	if m.boxes[name] != nil {
		return nil, status.Error(codes.AlreadyExists, "stream already active")
	}
	m.boxes[name] = newBox()
	if last := len(name) - 1; m.eager {
		other := name[:last] + string([]byte{name[last] ^ 1})
		if m.boxes[other] == nil {
			m.boxes[other] = newBox()
		}
	}
	return new(hashmailrpc.CipherInitResp), nil
}

func newBox() *box {
	return &box{
		letters: make(chan []byte, 64), gone: make(chan struct{}),
		reader: make(chan struct{}, 1), writer: make(chan struct{}, 1),
	}
}

// DelCipherBox implements hashmailrpc.HashMailServer.
func (m *mailServer) DelCipherBox(_ context.Context, in *hashmailrpc.CipherBoxAuth) (*hashmailrpc.DelCipherBoxResp, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	name := string(in.GetDesc().GetStreamId())
	b := m.boxes[name]
	if b == nil {
		return nil, status.Error(codes.Unknown, "stream not found")
	}
	delete(m.boxes, name)
	close(b.gone)
	return new(hashmailrpc.DelCipherBoxResp), nil
}

// take finds a box and takes one of its two ends.
func (m *mailServer) take(id []byte, end func(*box) chan struct{}) (*box, error) {
	m.mu.Lock()
	m.opened++
	b := m.boxes[string(id)]
	m.mu.Unlock()
	if b == nil {
		return nil, status.Error(codes.Unknown, "stream not found")
	}
	select {
	case end(b) <- struct{}{}:
		return b, nil
	case <-time.After(250 * time.Millisecond):
		return nil, status.Error(codes.Unknown, "stream occupied")
	}
}

// SendStream implements hashmailrpc.HashMailServer.
func (m *mailServer) SendStream(in hashmailrpc.HashMail_SendStreamServer) error {
	letter, err := in.Recv()
	if err != nil {
		return err
	}
	b, err := m.take(letter.GetDesc().GetStreamId(), func(b *box) chan struct{} { return b.writer })
	if err != nil {
		return err
	}
	defer func() { <-b.writer }()
	for {
		m.mu.Lock()
		silent := m.silent
		m.mu.Unlock()
		if !silent {
			select {
			case b.letters <- letter.GetMsg():
			case <-b.gone:
				return status.Error(codes.Unknown, "io: read/write on closed pipe")
			case <-in.Context().Done():
				return in.Context().Err()
			}
		}
		if letter, err = in.Recv(); err != nil {
			return err
		}
	}
}

// RecvStream implements hashmailrpc.HashMailServer.
func (m *mailServer) RecvStream(in *hashmailrpc.CipherBoxDesc, out hashmailrpc.HashMail_RecvStreamServer) error {
	b, err := m.take(in.GetStreamId(), func(b *box) chan struct{} { return b.reader })
	if err != nil {
		return err
	}
	defer func() { <-b.reader }()
	for {
		select {
		case letter := <-b.letters:
			if err := out.Send(&hashmailrpc.CipherBox{Desc: in, Msg: letter}); err != nil {
				return err
			}
		case <-b.gone:
			if len(b.letters) > 0 {
				continue
			}
			return status.Error(codes.Unknown, "EOF")
		case <-out.Context().Done():
			return out.Context().Err()
		}
	}
}
