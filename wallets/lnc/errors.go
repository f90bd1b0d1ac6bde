package lnc

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const maxErrorText = 300

// longRun matches whatever could be a key, a macaroon or the name of a mailbox, which whoever
// knows it can block.
var longRun = regexp.MustCompile(`[A-Za-z0-9+/_=-]{32,}`)

// clean makes a text from outside fit for an error: nothing secret that it echoes, no control
// characters, not too long.
func clean(text string) string {
	if len(text) > 64<<10 {
		text = text[:64<<10]
	}
	text = longRun.ReplaceAllString(text, "…")
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, " "))
	if len(text) > maxErrorText {
		text = strings.ToValidUTF8(text[:maxErrorText], "") + "…"
	}
	return text
}

// explain turns what the mailbox says into what to do about it.
func explain(err error) string {
	s, _ := status.FromError(err)
	switch text := s.Message(); {
	case strings.Contains(text, "stream not found"):
		return "the mailbox knows no such session: the node is offline, or the session was revoked or has expired, " +
			"or the pairing phrase is wrong or was used somewhere else before (then make a new session)"
	case strings.Contains(text, "stream occupied"):
		return "the session is in use: it takes one connection at a time, so give each server a session of its own"
	case s.Code() == codes.Unimplemented:
		return "the server at this address is no mailbox for Lightning Node Connect: check mailbox"
	default:
		return "the mailbox does not work: " + clean(text)
	}
}

// complaint holds the last thing that went wrong with the mailbox. The library tries again and
// again on its own and tells nobody why. It is safe for concurrent use.
type complaint struct {
	mu    sync.Mutex
	last  string
	since time.Time // when it began, if there is one
}

func (c *complaint) note(ctx context.Context, err error) {
	if err == nil || ctx.Err() != nil || errors.Is(err, context.Canceled) || status.Code(err) == codes.Canceled {
		return
	}
	if s, ok := status.FromError(err); !ok || s.Code() == codes.OK {
		return // io.EOF: the stream's end, whose reason comes elsewhere
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last == "" {
		c.since = time.Now()
	}
	c.last = explain(err)
}

func (c *complaint) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = ""
}

// lasts tells for how long the mailbox has failed without a word from the node in between.
func (c *complaint) lasts() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last == "" {
		return 0
	}
	return time.Since(c.since)
}

// reason is what was noted last, or what to assume where nothing was.
func (c *complaint) reason() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last == "" {
		return "the node does not answer through the mailbox"
	}
	return c.last
}

// intercept notes the errors of all streams of a connection to a mailbox.
func (c *complaint) intercept(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string,
	open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	stream, err := open(ctx, desc, cc, method, opts...)
	if err != nil {
		c.note(ctx, err)
		return nil, err
	}
	return &notedStream{stream, ctx, c}, nil
}

// notedStream is a stream whose errors are noted.
type notedStream struct {
	grpc.ClientStream
	// ctx is the caller's; the stream's own ends with the stream.
	ctx       context.Context
	complaint *complaint
}

// RecvMsg implements grpc.ClientStream.
func (s *notedStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if err == nil {
		s.complaint.clear()
	} else {
		s.complaint.note(s.ctx, err)
	}
	return err
}

// panicked makes an error of a panic of the library, without its words.
func panicked(what any) error {
	return fmt.Errorf("the library for the mailbox panicked with a %T", what)
}
