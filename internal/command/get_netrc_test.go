package command_test

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// wantLine is the line for the last token that the shop sold.
func (m *market) wantLine(t *testing.T, line string) {
	t.Helper()
	rest, ok := strings.CutPrefix(line, "machine 127.0.0.1 login l402 password ")
	token, preimage, _ := strings.Cut(strings.TrimSuffix(rest, "\n"), ":")
	if mac, err := base64.StdEncoding.DecodeString(token); !ok || err != nil || len(mac) < 100 || preimage != m.last.Preimage.String() {
		t.Errorf("got %q", line)
	}
}

func TestGetPrintsNetrc(t *testing.T) {
	m := newMarket(t)
	got := m.get("--netrc")
	if got.err != nil || strings.Contains(got.stdout, "goods") {
		t.Fatalf("%+v", got)
	}
	m.wantLine(t, got.stdout)

	// The body goes to a file, and a stored token has a line too.
	tokens, out := filepath.Join(t.TempDir(), "tokens"), filepath.Join(t.TempDir(), "out")
	first := m.get("--netrc", "-t", tokens, "-o", out)
	m.wantLine(t, first.stdout)
	if data, err := os.ReadFile(out); err != nil || string(data) != "the goods\n" {
		t.Errorf("%q, %v", data, err)
	}
	if again := m.get("--netrc", "-t", tokens); again.stdout != first.stdout || m.payments != 2 {
		t.Errorf("after %d payments: %+v", m.payments, again)
	}

	// As JSON, without the body.
	got = m.get("--netrc", "--json")
	var r struct {
		Netrc string
		Body  *string
	}
	if err := json.Unmarshal([]byte(got.stdout), &r); err != nil || r.Body != nil {
		t.Errorf("%+v, %v", got, err)
	}
	m.wantLine(t, r.Netrc)
}

func TestGetWritesNetrc(t *testing.T) {
	m := newMarket(t)
	file := filepath.Join(t.TempDir(), "netrc")
	if err := os.WriteFile(file, []byte("machine a login b password c\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got := m.get("--netrc=" + file); got.err != nil || got.stdout != "" || strings.Contains(got.stderr, m.last.Preimage.String()) {
			t.Fatalf("%+v", got)
		}
		text, err := os.ReadFile(file)
		lines := strings.SplitAfter(string(text), "\n")
		if err != nil || len(lines) != 3 || lines[0] != "machine a login b password c\n" {
			t.Fatalf("%q, %v", text, err)
		}
		m.wantLine(t, lines[1])
	}

	// What was paid for is kept, whatever the answer is.
	m.status = 503
	if got := m.get("--fail", "--netrc="+file); got.code(t) != 22 || strings.Contains(got.stderr, "keep it to yourself") {
		t.Errorf("%+v", got)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	m.wantLine(t, strings.SplitAfter(string(text), "\n")[1])
}

func TestGetNetrcRefuses(t *testing.T) {
	m := newMarket(t)
	file := filepath.Join(t.TempDir(), "netrc")
	if err := os.WriteFile(file, []byte("machine 127.0.0.1 login me password mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"a login of the user's":        {"--netrc=" + file},
		"no regular file":              {"--netrc=" + t.TempDir()},
		"headers in front of the line": {"--netrc", "-i"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := m.get(args...); got.code(t) != 2 || m.payments != 0 || strings.Contains(got.stderr, "mine") {
				t.Errorf("%d payments, %+v", m.payments, got)
			}
		})
	}
	got := run(t.Context(), "", "get", "--admin", m.URL, "--netrc", m.URL+"/l402/keys") // which is free
	if got.code(t) != 1 || got.stdout != "" || !strings.Contains(got.stderr, "no token was needed") {
		t.Errorf("%+v", got)
	}
}
