package clntest

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

// ServeSocket serves the node on a unix socket and gives its path. It ends with the test.
func (n *Node) ServeSocket(t testing.TB) string {
	t.Helper()
	// Not t.TempDir, whose paths can be too long for a socket.
	dir, err := os.MkdirTemp("", "cln")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "lightning-rpc")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		_ = listener.Close()
		wg.Wait()
		_ = os.RemoveAll(dir)
	})
	// Ends with the listener.
	wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			// Ends with the connection or the test.
			wg.Go(func() { n.serveConn(ctx, conn) })
		}
	})
	return path
}

type rpcRequest struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Method  string          `json:"method"`
	Params  params          `json:"params"`
}

func (n *Node) serveConn(ctx context.Context, conn net.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	defer n.onCut(cancel)()
	requests := make(chan rpcRequest)
	// Ends with the connection; it notices when the other side goes.
	go func() {
		defer cancel()
		decoder := json.NewDecoder(conn)
		for {
			var r rpcRequest
			if decoder.Decode(&r) != nil {
				return
			}
			select {
			case requests <- r:
			case <-ctx.Done():
				return
			}
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case r := <-requests:
			if !n.answerSocket(ctx, conn, r) {
				return
			}
		}
	}
}

// answerSocket answers one call and tells whether the connection goes on.
func (n *Node) answerSocket(ctx context.Context, conn net.Conn, r rpcRequest) bool {
	fault := n.currentFault()
	switch fault.Kind {
	case wallettest.Slow:
		if !sleep(ctx, fault.Delay) {
			return false
		}
	case wallettest.Hang:
		<-ctx.Done()
		return false
	case wallettest.Garbage:
		_, _ = conn.Write([]byte("<html>this is no JSON-RPC</html>\n\n"))
		return false
	case wallettest.Huge:
		_, err := conn.Write([]byte(`{"jsonrpc":"2.0","id":` + string(r.ID) + `,"result":{"invoices":["`))
		for filler := bytes.Repeat([]byte("x"), 16<<10); err == nil; {
			_, err = conn.Write(filler)
		}
		return false
	case wallettest.ServerError:
		return write(conn, object{"jsonrpc": "2.0", "id": r.ID, "error": object{
			"code": -4, "message": "Plugin terminated before replying to RPC call."}})
	}
	if r.Version != "2.0" || len(r.ID) == 0 {
		return write(conn, object{"jsonrpc": "2.0", "id": nil, "error": object{
			"code": -32600, "message": "Invalid request"}})
	}
	answer := object{"jsonrpc": "2.0", "id": r.ID}
	result, e := n.run(ctx, r.Method, r.Params)
	if ctx.Err() != nil {
		return false
	}
	if e != nil {
		answer["error"] = object{"code": e.Code, "message": e.Message}
	} else {
		answer["result"] = result
	}
	if fault.Kind == wallettest.Disconnect {
		b, _ := json.Marshal(answer) // of maps and texts: cannot fail
		_, _ = conn.Write(b[:len(b)/2])
		return false
	}
	return write(conn, answer)
}

func write(conn net.Conn, answer object) bool {
	b, err := json.MarshalIndent(answer, "", "   ")
	if err != nil {
		return false
	}
	_, err = conn.Write(append(b, "\n\n"...))
	return err == nil
}
