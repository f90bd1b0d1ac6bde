package lnc

import (
	"context"
	"sync"
	"time"

	"github.com/lightninglabs/lightning-node-connect/hashmailrpc"
	"google.golang.org/grpc"
)

// farewell is how long the last word to the node may take to leave.
const farewell = time.Second

// courier sees to it that the node hears that we hang up. The library says so and drops its
// stream in the same breath, which often drops the word as well; the node then holds on to the
// dead connection for many seconds, in which there can be no other. It is safe for concurrent use.
type courier struct {
	mu   sync.Mutex
	last grpc.ClientStream
}

// intercept keeps the stream that we send in open for a while after its context ended.
func (c *courier) intercept(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string,
	open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	if !desc.ClientStreams {
		return open(ctx, desc, cc, method, opts...)
	}
	late, cancel := context.WithCancel(context.WithoutCancel(ctx))
	context.AfterFunc(ctx, func() { time.AfterFunc(farewell, cancel) })
	stream, err := open(late, desc, cc, method, opts...)
	if err != nil {
		cancel()
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = stream
	return stream, nil
}

// wait waits until the mailbox has taken everything that was sent. The stream was closed, and its
// context has ended, before, so that it takes no longer than farewell.
func (c *courier) wait() {
	c.mu.Lock()
	stream := c.last
	c.mu.Unlock()
	if stream != nil {
		// The mailbox answers the end of a stream with an error or nothing at all.
		_ = stream.RecvMsg(new(hashmailrpc.CipherBoxDesc))
	}
}
