package mints

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/proc"
)

// Wallet is gonuts' wallet nutw: a customer with ecash of one mint.
type Wallet struct {
	bin string
	dir string
	url string
}

// NewWallet makes an empty wallet for ecash of the mint.
func (m *Mint) NewWallet(t testing.TB) *Wallet {
	t.Helper()
	w := &Wallet{bin: filepath.Join(m.options.Bin, "nutw"), dir: t.TempDir(), url: m.URL}
	// Without this file it takes no notice of its environment.
	if err := os.WriteFile(filepath.Join(w.dir, ".env"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *Wallet) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, w.bin, args...)
	cmd.Dir = w.dir
	// It asks in some cases; end of input is the answer.
	cmd.Env = append(cmd.Environ(), "HOME="+w.dir, "WALLET_PATH="+filepath.Join(w.dir, "wallet"), "MINT_URL="+w.url)
	return cmd
}

// Run runs one of nutw's commands and gives what it said. nutw does not tell failure by its status,
// so the callers look for what success says.
func (w *Wallet) Run(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	out, err := w.command(ctx, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("running nutw %s: %w: %s", args[0], err, out)
	}
	return string(out), nil
}

// find runs a command and gives what stands after the word in its output, on the same line.
func (w *Wallet) find(ctx context.Context, before string, args ...string) (string, error) {
	out, err := w.Run(ctx, args...)
	if err != nil {
		return "", err
	}
	_, rest, ok := strings.Cut(out, before)
	if !ok {
		return "", fmt.Errorf("running nutw %s: it said: %s", args[0], out)
	}
	rest, _, _ = strings.Cut(rest, "\n")
	return strings.TrimSpace(rest), nil
}

// Buy buys ecash: pay pays the mint's invoice. It may be nil at a mint whose Lightning node is made
// up, where invoices are paid by themselves.
func (w *Wallet) Buy(ctx context.Context, sat int64, pay func(ctx context.Context, invoice string) error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	invoice, err := w.invoice(ctx, sat)
	if err != nil {
		return err
	}
	if pay != nil {
		if err := pay(ctx, invoice); err != nil {
			return err
		}
	}
	out, err := w.Run(ctx, "mint", "--invoice", invoice)
	if err == nil && !strings.Contains(out, "successfully minted") {
		err = fmt.Errorf("running nutw mint: it said: %s", out)
	}
	return err
}

// invoice asks for an invoice and leaves it at that. nutw would wait for the payment, and misses one
// that comes before it listens.
func (w *Wallet) invoice(ctx context.Context, sat int64) (string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := w.command(ctx, "mint", strconv.FormatInt(sat, 10))
	said := &output{}
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("running nutw mint: %w", err)
	}
	done := make(chan struct{})
	// Ends with the program, which ctx ends.
	go func() {
		_ = cmd.Wait()
		close(done)
	}()
	defer func() {
		cancel()
		<-done
	}()
	var invoice string
	err := proc.Poll(ctx, "nutw's invoice", func() error {
		_, rest, ok := strings.Cut(said.String(), "invoice: ")
		line, _, whole := strings.Cut(rest, "\n")
		if ok && whole {
			invoice = line
			return nil
		}
		select {
		case <-done:
			cancel()
		default:
		}
		return fmt.Errorf("it said: %s", said)
	})
	return invoice, err
}

// Send takes a token over an amount out of the wallet. More of nutw's flags may be given.
func (w *Wallet) Send(ctx context.Context, sat int64, flags ...string) (string, error) {
	out, err := w.Run(ctx, append(append([]string{"send"}, flags...), strconv.FormatInt(sat, 10))...)
	if err != nil {
		return "", err
	}
	lines := strings.Fields(out)
	if len(lines) == 0 || !strings.HasPrefix(lines[len(lines)-1], "cashu") {
		return "", fmt.Errorf("running nutw send: it said: %s", out)
	}
	return lines[len(lines)-1], nil
}

// Receive takes a token in.
func (w *Wallet) Receive(ctx context.Context, token string) error {
	out, err := w.Run(ctx, "receive", token)
	if err == nil && !strings.Contains(out, "sats received") {
		err = fmt.Errorf("running nutw receive: it said: %s", out)
	}
	return err
}

// Balance is what the wallet has, in satoshi.
func (w *Wallet) Balance(ctx context.Context) (int64, error) {
	text, err := w.find(ctx, "Total balance: ", "balance")
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(strings.TrimSuffix(text, " sats"), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading nutw's balance: %w", err)
	}
	return n, nil
}

// output collects what a running program says. It is safe for concurrent use.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

// String is what was said so far.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
