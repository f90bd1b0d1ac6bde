package e2e

import (
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
)

// recipe gives the body of the site that a page of the documentation shows, with other words for
// some of its own. Each of those must be there.
func recipe(t testing.TB, page, site string, words ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, "docs/recipes", page))
	if err != nil {
		t.Fatal(err)
	}
	_, body, found := strings.Cut(string(text), "\n"+site+" {\n")
	body, _, ends := strings.Cut(body, "\n}\n")
	if !found || !ends {
		t.Fatalf("%s has no site %s", page, site)
	}
	for i := 0; i < len(words); i += 2 {
		if !strings.Contains(body, words[i]) {
			t.Fatalf("the site %s in %s has no %q", site, page, words[i])
		}
		body = strings.ReplaceAll(body, words[i], words[i+1])
	}
	return body
}

// program finds a program that the stories need.
func program(t testing.TB, name, debian string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + name) // where only root looks
	}
	if err != nil {
		t.Fatalf("finding %s: %v; install Debian's package %s", name, err, debian)
	}
	return path
}

// nix is a user of nix without a daemon, with a store and settings of his own. Stores of the same
// name stand for one store on different machines.
type nix struct {
	t     testing.TB
	home  string
	store string
}

// newNix makes a user with an empty store. Settings are lines of nix.conf.
func newNix(t testing.TB, store string, settings ...string) *nix {
	t.Helper()
	program(t, "nix-store", "nix-bin")
	n := &nix{t: t, home: t.TempDir(), store: store}
	for _, dir := range []string{"conf", "state", "log", "cache"} {
		if err := os.Mkdir(filepath.Join(n.home, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	n.write("conf/nix.conf", strings.Join(append([]string{
		"experimental-features = nix-command",
		"build-users-group =", // no daemon, and root may build
		"sandbox = false",
		"netrc-file = " + n.netrc(),
	}, settings...), "\n"))
	n.empty()
	return n
}

func (n *nix) netrc() string { return filepath.Join(n.home, "netrc") }

func (n *nix) write(name, text string) {
	n.t.Helper()
	if err := os.WriteFile(filepath.Join(n.home, name), []byte(text+"\n"), 0o600); err != nil {
		n.t.Fatal(err)
	}
}

// empty takes everything out of the store. What nix puts there cannot be written to.
func (n *nix) empty() {
	n.t.Helper()
	_ = filepath.WalkDir(n.store, func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			err = os.Chmod(path, 0o755)
		}
		return err
	})
	for _, dir := range []string{n.store, filepath.Join(n.home, "state"), filepath.Join(n.home, "cache")} {
		if err := os.RemoveAll(dir); err != nil {
			n.t.Fatal(err)
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			n.t.Fatal(err)
		}
	}
}

// run calls a program of nix and gives all that it printed.
func (n *nix) run(name string, args ...string) (string, error) {
	n.t.Helper()
	cmd := exec.CommandContext(n.t.Context(), name, args...)
	cmd.Dir = n.home
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + n.home, "USER=nobody",
		"NIX_STORE_DIR=" + n.store, "NIX_STATE_DIR=" + filepath.Join(n.home, "state"),
		"NIX_LOG_DIR=" + filepath.Join(n.home, "log"), "NIX_CONF_DIR=" + filepath.Join(n.home, "conf"),
		"XDG_CACHE_HOME=" + filepath.Join(n.home, "cache"), "XDG_CONFIG_HOME=" + n.home,
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (n *nix) must(name string, args ...string) string {
	n.t.Helper()
	out, err := n.run(name, args...)
	if err != nil {
		n.t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return out
}

// fetch asks for a path that no machine has built yet.
func (n *nix) fetch(path string) (string, error) {
	n.t.Helper()
	n.empty()
	return n.run("nix-store", "--realise", path)
}

// nixCache is a binary cache in a folder, with one package.
type nixCache struct {
	dir, store, key string
	// path is the package's, nar and info are its files in the cache.
	path, nar, info string
}

const greeting = "hello, world\n"

// buildCache builds a package, signs it and puts it into a cache.
func buildCache(t testing.TB) *nixCache {
	t.Helper()
	c := &nixCache{dir: filepath.Join(t.TempDir(), "cache"), store: filepath.Join(t.TempDir(), "store")}
	builder := newNix(t, c.store, "substitute = false")
	t.Cleanup(builder.empty) // or what is left of the folder cannot be removed
	builder.must("nix-store", "--generate-binary-cache-key", "shop-1", "secret", "public")
	key, err := os.ReadFile(filepath.Join(builder.home, "public"))
	if err != nil {
		t.Fatal(err)
	}
	c.key = strings.TrimSpace(string(key))
	builder.write("package.nix", `derivation {
	name = "greeting-1.0"; system = builtins.currentSystem; builder = "/bin/sh";
	args = [ "-c" "echo hello, world > $out" ];
}`)
	out := strings.Fields(builder.must("nix-build", "--no-out-link", "package.nix"))
	c.path = out[len(out)-1]
	builder.must("nix", "copy", "--to", "file://"+c.dir+"?secret-key="+filepath.Join(builder.home, "secret"), c.path)
	hash, _, _ := strings.Cut(filepath.Base(c.path), "-")
	c.info = "/" + hash + ".narinfo"
	text, err := os.ReadFile(c.dir + c.info)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if url, ok := strings.CutPrefix(line, "URL: "); ok {
			c.nar = "/" + strings.TrimSpace(url)
		}
	}
	if !strings.HasPrefix(c.nar, "/nar/") || !strings.Contains(string(text), "Sig: shop-1:") || strings.Contains(string(text), "CA: ") {
		t.Fatalf("the package is not signed, or needs no signature:\n%s", text)
	}
	return c
}

// sold serves the cache as the recipe does, with more lines in the l402 block.
func (c *nixCache) sold(t testing.TB, global string, lines ...string) *gateway.Gateway {
	t.Helper()
	return gateway.Start(t, gateway.Options{Binary: caddy, Global: global,
		Site: recipe(t, "nix-cache.md", "cache.example.com", "/srv/cache", c.dir,
			"valid 24h", "valid 24h\n"+strings.Join(lines, "\n"))})
}

// free serves the cache for nothing, and counts the packages that it gave.
func (c *nixCache) free(t testing.TB) (base string, given func() int) {
	t.Helper()
	var mu sync.Mutex
	count := 0
	files := http.FileServer(http.Dir(c.dir))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == c.nar {
			mu.Lock()
			count++
			mu.Unlock()
		}
		files.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL, func() int { mu.Lock(); defer mu.Unlock(); return count }
}

// user makes a user of these caches, in this order.
func (c *nixCache) user(t testing.TB, caches ...string) *nix {
	t.Helper()
	for i := range caches {
		caches[i] += fmt.Sprintf("?priority=%d", i+10)
	}
	return newNix(t, c.store, "substituters = "+strings.Join(caches, " "), "trusted-public-keys = "+c.key)
}

// has checks that the package is there.
func (c *nixCache) has(t testing.TB) {
	t.Helper()
	if text, err := os.ReadFile(c.path); err != nil || string(text) != greeting {
		t.Fatalf("the package is %q, %v", text, err)
	}
}
