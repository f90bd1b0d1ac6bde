package e2e

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/gateway"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/upstream"
)

// modulePath is what users give to xcaddy.
const modulePath = "github.com/caddy-l402/caddy-l402"

// TestXcaddy builds Caddy the way users do and sells something with the result: a replace line in
// go.mod, which xcaddy would ignore, or a dependency that only resolves inside this repository
// shows here.
func TestXcaddy(t *testing.T) {
	root, err := filepath.Abs(repository)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	xcaddy, out := filepath.Join(dir, "xcaddy"), filepath.Join(dir, "caddy")
	if err := command(".", "go", "build", "-buildvcs=false", "-o", xcaddy, "github.com/caddyserver/xcaddy/cmd/xcaddy"); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), xcaddy, "build", caddyVersion(t, root), "--with", modulePath+"="+root, "--output", out)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOPROXY="+unpublished(t), "GOFLAGS=-mod=mod -buildvcs=false", "GOWORK=off")
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Run(); err != nil {
		t.Fatalf("building with xcaddy: %v\n%s", err, log.String())
	}
	info, err := os.Stat(out)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("xcaddy's build has %.1f MB", float64(info.Size())/1e6)

	up := upstream.Start(t)
	gw := gateway.Start(t, gateway.Options{Binary: out, Global: sandboxOptions, Site: shop(up)})
	refused(t, gw, up, "/premium/a")
	gw.Buy(t, gw.Sandbox(), "/premium/a")
}

// unpublished is a module proxy that knows no version of this module, whatever was published of
// it, and sends the go command to the usual proxy for everything else. What xcaddy builds is then
// what lies here.
func unpublished(t *testing.T) string {
	t.Helper()
	list, err := exec.Command("go", "env", "GOPROXY").Output()
	if err != nil {
		t.Fatal(err)
	}
	usual, _, _ := strings.Cut(strings.TrimSpace(strings.ReplaceAll(string(list), "|", ",")), ",")
	if !strings.HasPrefix(usual, "http") {
		t.Fatalf("GOPROXY %q does not begin with a proxy's URL", list)
	}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/"+modulePath+"/@") {
			http.NotFound(w, r)
			return
		}
		http.Redirect(w, r, strings.TrimSuffix(usual, "/")+r.URL.EscapedPath(), http.StatusFound)
	}))
	t.Cleanup(proxy.Close)
	return proxy.URL
}

// caddyVersion reads the version of Caddy that go.mod requires.
func caddyVersion(t *testing.T, root string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if fields := strings.Fields(line); len(fields) >= 2 && fields[0] == "github.com/caddyserver/caddy/v2" {
			return fields[1]
		}
	}
	t.Fatal("go.mod does not require Caddy")
	return ""
}
