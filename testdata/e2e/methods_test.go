package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/client"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/gateway"
)

// TestMethods shows that no method reaches the upstream unpaid, with a body or without, and that
// a header which asks to treat it as another method changes nothing.
func TestMethods(t *testing.T) {
	gw, up := sandboxShop(t, "limit off")
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "QUERY", "BREW", "get"} {
		for _, opts := range [][]client.Option{
			nil,
			{client.Body("content")},
			{client.With("X-HTTP-Method-Override", "OPTIONS")},
			{client.With("Origin", "http://page.test")},
		} {
			resp := gw.Do(t, method, "/premium/a", opts...)
			if resp.StatusCode != http.StatusPaymentRequired {
				t.Errorf("%s: status %d, want 402", method, resp.StatusCode)
			}
			if _, err := client.ReadChallenge(resp.Response); err != nil {
				t.Errorf("%s: %v", method, err)
			}
			if method == http.MethodHead && resp.Text != "" {
				t.Errorf("HEAD with a body: %q", resp.Text)
			}
		}
	}
	if n := up.Count(); n != 0 {
		t.Fatalf("%d unpaid requests reached the upstream: %q", n, up.Reached("/"))
	}
	token := gw.Buy(t, gw.Sandbox(), "/premium/a")
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"} {
		before := up.Count()
		if resp := gw.Do(t, method, "/premium/a", client.Auth(token)); resp.StatusCode != http.StatusOK || up.Count() != before+1 {
			t.Errorf("paid %s: status %d", method, resp.StatusCode)
		}
	}
}

// TestPreflight shows that a browser may ask what it is allowed to send, and learns that it may
// read the challenge, while nothing of the upstream's content gets out.
func TestPreflight(t *testing.T) {
	gw, up := sandboxShop(t)
	resp := gw.Do(t, http.MethodOptions, "/premium/a", client.With("Origin", "http://page.test"),
		client.With("Access-Control-Request-Method", "GET"), client.With("Access-Control-Request-Headers", "authorization"))
	if resp.StatusCode/100 != 2 {
		t.Errorf("a preflight got %d", resp.StatusCode)
	}
	if !strings.Contains(strings.ToLower(resp.Header.Get("Access-Control-Allow-Headers")), "authorization") {
		t.Errorf("Access-Control-Allow-Headers %q leaves no way to send a token", resp.Header.Get("Access-Control-Allow-Headers"))
	}
	if strings.Contains(resp.Text, "/premium/a") {
		t.Errorf("a preflight got the upstream's content: %q", resp.Text)
	}
	for _, r := range up.Requests() {
		if r.Method != http.MethodOptions {
			t.Errorf("a preflight reached the upstream as %s", r.Method)
		}
	}
	resp = refused(t, gw, up, "/premium/a", client.With("Origin", "http://page.test"))
	if !strings.Contains(resp.Header.Get("Access-Control-Expose-Headers"), "WWW-Authenticate") {
		t.Errorf("a browser may not read the challenge: Access-Control-Expose-Headers %q", resp.Header.Get("Access-Control-Expose-Headers"))
	}
}

// TestWebsocket shows that an upgrade is charged as anything else, and works once paid.
func TestWebsocket(t *testing.T) {
	net, gw, up := lndShop(t)
	if status, conn := upgrade(t, gw, ""); status != http.StatusPaymentRequired {
		t.Errorf("an unpaid upgrade got %d", status)
	} else {
		conn.Close()
	}
	if n := up.Count(); n != 0 {
		t.Fatalf("%d unpaid upgrades reached the upstream", n)
	}
	token := gw.Buy(t, net.Alice, "/premium/a")
	status, conn := upgrade(t, gw, "Authorization: "+token.Header()+"\r\n")
	defer conn.Close()
	if status != http.StatusSwitchingProtocols {
		t.Fatalf("a paid upgrade got %d", status)
	}
	// A text frame from a client: final, masked with zeros, "hello".
	frame := "\x81\x85\x00\x00\x00\x00hello"
	if _, err := io.WriteString(conn, frame); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(frame))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != frame {
		t.Fatalf("the echo is %q, %v", got, err)
	}
}

// upgrade asks for a websocket and returns the answer's status and the connection.
func upgrade(t *testing.T, gw *gateway.Gateway, fields string) (int, net.Conn) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", strings.TrimPrefix(gw.Base, "http://"), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET /premium/ws HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n", gw.Port, fields)
	resp, err := http.ReadResponse(bufio.NewReaderSize(conn, 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		if got := resp.Header.Get("Sec-WebSocket-Accept"); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
			t.Errorf("Sec-WebSocket-Accept %q", got)
		}
	}
	return resp.StatusCode, conn
}
