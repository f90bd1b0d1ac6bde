package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/browser"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/client"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/gateway"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/proc"
)

var payAt = regexp.MustCompile(`Pay at: +(http://\S+)`)

// fallsThrough fetches the package as somebody whose credential is not good: nix shows why and how
// to pay, and takes it from the next cache at once.
func fallsThrough(t *testing.T, c *nixCache, user *nix, given func() int, reason string) (shown string) {
	t.Helper()
	before := given()
	shown, err := user.fetch(c.path)
	if err != nil {
		t.Fatalf("%v\n%s", err, shown)
	}
	c.has(t)
	if given() != before+1 {
		t.Error("the package did not come from the next cache")
	}
	if !strings.Contains(shown, "HTTP error 402") || !strings.Contains(shown, reason) || strings.Contains(shown, "retrying") {
		t.Errorf("nix does not show %q, or tries again:\n%s", reason, shown)
	}
	return shown
}

// TestNixCache is the recipe's story: free to see, paid to take, and nobody's build stops.
func TestNixCache(t *testing.T) {
	t.Parallel()
	c := buildCache(t)
	gw := c.sold(t, sandboxOptions)
	next, given := c.free(t)
	user := c.user(t, gw.Base, next)
	alone := c.user(t, gw.Base)

	// What is signed comes byte for byte, and may be kept by caches.
	for _, path := range []string{"/nix-cache-info", c.info} {
		want, err := os.ReadFile(c.dir + path)
		if err != nil {
			t.Fatal(err)
		}
		got := gw.Want(t, http.StatusOK, path)
		if got.Text != string(want) || got.Header.Get("Cache-Control") != "" {
			t.Errorf("%s: %v\n%s", path, got.Header, got.Text)
		}
	}
	gw.Want(t, http.StatusOK, "/.well-known/l402.json")

	shown := fallsThrough(t, c, user, given, "payment_required")
	link := payAt.FindStringSubmatch(shown)
	if link == nil || link[1] != gw.Base+c.nar || !strings.Contains(shown, "Price:   100 sat, valid for 24h") {
		t.Fatalf("nix does not show how to pay:\n%s", shown)
	}
	if out, err := alone.fetch(c.path); err == nil || !strings.Contains(out, link[0]) {
		t.Errorf("without another cache: %v\n%s", err, out)
	}

	// One command pays and writes the line.
	out, errs, err := runCaddy(t, t.TempDir(), "l402", "get", "--admin", gw.AdminURL(), "--netrc="+alone.netrc(), link[1])
	if err != nil || out != "" {
		t.Fatalf("%v\n%s%s", err, out, errs)
	}
	line, err := os.ReadFile(alone.netrc())
	if err != nil || len(line) > 39<<10/10 || !strings.HasPrefix(string(line), "machine 127.0.0.1 login l402 password ") {
		t.Fatalf("%d bytes of netrc, %v", len(line), err)
	}
	before := given()
	for range 2 {
		if out, err := alone.fetch(c.path); err != nil || strings.Contains(out, "error") {
			t.Fatalf("after the payment: %v\n%s", err, out)
		}
		c.has(t)
	}
	user.write("netrc", string(line))
	if out, err := user.fetch(c.path); err != nil || strings.Contains(out, "402") || given() != before {
		t.Fatalf("after the payment, and %d packages of the next cache: %v\n%s", given()-before, err, out)
	}

	// Paid or not, what another key signed is not taken.
	stranger := newNix(t, c.store, "substituters = "+gw.Base, "trusted-public-keys = other-1:"+strings.Repeat("A", 43)+"=")
	stranger.write("netrc", string(line))
	if out, err := stranger.fetch(c.path); err == nil || !strings.Contains(out, "is not signed by any of the keys") {
		t.Errorf("a foreign signature: %v\n%s", err, out)
	}

	// A token whose time is over is as good as none.
	password := strings.Fields(string(line))[5]
	mac, preimage, _ := strings.Cut(password, ":")
	gw.Secret(preimage)
	expired, err := client.Token{Macaroon: mac, Preimage: preimage}.Narrow("cache_valid_until=" + strconv.FormatInt(time.Now().Unix()-1, 10))
	if err != nil {
		t.Fatal(err)
	}
	user.write("netrc", strings.Replace(string(line), mac, expired.Macaroon, 1))
	fallsThrough(t, c, user, given, "token_expired")
	user.write("netrc", strings.Replace(string(line), preimage, strings.Repeat("0", 64), 1))
	fallsThrough(t, c, user, given, "preimage_mismatch")
}

// TestNixPaysBySize: the price is that of the package, and so is the token.
func TestNixPaysBySize(t *testing.T) {
	t.Parallel()
	c := buildCache(t)
	other := "/nar/other.nar.xz"
	if err := os.WriteFile(c.dir+other, make([]byte, 3<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	gw := c.sold(t, sandboxOptions, "per MiB 2 sat")
	user := c.user(t, gw.Base)
	if shown, err := user.fetch(c.path); err == nil || !strings.Contains(shown, "Price:   102 sat,") {
		t.Errorf("a small package: %v\n%s", err, shown)
	}
	if got := gw.Want(t, http.StatusPaymentRequired, other, client.With("Accept", "text/plain")).Text; !strings.Contains(got, "Price:   106 sat,") {
		t.Errorf("one of 3 MiB:\n%s", got)
	}
	if out, errs, err := runCaddy(t, t.TempDir(), "l402", "get", "--max", "102", "--admin", gw.AdminURL(), "--netrc="+user.netrc(), gw.Base+c.nar); err != nil {
		t.Fatalf("%v\n%s%s", err, out, errs)
	}
	if out, err := user.fetch(c.path); err != nil {
		t.Fatalf("after the payment: %v\n%s", err, out)
	}
	c.has(t)
	line, err := os.ReadFile(user.netrc())
	if err != nil || len(strings.Fields(string(line))) != 6 {
		t.Fatal(string(line), err)
	}
	mac, preimage, _ := strings.Cut(strings.Fields(string(line))[5], ":")
	gw.Want(t, http.StatusPaymentRequired, other, client.Auth(client.Token{Macaroon: mac, Preimage: preimage}))
}

// TestNixDoesNotWait: nix would try again and again where the gate answers 429 or 503. Others get
// these answers.
func TestNixDoesNotWait(t *testing.T) {
	t.Parallel()
	c := buildCache(t)
	next, given := c.free(t)
	for name, tc := range map[string]struct {
		global, line, shown string
		status              int
	}{
		"too many invoices": {sandboxOptions, "limit 1 1h", "This client asked for too many invoices.", http.StatusTooManyRequests},
		"the wallet is down": {"l402 {\n\twallet gone phoenixd http://127.0.0.1:1 {\n\t\tpassword x\n\t}\n}", "limit off",
			"cannot be reached", http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			gw := c.sold(t, tc.global, tc.line)
			gw.Get(t, c.nar) // the one that the limit allows
			resp := gw.Want(t, tc.status, c.nar)
			if resp.Header.Get("Retry-After") == "" {
				t.Errorf("got %v", resp.Header)
			}
			shown := fallsThrough(t, c, c.user(t, gw.Base, next), given, tc.shown)
			if strings.Contains(shown, "Invoice:") {
				t.Errorf("nix shows an invoice:\n%s", shown)
			}
		})
	}
}

// TestNixBehindACache: nginx in the middle keeps what is free and never what was paid for.
func TestNixBehindACache(t *testing.T) {
	t.Parallel()
	c := buildCache(t)
	gw := c.sold(t, sandboxOptions)
	front := client.New(startNginx(t, gw))
	token := gw.Buy(t, gw.Sandbox(), c.nar)

	// It does cache, and does not mind an Authorization header.
	front.Want(t, http.StatusOK, c.info, client.Auth(token))
	if kept := front.Want(t, http.StatusOK, c.info); kept.Header.Get("X-Kept") != "HIT" {
		t.Fatalf("nginx does not keep what is free: %v", kept.Header)
	}
	for range 2 {
		paid := front.Want(t, http.StatusOK, c.nar, client.Auth(token))
		if paid.Header.Get("X-Kept") == "HIT" || paid.Header.Get("Cache-Control") != "private" {
			t.Errorf("what was paid for is kept: %v", paid.Header)
		}
		unpaid := front.Want(t, http.StatusPaymentRequired, c.nar)
		if unpaid.Header.Get("X-Kept") == "HIT" || unpaid.Header.Get("Cache-Control") != "no-store" || unpaid.Text == paid.Text {
			t.Errorf("a challenge is kept: %v", unpaid.Header)
		}
	}
	if first, second := front.Challenge(t, c.nar), front.Challenge(t, c.nar); first.Invoice == second.Invoice {
		t.Error("two clients get one invoice")
	}

	user := c.user(t, front.Base)
	user.write("netrc", "machine 127.0.0.1 login l402 password "+token.Macaroon+":"+token.Preimage)
	if out, err := user.fetch(c.path); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	c.has(t)
	next, given := c.free(t)
	fallsThrough(t, c, c.user(t, front.Base, next), given, "payment_required")
}

// startNginx runs nginx with a cache in front of a gateway and gives its address.
func startNginx(t *testing.T, gw *gateway.Gateway) string {
	t.Helper()
	dir, address := t.TempDir(), fmt.Sprintf("127.0.0.1:%d", proc.FreePorts(1)[0])
	config := fmt.Sprintf(`daemon off;
master_process off; # or, started by root, it would work as nobody
pid %[1]s/pid;
error_log stderr;
events {}
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	proxy_cache_path %[1]s/cache keys_zone=kept:1m;
	server {
		listen %[2]s;
		location / {
			proxy_pass %[3]s;
			proxy_set_header Host $http_host;
			proxy_cache kept;
			proxy_cache_valid any 1h;
			add_header X-Kept $upstream_cache_status always;
		}
	}
}
`, dir, address, gw.Base)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := proc.Start(proc.Spec{
		Name: "nginx", Dir: dir, Path: program(t, "nginx", "nginx"), Log: filepath.Join(dir, "nginx.log"),
		Args: []string{"-e", "stderr", "-p", dir, "-c", file},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(10 * time.Second); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			if log, err := os.Open(p.Log); err == nil {
				defer log.Close()
				text, _ := io.ReadAll(log)
				t.Logf("nginx:\n%s", text)
			}
		}
	})
	listening(t, p, address)
	return "http://" + address
}

// TestNixPaysInTheBrowser is a person's way: the address that nix prints is opened in a browser, and
// the page gives the line that nix wants, with scripts and without.
func TestNixPaysInTheBrowser(t *testing.T) {
	t.Parallel()
	c := buildCache(t)
	gw := c.sold(t, sandboxOptions)
	for _, scripts := range []bool{true, false} {
		t.Run(fmt.Sprintf("scripts %v", scripts), func(t *testing.T) {
			user := c.user(t, gw.Base)
			shown, err := user.fetch(c.path)
			link := payAt.FindStringSubmatch(shown)
			if err == nil || link == nil {
				t.Fatalf("%v\n%s", err, shown)
			}
			tab := browser.Open(t)
			if !scripts {
				tab.NoScripts()
			}
			tab.Goto(link[1])
			if text := tab.Text(); !strings.Contains(text, "One payment opens this cache for a day.") || !strings.Contains(text, "100 sat") {
				t.Errorf("the page says\n%s", text)
			}
			if _, err := gw.Sandbox().Pay(t.Context(), paywall(t, tab)); err != nil {
				t.Fatal(err)
			}
			if scripts { // the page stays, since what it leads to is a file
				tab.Wait(`document.getElementById("status").textContent === document.getElementById("l402").dataset.done ? "done" : ""`, 30*time.Second)
			}
			tab.Click("details:last-of-type > summary")
			tab.Click("#line")
			line := tab.Wait(`document.getElementById("netrc") ? document.getElementById("netrc").value : ""`, 20*time.Second)
			if !strings.HasPrefix(line, "machine 127.0.0.1 login l402 password ") {
				t.Fatalf("the page gives the line %q", line)
			}
			user.write("netrc", line)
			if out, err := user.fetch(c.path); err != nil {
				t.Fatalf("after the payment: %v\n%s", err, out)
			}
			c.has(t)
			tab.OnlyAt(gw.Base)
		})
	}
}
