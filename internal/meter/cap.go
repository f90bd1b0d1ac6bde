package meter

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// ErrTooLong says that an answer is longer than the one that was sold.
var ErrTooLong = errors.New("the answer is longer than the one that was sold")

// Cap passes answers on that are no longer than what was sold. Longer ones are withheld where their
// length is known, and cut where it is not. It belongs to one request and is used as
// http.ResponseWriter is.
type Cap struct {
	*caddyhttp.ResponseWriterWrapper
	left           int64
	begun          bool
	withheld, over bool
}

// NewCap wraps a writer for answers of at most a number of bytes.
func NewCap(w http.ResponseWriter, most int64) *Cap {
	return &Cap{ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w}, left: most}
}

// Withheld tells whether the answer was too long and nothing of it was written.
func (c *Cap) Withheld() bool { return c.withheld }

// Cut tells whether the answer ended before its end. The caller then breaks the connection.
func (c *Cap) Cut() bool { return c.over }

// WriteHeader begins the answer if it is not too long.
func (c *Cap) WriteHeader(status int) {
	if !c.begun && (status >= 200 || status == http.StatusSwitchingProtocols) {
		c.begun = true
		c.withheld = status == http.StatusSwitchingProtocols || c.length(status) > c.left
	}
	if !c.withheld {
		c.ResponseWriter.WriteHeader(status)
	}
}

// length is that of the whole that the answer is or is a part of; zero where it is not known. A part
// of a whole that is not known is as good as too long: parts could be put together.
func (c *Cap) length(status int) int64 {
	if status == http.StatusPartialContent {
		_, whole, _ := strings.Cut(c.Header().Get("Content-Range"), "/")
		length, err := strconv.ParseInt(whole, 10, 64)
		if err != nil {
			return c.left + 1
		}
		return length
	}
	length, err := strconv.ParseInt(c.Header().Get("Content-Length"), 10, 64)
	if err != nil {
		return 0
	}
	return length
}

// Write passes bytes on as long as they are not too many.
func (c *Cap) Write(b []byte) (int, error) {
	if !c.begun {
		c.WriteHeader(http.StatusOK)
	}
	if c.withheld || c.over {
		return 0, ErrTooLong
	}
	if int64(len(b)) > c.left {
		c.over = true
		return 0, ErrTooLong
	}
	c.left -= int64(len(b))
	return c.ResponseWriter.Write(b)
}

// ReadFrom copies an answer. Where its source is bounded it takes the faster way of the writer below.
func (c *Cap) ReadFrom(src io.Reader) (int64, error) {
	if !c.begun {
		c.WriteHeader(http.StatusOK)
	}
	if limited, ok := src.(*io.LimitedReader); ok && limited.N <= c.left && !c.withheld && !c.over {
		n, err := c.ResponseWriterWrapper.ReadFrom(src)
		c.left -= n
		return n, err
	}
	return io.Copy(struct{ io.Writer }{c}, src)
}

// FlushError begins the answer, as flushing does, and flushes it.
func (c *Cap) FlushError() error {
	if !c.begun {
		c.WriteHeader(http.StatusOK)
	}
	if c.withheld || c.over {
		return ErrTooLong
	}
	return http.NewResponseController(c.ResponseWriter).Flush()
}

// Flush is FlushError for callers that know only http.Flusher.
func (c *Cap) Flush() { _ = c.FlushError() }

// Hijack refuses: what is sent over a connection of its own has no length.
func (c *Cap) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c.begun, c.withheld = true, true
	return nil, nil, ErrTooLong
}

// Guards.
var (
	_ http.ResponseWriter = (*Cap)(nil)
	_ http.Flusher        = (*Cap)(nil)
	_ http.Hijacker       = (*Cap)(nil)
	_ io.ReaderFrom       = (*Cap)(nil)
)
