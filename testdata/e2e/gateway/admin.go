package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Admin calls the admin API. With a status other than 200 it returns the answer in the error.
func (g *Gateway) Admin(ctx context.Context, method, path, contentType string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, g.AdminURL()+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
	if err != nil {
		return nil, fmt.Errorf("reading the admin API's answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s %s: status %d: %s", method, path, resp.StatusCode, bytes.TrimSpace(answer))
	}
	return answer, nil
}

// AdminURL is the admin API's address without a path.
func (g *Gateway) AdminURL() string { return fmt.Sprintf("http://127.0.0.1:%d", g.admin) }

// Reload loads a changed configuration into the running process. After an error the process
// goes on with the old one, and so do the Options.
func (g *Gateway) Reload(ctx context.Context, change func(*Options)) error {
	old := g.Options
	change(&g.Options)
	_, err := g.Admin(ctx, http.MethodPost, "/load", "text/caddyfile", []byte(g.Caddyfile()))
	if err != nil {
		g.Options = old
	}
	return err
}

// Metric sums the samples of a counter or gauge over all its labels.
func (g *Gateway) Metric(t testing.TB, name string) float64 {
	t.Helper()
	text, err := g.Admin(t.Context(), http.MethodGet, "/metrics", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	var sum float64
	for line := range strings.Lines(string(text)) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok || rest == "" || (rest[0] != ' ' && rest[0] != '{') {
			continue
		}
		var v float64
		fields := strings.Fields(rest)
		if _, err := fmt.Sscan(fields[len(fields)-1], &v); err != nil {
			t.Fatalf("reading metric %q: %v", line, err)
		}
		sum += v
	}
	return sum
}

// Sandbox pays invoices of the gateway's sandbox wallet through the admin API; it is a
// client.Payer.
func (g *Gateway) Sandbox() SandboxPayer { return SandboxPayer{g} }

// SandboxPayer is the other side of the sandbox wallet.
type SandboxPayer struct{ g *Gateway }

// Pay returns the preimage of an invoice that the sandbox wallet made.
func (p SandboxPayer) Pay(ctx context.Context, invoice string) (string, error) {
	in, err := json.Marshal(map[string]string{"invoice": invoice})
	if err != nil {
		return "", err
	}
	answer, err := p.g.Admin(ctx, http.MethodPost, "/l402/sandbox/pay", "application/json", in)
	if err != nil {
		return "", err
	}
	var out struct {
		Preimage string `json:"preimage"`
	}
	if err := json.Unmarshal(answer, &out); err != nil {
		return "", fmt.Errorf("decoding the sandbox's answer: %w", err)
	}
	return out.Preimage, nil
}
