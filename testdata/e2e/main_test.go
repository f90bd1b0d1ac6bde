package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/lightning"
)

// repository is the root module's folder, seen from here.
const repository = "../.."

var (
	// caddy is the program under test.
	caddy string
	// peers is the folder with the counterparts' programs.
	peers string
	// scratch goes away with the test run.
	scratch string
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	if scratch, err = os.MkdirTemp("", "l402-e2e-"); err != nil {
		return 1, err
	}
	defer os.RemoveAll(scratch)
	if err := buildCaddy(); err != nil {
		return 1, err
	}
	if err := buildPeers(); err != nil {
		return 1, err
	}
	defer func() {
		if pair != nil {
			if downErr := pair.Down(); downErr != nil && err == nil {
				code, err = 1, downErr
			}
		}
	}()
	return m.Run(), nil
}

// buildCaddy builds what is in the working tree now; Go's cache makes it quick. E2E_CADDY names a
// finished program to test instead, such as a release.
func buildCaddy() error {
	if caddy = os.Getenv("E2E_CADDY"); caddy != "" {
		_, err := os.Stat(caddy)
		return err
	}
	caddy = filepath.Join(scratch, "caddy")
	args := []string{"build", "-buildvcs=false", "-o", caddy}
	if os.Getenv("E2E_RACE") == "1" {
		args = append(args, "-race")
	}
	return command(repository, "go", append(args, "./xcaddy")...)
}

func buildPeers() error {
	peers = os.Getenv("PEERS_BIN")
	if peers == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return err
		}
		peers = filepath.Join(home, ".cache", "l402-peers")
	}
	if err := os.Setenv("PEERS_BIN", peers); err != nil {
		return err
	}
	return command(".", "./peers/build.sh", "btcd", "lnd")
}

// command runs a program and shows its output only when it fails.
func command(dir, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("running %s %q: %w\n%s", name, args, err, out)
	}
	return nil
}

var (
	pairOnce sync.Once
	pair     *lightning.Pair
	pairErr  error
)

// network gives the Lightning network that all tests share; the first caller brings it up.
func network(t testing.TB) *lightning.Pair {
	t.Helper()
	pairOnce.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		begin := time.Now()
		pair, pairErr = lightning.Up(ctx, peers, scratch)
		fmt.Printf("lightning network up after %s\n", time.Since(begin).Round(time.Millisecond))
	})
	if pairErr != nil {
		t.Fatalf("bringing up btcd and LND: %v", pairErr)
	}
	return pair
}
