package lnc

import (
	"bufio"
	"net"
	"sync"
	"time"
)

const (
	// maxRead is more than one message of the Noise session can hold.
	maxRead = 64 << 10
	// maxWrite is what goes into one message; its limit is 64 KiB with overhead.
	maxWrite = 32 << 10
)

// pipe is the Noise session as gRPC wants a connection: one that can be read in any portions,
// written in any portions, and that tells when it is over. The library's own reads need a buffer
// that holds a whole message, or bytes are lost.
type pipe struct {
	net.Conn
	reader *bufio.Reader
	lost   chan struct{}
	lose   func()
	// deadlines is for the library's setters, which are not safe for concurrent use.
	deadlines sync.Mutex
}

func newPipe(conn net.Conn) *pipe {
	lost := make(chan struct{})
	return &pipe{
		Conn: conn, reader: bufio.NewReaderSize(conn, maxRead),
		lost: lost, lose: sync.OnceFunc(func() { close(lost) }),
	}
}

// Read implements net.Conn.
func (p *pipe) Read(b []byte) (int, error) {
	// A longer b would be handed to the library as it is, which is fine too.
	n, err := p.reader.Read(b)
	if err != nil {
		p.lose()
	}
	return n, err
}

// Write implements net.Conn.
func (p *pipe) Write(b []byte) (written int, err error) {
	for len(b) > 0 {
		part := b[:min(len(b), maxWrite)]
		if _, err := p.Conn.Write(part); err != nil {
			p.lose()
			return written, err
		}
		written += len(part)
		b = b[len(part):]
	}
	return written, nil
}

// SetDeadline implements net.Conn.
func (p *pipe) SetDeadline(t time.Time) error {
	p.deadlines.Lock()
	defer p.deadlines.Unlock()
	return p.Conn.SetDeadline(t)
}

// SetReadDeadline implements net.Conn.
func (p *pipe) SetReadDeadline(t time.Time) error {
	p.deadlines.Lock()
	defer p.deadlines.Unlock()
	return p.Conn.SetReadDeadline(t)
}

// SetWriteDeadline implements net.Conn.
func (p *pipe) SetWriteDeadline(t time.Time) error {
	p.deadlines.Lock()
	defer p.deadlines.Unlock()
	return p.Conn.SetWriteDeadline(t)
}

// Close implements net.Conn.
func (p *pipe) Close() error {
	p.lose()
	return p.Conn.Close()
}

// Interface guards.
var _ net.Conn = (*pipe)(nil)
