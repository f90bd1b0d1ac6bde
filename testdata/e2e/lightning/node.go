package lightning

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/proc"
)

// Node is an LND that can be stopped and started again on its own data.
type Node struct {
	*proc.Process

	// Name is the node's alias.
	Name string
	// Dir holds the node's data and its output, lnd.out.
	Dir string
	// PubKey is the node's identity in hex.
	PubKey string
	// RPCPort is gRPC's, RESTPort the REST gateway's, both at 127.0.0.1.
	RPCPort, RESTPort int

	bin      string
	p2p      int
	chain    *Chain
	client   *http.Client
	macaroon string
}

// Addr is the host and port of the node's gRPC server.
func (n *Node) Addr() string { return fmt.Sprintf("127.0.0.1:%d", n.RPCPort) }

// CertFile is the node's self-signed TLS certificate.
func (n *Node) CertFile() string { return filepath.Join(n.Dir, "tls.cert") }

// AdminMacaroon is the file that allows everything.
func (n *Node) AdminMacaroon() string { return n.macaroonFile("admin") }

// InvoiceMacaroon is the file that allows making, looking up and following invoices and nothing
// else: what a gateway should hold.
func (n *Node) InvoiceMacaroon() string { return n.macaroonFile("invoice") }

func (n *Node) macaroonFile(name string) string {
	return filepath.Join(n.Dir, "data", "chain", "bitcoin", "regtest", name+".macaroon")
}

// Start starts the node and waits until it answers; use it after Stop or Kill.
func (n *Node) Start(ctx context.Context) error {
	if err := os.MkdirAll(n.Dir, 0o700); err != nil {
		return fmt.Errorf("making the folder of %s: %w", n.Name, err)
	}
	conf := filepath.Join(n.Dir, "lnd.conf")
	if err := os.WriteFile(conf, nil, 0o600); err != nil {
		return fmt.Errorf("writing the configuration of %s: %w", n.Name, err)
	}
	args := []string{
		"--lnddir=" + n.Dir, "--configfile=" + conf, "--alias=" + n.Name,
		"--bitcoin.regtest", "--bitcoin.node=btcd", "--bitcoin.defaultchanconfs=1", "--bitcoin.timelockdelta=24",
		fmt.Sprintf("--btcd.rpchost=127.0.0.1:%d", n.chain.rpcPort), "--btcd.rpcuser=" + rpcUser, "--btcd.rpcpass=" + rpcPass,
		"--btcd.rpccert=" + n.chain.cert(),
		fmt.Sprintf("--listen=127.0.0.1:%d", n.p2p),
		"--rpclisten=" + n.Addr(), fmt.Sprintf("--restlisten=127.0.0.1:%d", n.RESTPort),
		"--noseedbackup", "--nobootstrap", "--trickledelay=50",
		// RPCS at debug level logs the name of every call, which Calls counts.
		"--debuglevel=info,RPCS=debug",
	}
	p, err := proc.Start(proc.Spec{Name: n.Name, Log: filepath.Join(n.Dir, "lnd.out"), Path: n.bin, Args: args})
	if err != nil {
		return err
	}
	n.Process = p
	return n.connect(ctx)
}

// connect waits for the certificate, the macaroon and the RPC server.
func (n *Node) connect(ctx context.Context) error {
	return proc.Poll(ctx, n.Name+"'s RPC", func() error {
		if !n.Running() {
			return fmt.Errorf("%s ended, see %s", n.Name, n.Log)
		}
		pool, err := certPool(n.CertFile())
		if err != nil {
			return err
		}
		mac, err := os.ReadFile(n.AdminMacaroon())
		if err != nil {
			return err
		}
		n.macaroon = hex.EncodeToString(mac)
		if n.client == nil {
			n.client = restClient(pool)
		}
		var info struct {
			Identity string `json:"identity_pubkey"`
		}
		if err := n.do(ctx, http.MethodGet, "/v1/getinfo", nil, &info); err != nil {
			return err
		}
		n.PubKey = info.Identity
		return nil
	})
}

// WaitReady waits until the node follows the chain and serves everything.
func (n *Node) WaitReady(ctx context.Context) error {
	return proc.Poll(ctx, n.Name+" to be ready", func() error {
		var info struct {
			Synced bool `json:"synced_to_chain"`
		}
		if err := n.do(ctx, http.MethodGet, "/v1/getinfo", nil, &info); err != nil {
			return err
		}
		var state struct{ State string }
		if err := n.do(ctx, http.MethodGet, "/v1/state", nil, &state); err != nil {
			return err
		}
		if !info.Synced || state.State != "SERVER_ACTIVE" {
			return fmt.Errorf("synced %t, state %s", info.Synced, state.State)
		}
		return nil
	})
}

// StopWait stops the node in an orderly way.
func (n *Node) StopWait() error {
	if n == nil || n.Process == nil {
		return nil
	}
	return n.Stop(30 * time.Second)
}

// Calls counts how often an RPC such as "LookupInvoice" was called since the node's data was made.
func (n *Node) Calls(rpc string) (int, error) {
	out, err := os.ReadFile(filepath.Join(n.Dir, "lnd.out"))
	if err != nil {
		return 0, fmt.Errorf("reading the log of %s: %w", n.Name, err)
	}
	return strings.Count(string(out), "/"+rpc+"] requested"), nil
}
