package e2e

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/gateway"
)

// buys lets the command pay for an address and write the line where the programs of a user look.
func buys(t *testing.T, gw *gateway.Gateway, home, path string) {
	t.Helper()
	file := filepath.Join(home, ".netrc")
	if out, errs, err := runCaddy(t, t.TempDir(), "l402", "get", "--max", "1000", "--admin", gw.AdminURL(), "--netrc="+file, "-X", "HEAD", gw.Base+path); err != nil {
		t.Fatalf("%v\n%s%s", err, out, errs)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode() != 0o600 {
		t.Fatalf("the netrc is %v, %v", info.Mode(), err)
	}
}

// as runs a program as a user with this home.
func as(t *testing.T, home, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = home
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_NOSYSTEM=1", "LC_ALL=C"}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestCurlWithNetrc is the recipe for downloads, with curl.
func TestCurlWithNetrc(t *testing.T) {
	t.Parallel()
	curl := program(t, "curl", "curl")
	files := t.TempDir()
	if err := os.MkdirAll(filepath.Join(files, "files"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(files, "files", "image.iso"), []byte("0123456789"), 0o644); err != nil {
		t.Fatal(err)
	}
	gw := gateway.Start(t, gateway.Options{Binary: caddy, Global: sandboxOptions,
		Site: recipe(t, "downloads.md", "dl.example.com", "/srv/downloads", files)})
	home := t.TempDir()
	address := gw.Base + "/files/image.iso"
	if out, err := as(t, home, curl, "-sf", "--netrc-optional", address); err == nil || out != "" {
		t.Errorf("without a payment curl gets %q", out)
	}
	buys(t, gw, home, "/files/image.iso")
	if err := os.WriteFile(filepath.Join(home, "image.iso"), []byte("01234"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := as(t, home, curl, "-sfS", "--netrc", "-C", "-", "-O", address); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got, err := os.ReadFile(filepath.Join(home, "image.iso")); err != nil || string(got) != "0123456789" {
		t.Errorf("curl took up %q, %v", got, err)
	}
}

// TestGitWithNetrc is the recipe for a repository, with git.
func TestGitWithNetrc(t *testing.T) {
	t.Parallel()
	git := program(t, "git", "git")
	work, served := t.TempDir(), t.TempDir()
	for _, args := range [][]string{
		{"init", "-q", "--bare", served + "/book.git"},
		{"--git-dir", served + "/book.git", "symbolic-ref", "HEAD", "refs/heads/main"},
		{"init", "-q", "."},
		{"-c", "user.name=author", "-c", "user.email=author@example.com", "commit", "-q", "--allow-empty", "-m", "chapter one"},
		{"push", "-q", served + "/book.git", "HEAD:refs/heads/main"},
		{"--git-dir", served + "/book.git", "update-server-info"},
	} {
		if out, err := as(t, work, git, args...); err != nil {
			t.Fatalf("git %q: %v\n%s", args, err, out)
		}
	}
	gw := gateway.Start(t, gateway.Options{Binary: caddy, Global: sandboxOptions,
		Site: recipe(t, "downloads.md", "git.example.com", "/srv/git", served)})
	home := t.TempDir()
	address := gw.Base + "/book.git"
	if out, err := as(t, home, git, "clone", address, "unpaid"); err == nil || !strings.Contains(out, "could not read Username") {
		t.Errorf("without a payment: %v\n%s", err, out)
	}
	// Others still get the gate's own answer.
	refusal := gw.Want(t, http.StatusPaymentRequired, "/book.git/info/refs")
	if !strings.Contains(refusal.Text, `"invoice"`) || len(refusal.Header.Values("WWW-Authenticate")) != 1 {
		t.Errorf("%v %s", refusal.Header, refusal.Text)
	}
	buys(t, gw, home, "/book.git/info/refs")
	if out, err := as(t, home, git, "clone", address, "paid"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := as(t, home+"/paid", git, "log", "--format=%s"); err != nil || out != "chapter one\n" {
		t.Errorf("the clone holds %q, %v", out, err)
	}
	gw.Want(t, http.StatusPaymentRequired, "/book.git/HEAD")
}
