package meter

import (
	"bufio"
	"context"
	"errors"
	"net"

	"github.com/caddy-l402/caddy-l402/internal/ledger"
)

// countedConn is a connection that was taken over, such as a websocket's. What is sent to the
// client is spent before it goes out; when the payment's bytes are used up the connection ends.
type countedConn struct {
	net.Conn
	held *ledger.Reservation
}

// countBytes wraps a connection and the buffers that come with it.
func countBytes(conn net.Conn, buffered *bufio.ReadWriter, held *ledger.Reservation) (net.Conn, *bufio.ReadWriter, error) {
	// What stands in the buffer already is the header of the answer.
	if err := buffered.Flush(); err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	counted := &countedConn{conn, held}
	return counted, bufio.NewReadWriter(buffered.Reader, bufio.NewWriter(counted)), nil
}

// Write implements net.Conn.
func (c *countedConn) Write(b []byte) (int, error) {
	// The request is over for its server, so that its context says nothing.
	if err := c.held.SpendBytes(context.Background(), int64(len(b))); err != nil {
		return 0, errors.Join(ErrBytesUsedUp, err, c.Close())
	}
	return c.Conn.Write(b)
}

// CloseWrite tells the client that nothing more comes, where the connection can.
func (c *countedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Close()
}

// Guard.
var _ net.Conn = (*countedConn)(nil)
