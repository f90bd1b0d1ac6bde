package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/client"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/gateway"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/upstream"
)

// TestAgentBuysCalls has an agent call tools of a server behind a gate, by the command and within a budget,
// with real payments: what is free stays free, one token serves for all calls that it holds, and the budget
// ends it.
func TestAgentBuysCalls(t *testing.T) {
	t.Parallel()
	net, up := network(t), upstream.Start(t)
	gw := gateway.Start(t, gateway.Options{Binary: caddy, Global: lndOptions(net.Bob), Site: fmt.Sprintf(`@calls {
	path /mcp*
	not {
		method POST
		vars_regexp {http.request.body} ^\s*\{[^\\\x00]*\}\s*$
		not vars_regexp {http.request.body} (?i)tools/call
	}
}
l402 @calls 10 sat {
	service tools
	uses 2
}
reverse_proxy %s`, up.Addr)})
	macaroon, err := net.Alice.BakeMacaroon(t.Context(), "agent", "offchain:read", "offchain:write")
	if err != nil {
		t.Fatal(err)
	}
	if resp := gw.Do(t, http.MethodPost, "/mcp", client.Body(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`)); resp.StatusCode != http.StatusOK {
		t.Fatalf("tools/list costs: %d", resp.StatusCode)
	}

	home := t.TempDir()
	wallet := fmt.Sprintf("lnd:%s?macaroon=%s&tls_cert=%s&network=regtest", net.Alice.Addr(), macaroon, net.Alice.CertFile())
	type result struct {
		Status int
		Body   string
		Paid   *struct {
			Amount uint64 `json:"amount_msat"`
		}
		Code     string `json:"error_code"`
		ExitCode int    `json:"exit_code"`
	}
	call := func(id int) (r result) {
		t.Helper()
		out, stderr, err := runCaddy(t, home, "l402", "get", "--json", "--max", "10 sat", "--max-fee", "1 sat", "--budget", "25sat/day",
			"--spending-file", filepath.Join(home, "spending.json"), "--token-file", filepath.Join(home, "tokens.json"), "--wallet", wallet,
			"-H", "Content-Type: application/json", "-d", fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call"}`, id), gw.Base+"/mcp")
		if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatalf("%v in %q; %s", err, out, stderr)
		}
		return r
	}
	for id := range 4 {
		r := call(id)
		if r.Status != http.StatusOK || r.Body != "POST /mcp" || r.ExitCode != 0 || (r.Paid != nil) != (id%2 == 0) {
			t.Fatalf("call %d: %+v", id, r)
		}
		if last := up.Last(t); !strings.Contains(last.Body, fmt.Sprintf(`"id":%d,`, id)) || last.Header.Get("Authorization") != "" {
			t.Errorf("call %d: the server saw %+v", id, last)
		}
	}
	reached := up.Count()
	if r := call(4); r.ExitCode != 6 || r.Code != "over_budget" || r.Paid != nil || up.Count() != reached {
		t.Errorf("beyond the budget: %+v", r)
	}
}
