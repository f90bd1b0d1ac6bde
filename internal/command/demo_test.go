package command_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/caddyserver/caddy/v2/modules/standard"
	"github.com/lightningnetwork/lnd/lntypes"

	_ "github.com/caddy-l402/caddy-l402"
	"github.com/caddy-l402/caddy-l402/internal/demo"
)

// tempDir gives the demonstration a place of its own for temporary files, and a home that cannot
// be written to, since it lies below a file.
func tempDir(t *testing.T) string {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o400); err != nil {
		t.Fatal(err)
	}
	temp := filepath.Join(dir, "temp")
	if err := os.Mkdir(temp, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", temp)
	for _, name := range []string{"HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"} {
		t.Setenv(name, filepath.Join(file, "home"))
	}
	return temp
}

func TestDemoOnce(t *testing.T) {
	temp := tempDir(t)
	got := run(t.Context(), "", "demo", "--once", "--address", "127.0.0.1:0", "--price", "1500 msat")
	if got.err != nil {
		t.Fatalf("%+v", got)
	}
	place := 0
	for _, want := range []string{
		"1. Request", "402 Payment Required", "2. Challenge: pay 1500 msat on regtest", "lnbcrt", "services=premium:0",
		"3. Payment", "preimage", "4. The same request", "Authorization: L402 ", "200 OK", "paid for", "Done",
	} {
		at := strings.Index(got.stdout[place:], want)
		if at < 0 {
			t.Fatalf("%q is not where it belongs:\n%s", want, got.stdout)
		}
		place += at
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestDemoRefuses(t *testing.T) {
	tempDir(t)
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	for name, test := range map[string]struct {
		args []string
		code int
		says string
	}{
		"port in use":     {[]string{"--once", "--address", busy.Addr().String()}, 1, "choose another place with --address"},
		"port in use, on": {[]string{"--address", busy.Addr().String()}, 1, "address already in use"},
		"public":          {[]string{"--address", "0.0.0.0:0"}, 1, "not this machine alone"},
		"every address":   {[]string{"--address", ":8402"}, 1, "not this machine alone"},
		"a name":          {[]string{"--address", "example.com:80"}, 1, "not this machine alone"},
		"no port":         {[]string{"--address", "127.0.0.1"}, 1, "host:port"},
		"no price":        {[]string{"--price", "0 sat"}, 2, "--price"},
		"a bad price":     {[]string{"--price", "10 sat } respond"}, 2, "--price"},
		"arguments":       {[]string{"now"}, 2, "no arguments"},
	} {
		got := run(t.Context(), "", append([]string{"demo"}, test.args...)...)
		if got.code(t) != test.code || !strings.Contains(got.stderr, test.says) || got.stdout != "" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// printed collects what the demonstration writes while it runs.
type printed struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *printed) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *printed) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// TestDemoGuide runs the shell commands that the demonstration prints, and its commands for get and
// decode.
func TestDemoGuide(t *testing.T) {
	for _, tool := range []string{"sh", "curl", "sed", "grep"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	temp := tempDir(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out := new(printed)
	d := &demo.Demo{Address: "127.0.0.1:0", Price: 10_000, Out: out, Program: "caddy"}
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }() // owned by the test; ends with stop
	for range 200 {
		if strings.Contains(out.String(), "Ctrl-C") {
			break
		}
		select {
		case err := <-ended:
			t.Fatal(err)
		case <-time.After(50 * time.Millisecond):
		}
	}
	var script strings.Builder
	fmt.Fprintln(&script, "set -e")
	for line := range strings.Lines(out.String()) {
		if command := strings.TrimSpace(line); regexp.MustCompile(`^(curl|[a-z]+=)`).MatchString(command) {
			fmt.Fprintln(&script, command)
		}
	}
	fmt.Fprintln(&script, `echo; echo "preimage=$preimage"; echo "$challenge"`)
	cmd := exec.CommandContext(ctx, "sh", "-c", script.String())
	cmd.Env = append(os.Environ(), "no_proxy=*")
	shown, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, script.String(), shown)
	}
	text := string(shown)
	if !strings.Contains(text, "HTTP/1.1 402") || !strings.Contains(text, "HTTP/1.1 200 OK") || !strings.Contains(text, "This page was paid for.") {
		t.Errorf("the guide's commands show\n%s", text)
	}
	found := regexp.MustCompile(`(?m)^preimage=(.*)$`).FindStringSubmatch(text)
	if len(found) != 2 {
		t.Fatalf("no preimage in\n%s", text)
	}
	if _, err := lntypes.MakePreimageFromStr(found[1]); err != nil {
		t.Errorf("preimage %q: %v", found[1], err)
	}

	line := regexp.MustCompile(`(?m)^ *caddy l402 (get.*)$`).FindStringSubmatch(out.String())
	if len(line) != 2 {
		t.Fatalf("no get in\n%s", out.String())
	}
	t.Setenv("no_proxy", "*")
	t.Setenv("L402_WALLET", "")
	if got := run(t.Context(), "", strings.Fields(line[1])...); got.err != nil || !strings.Contains(got.stdout, "paid for") {
		t.Errorf("get: %+v", got)
	}
	if got := run(t.Context(), text, "decode", "-"); got.err != nil || !strings.Contains(got.stdout, "opens premium:0") {
		t.Errorf("decode: %+v", got)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
