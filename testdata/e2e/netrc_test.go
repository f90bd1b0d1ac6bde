package e2e

import (
	"fmt"
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
	if !strings.Contains(refusal.Text, `"invoice"`) || strings.Contains(fmt.Sprint(refusal.Header.Values("WWW-Authenticate")), "Basic") {
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

// TestNpmWithToken is the recipe for packages, with npm: it knows no netrc, and its tokens travel as
// those of the scheme Bearer.
func TestNpmWithToken(t *testing.T) {
	t.Parallel()
	npm := program(t, "npm", "npm")
	served, home := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "package.json"), []byte(`{"name":"greeting","version":"1.0.0"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := as(t, home, npm, "pack", "--pack-destination", served); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	gw := gateway.Start(t, gateway.Options{Binary: caddy, Global: sandboxOptions,
		Site: recipe(t, "downloads.md", "pkg.example.com", "/srv/packages", served)})
	index := `{"name":"greeting","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"greeting","version":"1.0.0",` +
		`"dist":{"tarball":"` + gw.Base + `/greeting-1.0.0.tgz"}}}}`
	if err := os.WriteFile(filepath.Join(served, "greeting"), []byte(index), 0o644); err != nil {
		t.Fatal(err)
	}
	install := func(settings string) (string, error) {
		dir := t.TempDir()
		for name, text := range map[string]string{"package.json": "{}", ".npmrc": "registry=" + gw.Base + "/\n" + settings} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		out, err := as(t, dir, npm, "install", "--no-audit", "--no-fund", "--cache", filepath.Join(dir, "cache"), "greeting")
		if err == nil {
			_, err = os.Stat(filepath.Join(dir, "node_modules/greeting/package.json"))
		}
		return out, err
	}
	if out, err := install(""); err == nil || !strings.Contains(out, "402 Payment Required") {
		t.Errorf("without a payment: %v\n%s", err, out)
	}
	token := gw.Buy(t, gw.Sandbox(), "/greeting-1.0.0.tgz")
	if out, err := install(strings.TrimPrefix(gw.Base, "http:") + "/:_authToken=" + token.Macaroon + ":" + token.Preimage); err != nil {
		t.Errorf("after the payment: %v\n%s", err, out)
	}
}
