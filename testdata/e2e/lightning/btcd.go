package lightning

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/proc"
)

// The password of a chain that lives for one test run on the loopback interface.
const rpcUser, rpcPass = "regtest", "regtest"

// Chain is a btcd that makes its own regtest blocks.
type Chain struct {
	*proc.Process

	dir          string
	rpcPort, p2p int
	client       *http.Client
}

// startChain starts btcd; mineTo is the address that mined coins go to and may be empty. btcd
// reads it at start only, and it deletes its regtest database at every start.
func startChain(ctx context.Context, bin, dir, mineTo string, rpcPort, p2p int) (*Chain, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making btcd's folder: %w", err)
	}
	// An empty configuration file of its own keeps the user's out.
	conf := filepath.Join(dir, "btcd.conf")
	if err := os.WriteFile(conf, nil, 0o600); err != nil {
		return nil, fmt.Errorf("writing btcd's configuration: %w", err)
	}
	c := &Chain{dir: dir, rpcPort: rpcPort, p2p: p2p}
	args := []string{
		"--regtest", "--txindex", "--nobanning", "--configfile=" + conf,
		"--datadir=" + filepath.Join(dir, "data"), "--logdir=" + filepath.Join(dir, "logs"),
		"--rpccert=" + c.cert(), "--rpckey=" + filepath.Join(dir, "rpc.key"),
		"--rpcuser=" + rpcUser, "--rpcpass=" + rpcPass,
		fmt.Sprintf("--rpclisten=127.0.0.1:%d", rpcPort),
		fmt.Sprintf("--listen=127.0.0.1:%d", p2p),
	}
	if mineTo != "" {
		args = append(args, "--miningaddr="+mineTo)
	}
	p, err := proc.Start(proc.Spec{Name: "btcd", Log: filepath.Join(dir, "btcd.out"), Path: bin, Args: args})
	if err != nil {
		return nil, err
	}
	c.Process = p
	err = proc.Poll(ctx, "btcd's RPC", func() error {
		if c.client == nil {
			pool, err := certPool(c.cert())
			if err != nil {
				return err
			}
			c.client = &http.Client{
				Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}},
				Timeout:   time.Minute,
			}
		}
		return c.call(ctx, "getblockcount")
	})
	return c, err
}

func (c *Chain) cert() string { return filepath.Join(c.dir, "rpc.cert") }

// Mine makes n blocks.
func (c *Chain) Mine(ctx context.Context, n int) error { return c.call(ctx, "generate", n) }

func (c *Chain) call(ctx context.Context, method string, params ...any) error {
	if params == nil {
		params = []any{}
	}
	body, err := json.Marshal(map[string]any{"jsonrpc": "1.0", "id": 1, "method": method, "params": params})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf("https://127.0.0.1:%d", c.rpcPort), bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.SetBasicAuth(rpcUser, rpcPass)
	resp, err := c.client.Do(req)
	if err != nil {
		return fmt.Errorf("calling btcd's %s: %w", method, err)
	}
	defer resp.Body.Close()
	var answer struct {
		Error *struct {
			Code    int
			Message string
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return fmt.Errorf("reading btcd's answer to %s, status %d: %w", method, resp.StatusCode, err)
	}
	if answer.Error != nil {
		return fmt.Errorf("btcd refuses %s: %d %s", method, answer.Error.Code, answer.Error.Message)
	}
	return nil
}

func certPool(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("no certificate in " + file)
	}
	return pool, nil
}
