package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
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
	out := filepath.Join(t.TempDir(), "caddy")
	if err := xcaddyBuild(out); err != nil {
		t.Fatal(err)
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

// xcaddyProgram builds xcaddy itself.
var xcaddyProgram = sync.OnceValues(func() (string, error) {
	program := filepath.Join(scratch, "xcaddy")
	return program, command(".", "go", "build", "-buildvcs=false", "-o", program, "github.com/caddyserver/xcaddy/cmd/xcaddy")
})

// xcaddyBuild builds Caddy with this repository's module and others, each "path@version".
func xcaddyBuild(out string, others ...string) error {
	root, err := filepath.Abs(repository)
	if err != nil {
		return err
	}
	version, err := caddyVersion(root)
	if err != nil {
		return err
	}
	xcaddy, err := xcaddyProgram()
	if err != nil {
		return err
	}
	proxy, err := unpublished()
	if err != nil {
		return err
	}
	defer proxy.Close()
	args := []string{"build", version, "--with", modulePath + "=" + root, "--output", out}
	for _, other := range others {
		args = append(args, "--with", other)
	}
	dir, err := os.MkdirTemp(scratch, "xcaddy-")
	if err != nil {
		return err
	}
	cmd := exec.Command(xcaddy, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOPROXY="+proxy.URL, "GOFLAGS=-mod=mod -buildvcs=false", "GOWORK=off")
	if log, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building with xcaddy: %w\n%s", err, log)
	}
	return nil
}

// unpublished is a module proxy that knows no version of this module, whatever was published of
// it, and sends the go command to the usual proxy for everything else. What xcaddy builds is then
// what lies here.
func unpublished() (*httptest.Server, error) {
	list, err := exec.Command("go", "env", "GOPROXY").Output()
	if err != nil {
		return nil, fmt.Errorf("asking for GOPROXY: %w", err)
	}
	usual, _, _ := strings.Cut(strings.TrimSpace(strings.ReplaceAll(string(list), "|", ",")), ",")
	if !strings.HasPrefix(usual, "http") {
		return nil, fmt.Errorf("GOPROXY %q does not begin with a proxy's URL", list)
	}
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/"+modulePath+"/@") {
			http.NotFound(w, r)
			return
		}
		http.Redirect(w, r, strings.TrimSuffix(usual, "/")+r.URL.EscapedPath(), http.StatusFound)
	})), nil
}

// caddyVersion reads the version of Caddy that go.mod requires.
func caddyVersion(root string) (string, error) {
	b, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(b)) {
		if fields := strings.Fields(line); len(fields) >= 2 && fields[0] == "github.com/caddyserver/caddy/v2" {
			return fields[1], nil
		}
	}
	return "", errors.New("go.mod does not require Caddy")
}
