package cln

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/httpjson"
)

// maxSocketPath is what unix allows for the path of a socket, less one.
const maxSocketPath = 107

// backlog bounds the calls under way at once, waiting ones left out: beyond the length of its
// queue the kernel refuses connections, and an answer late is better than none.
const backlog = 64

// socket is the node's unix socket. Each call has its own connection, since a call that waits must
// hold up no other and a broken one must leave nothing behind.
type socket struct {
	path  string
	slots chan struct{}
	calls atomic.Uint64

	// life ends with Close.
	life context.Context
	end  context.CancelFunc
}

func newSocket(path string) *socket {
	s := &socket{path: path, slots: make(chan struct{}, backlog)}
	s.life, s.end = context.WithCancel(context.Background())
	return s
}

// Close ends all calls. Later ones fail with net.ErrClosed.
func (s *socket) Close() error {
	s.end()
	return nil
}

func (s *socket) permissions() ([]string, error) {
	return []string{"everything: the socket knows no runes, whoever may open it may do all"}, nil
}

// waits tells the commands that take their time by design.
func waits(method string) bool {
	switch method {
	case "invoice", "listinvoices", "listpays":
		return false
	}
	return true
}

func (s *socket) call(ctx context.Context, method string, params json.RawMessage) (json.RawMessage, error) {
	if !waits(method) {
		select {
		case s.slots <- struct{}{}:
			defer func() { <-s.slots }()
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-s.life.Done():
		}
	}
	if s.life.Err() != nil {
		return nil, s.closed()
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", s.path)
	if err != nil {
		return nil, s.broken(ctx, fmt.Errorf("%w (%w)", dialError(err), httpjson.ErrNotSent))
	}
	defer conn.Close()
	// A deadline in the past ends reads and writes under way.
	expire := func() { _ = conn.SetDeadline(time.Unix(1, 0)) }
	defer context.AfterFunc(ctx, expire)()
	defer context.AfterFunc(s.life, expire)()

	id := "caddy-l402:" + method + "#" + strconv.FormatUint(s.calls.Add(1), 10)
	result, err := exchange(conn, id, method, params)
	if err != nil {
		return nil, s.broken(ctx, err)
	}
	return result, nil
}

// broken gives an error of the connection its cause, where that is on this side.
func (s *socket) broken(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case s.life.Err() != nil:
		return s.closed()
	}
	return err
}

func (s *socket) closed() error {
	return fmt.Errorf("%w: %w", wallets.ErrUnavailable, net.ErrClosed)
}

func dialError(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: there is no such socket: start lightningd, or set the path "+
			"of its lightning-rpc, which is in the folder of the network", wallets.ErrUnavailable)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: the socket may not be opened: let the user of this process into "+
			"its group (lightningd's rpc-file-mode=0660)", wallets.ErrUnavailable)
	}
	return fmt.Errorf("%w: %s", wallets.ErrUnavailable, httpjson.Clean(err.Error()))
}

// rpcRequest is a call in JSON-RPC 2.0.
type rpcRequest struct {
	Version string          `json:"jsonrpc"`
	ID      string          `json:"id"`
	Method  string          `json:"method"`
	Params  json.RawMessage `json:"params"`
}

// rpcAnswer is an answer in JSON-RPC 2.0, or a notification, which has a method and no id.
type rpcAnswer struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Result json.RawMessage `json:"result"`
	Error  *rpcErrorJSON   `json:"error"`
}

// rpcErrorJSON is the error object of both transports.
type rpcErrorJSON struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (e *rpcErrorJSON) clean(secrets ...string) *RPCError {
	return &RPCError{Code: e.Code, Message: httpjson.Clean(e.Message, secrets...)}
}

// exchange sends one call and reads its answer.
func exchange(conn io.ReadWriter, id, method string, params json.RawMessage) (json.RawMessage, error) {
	// Not by Marshal, which would bring the escapes back that encode avoided.
	request, err := encode(rpcRequest{Version: "2.0", ID: id, Method: method, Params: params})
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(append(request, "\n\n"...)); err != nil {
		return nil, fmt.Errorf("%w: sending: %s", wallets.ErrUnavailable, httpjson.Clean(err.Error()))
	}
	return readAnswer(conn, id)
}

// maxNotifications bounds what may come before the answer.
const maxNotifications = 100

// readAnswer reads the answer to the call with this id from a bounded part of r.
func readAnswer(r io.Reader, id string) (json.RawMessage, error) {
	limited := &io.LimitedReader{R: r, N: maxAnswer + 1}
	decoder := json.NewDecoder(limited)
	for range maxNotifications {
		var a rpcAnswer
		if err := decoder.Decode(&a); err != nil {
			return nil, readError(err, limited.N <= 0)
		}
		if a.Method != "" && len(a.ID) == 0 {
			continue
		}
		var got string
		if json.Unmarshal(a.ID, &got) != nil || got != id {
			return nil, fmt.Errorf("%w: it answers another call", wallets.ErrBadAnswer)
		}
		switch {
		case a.Error != nil:
			return nil, a.Error.clean()
		case len(a.Result) == 0 || bytes.Equal(a.Result, []byte("null")):
			return nil, fmt.Errorf("%w: neither a result nor an error", wallets.ErrBadAnswer)
		}
		return a.Result, nil
	}
	return nil, fmt.Errorf("%w: notifications without an answer", wallets.ErrBadAnswer)
}

func readError(err error, tooLarge bool) error {
	syntax, typ := (*json.SyntaxError)(nil), (*json.UnmarshalTypeError)(nil)
	switch {
	case tooLarge:
		return fmt.Errorf("%w: more than %d bytes", wallets.ErrBadAnswer, maxAnswer)
	case errors.As(err, &syntax), errors.As(err, &typ):
		return fmt.Errorf("%w: not JSON-RPC: %s", wallets.ErrBadAnswer, httpjson.Clean(err.Error()))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: the node closed the connection before it answered", wallets.ErrUnavailable)
	}
	return fmt.Errorf("%w: reading the answer: %s", wallets.ErrUnavailable, httpjson.Clean(err.Error()))
}

var _ transport = (*socket)(nil)
