package e2e

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/lightning"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/mints"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/proc"
)

// parts are the counterparts that only some stories need; each is built when the first asks.
var parts = map[string]func() error{
	"relay":    sync.OnceValue(func() error { return command(".", "./peers/build.sh", "relay") }),
	"aperture": sync.OnceValue(func() error { return command(".", "./peers/build.sh", "aperture") }),
	"mint":     sync.OnceValue(func() error { return command(".", "./peers/build.sh", "mint") }),
}

// counterpart builds a part and gives the path of one of its programs.
func counterpart(t testing.TB, part, program string) string {
	t.Helper()
	if err := parts[part](); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(peers, program)
}

// startMint runs a Cashu mint on a node until the test ends; without a node its Lightning is made up.
func startMint(t testing.TB, node *lightning.Node, feePPK int) *mints.Mint {
	t.Helper()
	bin := filepath.Dir(counterpart(t, "mint", "mint"))
	return mints.Start(t, mints.Options{Bin: bin, Node: node, FeePPK: feePPK})
}

// install installs the pinned packages of npm/ into a folder that goes away with the test run.
var install = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(scratch, "npm")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	files, err := filepath.Glob("npm/*")
	if err != nil {
		return "", err
	}
	for _, name := range append(files, "npm/.npmrc") {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // a folder, such as an installation by hand
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(name)), b, 0o600); err != nil {
			return "", err
		}
	}
	return dir, command(dir, "npm", "ci", "--no-audit", "--no-fund")
})

// npm is the folder with the programs of npm/ and the packages that they need.
func npm(t testing.TB) string {
	t.Helper()
	dir, err := install()
	if err != nil {
		t.Fatalf("installing npm's packages: %v", err)
	}
	return dir
}

// lndREST is the environment in which the programs of npm/ find a node.
func lndREST(n *lightning.Node, macaroon string) []string {
	return []string{fmt.Sprintf("LND_REST=https://127.0.0.1:%d", n.RESTPort), "LND_CERT=" + n.CertFile(), "LND_MACAROON=" + macaroon}
}

// start starts a program until the test ends.
func start(t testing.TB, s proc.Spec) *proc.Process {
	t.Helper()
	if s.Log == "" {
		s.Log = filepath.Join(t.TempDir(), s.Name+".log")
	}
	p, err := proc.Start(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(10 * time.Second); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			out, _ := os.ReadFile(s.Log)
			t.Logf("what %s said:\n%s", s.Name, out[max(0, len(out)-4096):])
		}
	})
	return p
}

// word waits until a program says a line that begins with name and gives the rest of it.
func word(t testing.TB, p *proc.Process, name string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var rest string
	err := proc.Poll(ctx, p.Name+" to say "+name, func() error {
		lines := said(t, p, name)
		if len(lines) == 0 {
			if !p.Running() {
				cancel()
			}
			return fmt.Errorf("running: %t", p.Running())
		}
		rest = lines[0]
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rest
}

// said gives the rest of all complete lines of a program that begin with name.
func said(t testing.TB, p *proc.Process, name string) []string {
	t.Helper()
	out, err := os.ReadFile(p.Log)
	if err != nil {
		t.Fatal(err)
	}
	whole := out[:strings.LastIndexByte(string(out), '\n')+1]
	var found []string
	for lines := bufio.NewScanner(strings.NewReader(string(whole))); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			found = append(found, rest)
		}
	}
	return found
}
