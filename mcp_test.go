package caddyl402

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
)

// mcpServer speaks as much of MCP's Streamable HTTP as the recipe is about. Calls of tools are answered
// with a stream of two events, the second of which waits for more.
type mcpServer struct {
	*httptest.Server
	calls atomic.Int64
	more  chan struct{}
}

func newMCPServer(t *testing.T) *mcpServer {
	m := &mcpServer{more: make(chan struct{})}
	m.Server = httptest.NewServer(m)
	t.Cleanup(m.Close)
	return m
}

func (m *mcpServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var message struct {
		ID     json.RawMessage
		Method string
	}
	body, err := io.ReadAll(r.Body)
	if r.Method != http.MethodPost {
		fmt.Fprint(w, r.Method)
		return
	}
	if err != nil || json.Unmarshal(body, &message) != nil {
		http.Error(w, "no message", http.StatusBadRequest)
		return
	}
	switch message.Method {
	case "notifications/initialized":
		w.WriteHeader(http.StatusAccepted)
	case "tools/call":
		m.calls.Add(1)
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}\n\n")
		_ = http.NewResponseController(w).Flush()
		select {
		case <-m.more:
		case <-r.Context().Done():
		}
		fmt.Fprintf(w, "data: {\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{}}\n\n", message.ID)
	default:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Mcp-Session-Id", "s1")
		fmt.Fprintf(w, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":%q}", message.ID, message.Method)
	}
}

// mcpRecipe gives the fragments of the recipe, before this server.
func mcpRecipe(t *testing.T, m *mcpServer) (sites []string) {
	t.Helper()
	text, err := os.ReadFile("docs/recipes/mcp.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range blocksOf(t, "mcp.md", string(text)) {
		if b.info == "caddyfile fragment" {
			sites = append(sites, strings.ReplaceAll(b.text, "localhost:9000", m.Listener.Addr().String()))
		}
	}
	if len(sites) != 3 {
		t.Fatalf("%d fragments", len(sites))
	}
	return sites
}

// message sends a message; the body of the answer is the caller's.
func (s *server) message(path, text string, headers ...string) *http.Response {
	s.t.Helper()
	r, err := http.NewRequest(http.MethodPost, "http://"+s.addr+path, strings.NewReader(text))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Accept", "application/json, text/event-stream")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { resp.Body.Close() })
	return resp
}

const mcpCall = `{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"forecast","arguments":{}}}`

// call makes a paid call and reads its two events, the first before the server goes on.
func (m *mcpServer) call(t *testing.T, s *server, credential string) *http.Response {
	t.Helper()
	resp := s.message("/mcp", mcpCall, "Authorization", credential)
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	events := bufio.NewReader(resp.Body)
	if line, err := events.ReadString('\n'); err != nil || !strings.Contains(line, "progress") {
		t.Fatal(line, err)
	}
	m.more <- struct{}{}
	rest, err := io.ReadAll(events)
	if err != nil || !strings.Contains(string(rest), `"id":3,"result"`) {
		t.Fatalf("%s %v", rest, err)
	}
	return resp
}

func (s *server) mcpPurchase() purchase {
	s.t.Helper()
	resp := s.message("/mcp", mcpCall)
	if resp.StatusCode != 402 {
		s.t.Fatalf("a call without a payment got %d", resp.StatusCode)
	}
	challenge := s.challenge(answer{Response: resp})
	return purchase{challenge, s.pay(challenge.Invoice)}
}

// TestMCPRecipe pays for calls of tools alone: each is one use, and its events come as they are sent.
func TestMCPRecipe(t *testing.T) {
	m := newMCPServer(t)
	s := serve(t, "wallet play sandbox", mcpRecipe(t, m)[0])
	for _, free := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"a","version":"1"}}}`,
		`{"jsonrpc":"2.0","method":"notifications/initialized"}`, ` {"jsonrpc":"2.0","id":2,"method":"tools/list"}` + "\n",
		`{"jsonrpc":"2.0","id":"ä","method":"ping"}`,
	} {
		if resp := s.message("/mcp", free); resp.StatusCode/100 != 2 {
			t.Errorf("%s: %d", free, resp.StatusCode)
		}
	}
	s.want(200, "GET", "/mcp")
	s.want(200, "DELETE", "/mcp")

	p := s.mcpPurchase()
	for left := 19; left >= 0; left-- {
		resp := m.call(t, s, p.authorization())
		if got := resp.Header.Get("X-L402-Remaining-Uses"); got != fmt.Sprint(left) {
			t.Fatalf("%s uses are left, want %d", got, left)
		}
		if resp := s.message("/mcp", `{"jsonrpc":"2.0","id":2,"method":"tools/list"}`, "Authorization", p.authorization()); resp.StatusCode != 200 {
			t.Fatal(resp.StatusCode)
		}
	}
	if resp := s.message("/mcp", mcpCall, "Authorization", p.authorization()); resp.StatusCode != 402 {
		t.Errorf("the 21st call got %d", resp.StatusCode)
	}
	if n := m.calls.Load(); n != 20 {
		t.Errorf("%d calls", n)
	}
	if text := s.want(200, "GET", "/.well-known/l402.txt").body; !strings.Contains(text, "[POST /mcp](/mcp): Tools. Calls of the tools") {
		t.Error(text)
	}
}

// TestMCPRecipeCannotBeEvaded writes calls in other ways, of which some servers take some.
func TestMCPRecipeCannotBeEvaded(t *testing.T) {
	m := newMCPServer(t)
	s := serve(t, "wallet play sandbox", mcpRecipe(t, m)[0])
	ping := `{"jsonrpc":"2.0","id":3,"method":"ping"}`
	for name, test := range map[string]struct {
		body    string
		headers []string
	}{
		"an escaped slash":     {strings.Replace(mcpCall, "/", `\/`, 1), nil},
		"an escaped letter":    {strings.Replace(mcpCall, "tools", `\u0074ools`, 1), nil},
		"an escaped name":      {strings.Replace(mcpCall, "method", `m\u0065thod`, 1), nil},
		"another case":         {strings.ToUpper(mcpCall), nil},
		"a method before":      {strings.Replace(mcpCall, "{", `{"method":"ping",`, 1), nil},
		"a method behind":      {strings.TrimSuffix(mcpCall, "}") + `,"method":"ping"}`, nil},
		"a batch":              {"[" + mcpCall + "]", nil},
		"a batch of nothing":   {"[" + ping + "]", nil},
		"two messages":         {ping + "\n" + mcpCall, nil},
		"UTF-16":               {strings.Join(strings.Split(mcpCall, ""), "\x00"), nil},
		"compressed":           {ping, []string{"Content-Encoding", "gzip"}},
		"nothing":              {"", nil},
		"no object":            {`"ping"`, nil},
		"another method of it": {ping, []string{"X-HTTP-Method-Override", "PUT"}},
	} {
		t.Run(name, func(t *testing.T) {
			resp := s.message("/mcp", test.body, test.headers...)
			want := 402
			if name == "another method of it" {
				want = 200
			}
			if resp.StatusCode != want {
				t.Errorf("got %d", resp.StatusCode)
			}
		})
	}
	for _, path := range []string{"/mcp/", "/MCP", "/mcp?x", "/mcp/../mcp", "//mcp"} {
		if resp := s.message(path, mcpCall); resp.StatusCode == 200 && resp.Header.Get("Content-Type") == "text/event-stream" {
			t.Errorf("%s: a free call", path)
		}
	}
	s.want(402, "PUT", "/mcp")
	if n := m.calls.Load(); n != 0 {
		t.Errorf("%d free calls", n)
	}
}

// TestMCPRecipeRefusesLongBodies that it cannot look at as a whole, paid or not.
func TestMCPRecipeRefusesLongBodies(t *testing.T) {
	m := newMCPServer(t)
	s := serve(t, "wallet play sandbox", mcpRecipe(t, m)[0])
	p := s.mcpPurchase()
	for _, credential := range []string{"", p.authorization()} {
		long := strings.TrimSuffix(mcpCall, "}") + `,"x":"` + strings.Repeat("x", 2<<20) + `"}`
		r, err := http.NewRequest(http.MethodPost, "http://"+s.addr+"/mcp", strings.NewReader(long))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", credential)
		// The server may hang up before it has read all, and then there is no answer.
		if resp, err := client.Do(r); err == nil {
			resp.Body.Close()
			if resp.StatusCode != 413 {
				t.Errorf("got %d", resp.StatusCode)
			}
		}
	}
	if n := m.calls.Load(); n != 0 {
		t.Errorf("%d calls", n)
	}
	if left := m.call(t, s, p.authorization()).Header.Get("X-L402-Remaining-Uses"); left != "19" {
		t.Errorf("%s uses are left", left)
	}
}

// TestMCPRecipeOtherWays pays by time, and by the header that names the method.
func TestMCPRecipeOtherWays(t *testing.T) {
	m := newMCPServer(t)
	sites := mcpRecipe(t, m)
	s := serve(t, "wallet play sandbox", sites[1])
	const list = `{"jsonrpc":"2.0","id":2,"method":"tools/list"}`
	if resp := s.message("/mcp", list); resp.StatusCode != 402 {
		t.Errorf("by time: %d", resp.StatusCode)
	}
	p := s.mcpPurchase()
	for range 3 {
		m.call(t, s, p.authorization())
	}
	s.reload(s.config("wallet play sandbox", sites[2]))
	for method, want := range map[string]int{
		"tools/list": 200, "ping": 200, "notifications/cancelled": 200, "": 402, "tools/call": 402, "ping,tools/call": 402, "PING": 402, "ping x": 402,
	} {
		if resp := s.message("/mcp", list, "Mcp-Method", method); resp.StatusCode != want {
			t.Errorf("by header, %q: %d", method, resp.StatusCode)
		}
	}
	p = s.mcpPurchase()
	m.call(t, s, p.authorization())
	if resp := s.message("/mcp", mcpCall, "Authorization", p.authorization()); resp.StatusCode != 402 {
		t.Errorf("a second call got %d", resp.StatusCode)
	}
}
