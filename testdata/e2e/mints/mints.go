// Package mints runs Cashu mints that were not written for this project: gonuts, on a Lightning
// node that is made up or on a real LND, and gonuts' wallet nutw, which pays with their ecash.
package mints

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/lightning"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/proc"
)

// Options say what mint to run.
type Options struct {
	// Bin is the folder with the programs mint and nutw.
	Bin string
	// Node is the Lightning node of the mint. Without one it is made up: all of its invoices
	// are paid at once, and are for signet.
	Node *lightning.Node
	// FeePPK is the fee for each input of a swap or melt, in thousandths of a satoshi.
	FeePPK int
}

// Mint is a mint that can be killed and started again on its own data.
type Mint struct {
	*proc.Process

	// URL is the mint's address, at 127.0.0.1.
	URL string
	// Dir holds the mint's data and its output.
	Dir string

	options Options
	port    int
	bridge  *bridge // nil where the Lightning node is made up
}

// Start runs a mint until the test ends and waits until it answers.
func Start(t testing.TB, o Options) *Mint {
	t.Helper()
	port := proc.FreePorts(1)[0]
	m := &Mint{URL: fmt.Sprintf("http://127.0.0.1:%d", port), Dir: t.TempDir(), options: o, port: port}
	if o.Node != nil {
		m.bridge = startBridge(t, o.Node, m.Dir)
	}
	t.Cleanup(func() {
		if m.Process == nil {
			return
		}
		m.Kill() // its orderly end waits for its websockets
		if t.Failed() {
			out, _ := os.ReadFile(m.Log)
			t.Logf("what the mint said:\n%s", out[max(0, len(out)-4096):])
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := m.Run(ctx); err != nil {
		t.Fatal(err)
	}
	return m
}

// Run starts the mint's process, at first or after Kill, on the same port and data, and waits until
// it answers.
func (m *Mint) Run(ctx context.Context) error {
	// It wants this file and takes everything from the environment.
	if err := os.WriteFile(filepath.Join(m.Dir, ".env"), nil, 0o600); err != nil {
		return fmt.Errorf("writing the mint's .env: %w", err)
	}
	env := []string{
		"HOME=" + m.Dir, "MINT_DB_PATH=" + filepath.Join(m.Dir, "db"), "MINT_PORT=" + strconv.Itoa(m.port),
		"DERIVATION_PATH_IDX=0", "INPUT_FEE_PPK=" + strconv.Itoa(m.options.FeePPK), "MINT_NAME=a mint",
		"LIGHTNING_BACKEND=FakeBackend",
	}
	if n := m.options.Node; n != nil {
		env = append(env, "LIGHTNING_BACKEND=Lnd", "LND_GRPC_HOST="+m.bridge.addr, "LND_CERT_PATH="+m.bridge.cert,
			"LND_MACAROON_PATH="+n.AdminMacaroon())
	}
	p, err := proc.Start(proc.Spec{
		Name: "mint", Log: filepath.Join(m.Dir, "mint.log"), Dir: m.Dir, Path: filepath.Join(m.options.Bin, "mint"), Env: env,
	})
	if err != nil {
		return err
	}
	m.Process = p
	return proc.Poll(ctx, "the mint", func() error {
		if !p.Running() {
			return fmt.Errorf("it ended with status %d, see %s", p.ExitCode(), p.Log)
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.URL+"/v1/info", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return errors.New(resp.Status)
		}
		return nil
	})
}
