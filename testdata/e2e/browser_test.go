package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/browser"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/gateway"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/upstream"
)

// paywall checks that a tab shows the payment page and gives its invoice.
func paywall(t testing.TB, tab *browser.Tab) string {
	t.Helper()
	invoice := browser.Eval[string](tab, `document.getElementById("l402") ? document.getElementById("l402").dataset.invoice : ""`)
	if !strings.HasPrefix(invoice, "lnbcrt") {
		t.Fatalf("no payment page but:\n%s", tab.Text())
	}
	return invoice
}

// TestBrowserPaysWithLightning is a person's way: the page is shown, a wallet pays on real
// Lightning, and the content appears by itself. The gateway reloads in between.
func TestBrowserPaysWithLightning(t *testing.T) {
	net, gw, up := lndShop(t)
	tab := browser.Open(t)
	tab.Goto(gw.Base + "/premium/article?page=2#chapter")
	invoice := paywall(t, tab)
	if up.Count() != 0 {
		t.Fatal("an unpaid page load reached the upstream")
	}
	if err := gw.Reload(t.Context(), func(o *gateway.Options) { o.Site += "\nheader X-Reloaded 1" }); err != nil {
		t.Fatal(err)
	}
	if _, err := net.Alice.Pay(t.Context(), invoice); err != nil {
		t.Fatal(err)
	}
	tab.WaitText("GET /premium/article?page=2", 15*time.Second)
	if at := browser.Eval[string](tab, "location.href"); at != gw.Base+"/premium/article?page=2#chapter" {
		t.Errorf("the browser is at %s", at)
	}
	cookie := tab.Cookies()["l402_premium"]
	if cookie == nil || !cookie.HTTPOnly || cookie.SameSite != "Lax" || cookie.Path != "/" {
		t.Errorf("cookie %+v", cookie)
	}
	tab.Goto(gw.Base + "/premium/other")
	tab.WaitText("GET /premium/other", 5*time.Second)
	for _, r := range up.Requests() { // what is sold comes without its token
		if strings.HasPrefix(r.Target, "/premium/") && strings.Contains(r.Header.Get("Cookie"), "l402") {
			t.Errorf("the upstream sees the cookie at %s", r.Target)
		}
	}
	tab.OnlyAt(gw.Base)
}

// TestBrowserWithoutScripts is the same without a line of JavaScript.
func TestBrowserWithoutScripts(t *testing.T) {
	net, gw, _ := lndShop(t)
	tab := browser.Open(t)
	tab.NoScripts()
	tab.Goto(gw.Base + "/premium/article")
	invoice := paywall(t, tab)
	if text := tab.Text(); !strings.Contains(text, "I have paid") {
		t.Errorf("without scripts the page has no button:\n%s", text)
	}
	if _, err := net.Alice.Pay(t.Context(), invoice); err != nil {
		t.Fatal(err)
	}
	tab.WaitText("GET /premium/article", 20*time.Second) // the page looks by itself
}

// TestBrowserPaysByHand presses the button for the impatient, and shows the page of a wallet in the
// browser.
func TestBrowserPaysByHand(t *testing.T) {
	net, gw, _ := lndShop(t)
	t.Run("button without scripts", func(t *testing.T) {
		tab := browser.Open(t)
		tab.NoScripts()
		tab.Goto(gw.Base + "/premium/a")
		if _, err := net.Alice.Pay(t.Context(), paywall(t, tab)); err != nil {
			t.Fatal(err)
		}
		tab.Click(`noscript button[value=paid]`)
		tab.WaitText("GET /premium/a", 5*time.Second)
	})
	t.Run("preimage", func(t *testing.T) {
		tab := browser.Open(t)
		tab.NoScripts()
		tab.Goto(gw.Base + "/premium/a")
		preimage, err := net.Alice.Pay(t.Context(), paywall(t, tab))
		if err != nil {
			t.Fatal(err)
		}
		gw.Secret(preimage)
		tab.Click("#proof summary")
		tab.Type("#preimage", preimage+"\r")
		tab.WaitText("GET /premium/a", 5*time.Second)
		if c := tab.Cookies()["l402_premium"]; c == nil || !strings.HasSuffix(c.Value, ":"+preimage) {
			t.Error("the cookie does not hold the proof")
		}
	})
	t.Run("wallet in the browser", func(t *testing.T) {
		tab := browser.Open(t)
		tab.WebLN(func(invoice string) (string, error) { return net.Alice.Pay(t.Context(), invoice) })
		tab.Goto(gw.Base + "/premium/a")
		paywall(t, tab)
		tab.Click("#inbrowser")
		tab.WaitText("GET /premium/a", 15*time.Second)
	})
}

// TestBrowserInTheSandbox presses the button that pays with what is not money, in the page's looks.
// E2E_SCREENSHOTS names a folder for pictures of them.
func TestBrowserInTheSandbox(t *testing.T) {
	up := upstream.Start(t)
	logo := filepath.Join(t.TempDir(), "logo.svg")
	svg := `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40"><circle cx="20" cy="20" r="18" fill="#06c"/></svg>`
	if err := os.WriteFile(logo, []byte(svg), 0o600); err != nil {
		t.Fatal(err)
	}
	gw := gateway.Start(t, gateway.Options{Binary: caddy, Global: sandboxOptions, Site: shop(up,
		"page {\ntitle \"The Daily Block\"\ntext \"One article, no account.\"\nlogo "+logo+"\naccent 06c\n}")})
	tab := browser.Open(t)
	pictures := os.Getenv("E2E_SCREENSHOTS")
	for _, look := range []struct {
		name, scheme  string
		width, height int64
		phone         bool
		background    string
	}{
		{"light", "light", 1000, 1100, false, "rgb(244, 244, 242)"},
		{"dark", "dark", 1000, 1100, false, "rgb(19, 19, 18)"},
		{"phone", "light", 360, 740, true, "rgb(244, 244, 242)"},
		{"phone-dark", "dark", 320, 640, true, "rgb(19, 19, 18)"},
	} {
		tab.Scheme(look.scheme)
		tab.Size(look.width, look.height, look.phone)
		tab.Goto(gw.Base + "/premium/a")
		paywall(t, tab)
		if got := browser.Eval[string](tab, "getComputedStyle(document.body).backgroundColor"); got != look.background {
			t.Errorf("%s: background %s", look.name, got)
		}
		if wide := browser.Eval[int64](tab, "document.documentElement.scrollWidth"); wide > look.width {
			t.Errorf("%s: the page is %d wide in a window of %d", look.name, wide, look.width)
		}
		if pictures != "" {
			tab.Screenshot(filepath.Join(pictures, look.name+".png"))
		}
	}
	if unnamed := browser.Eval[[]string](tab, `[...document.querySelectorAll("button,a,input:not([type=hidden]),textarea,svg")]
		.filter(e => !(e.textContent.trim() || e.ariaLabel || e.labels && e.labels.length)).map(e => e.outerHTML.slice(0, 80))`); len(unnamed) > 0 {
		t.Errorf("a screen reader finds no names for %q", unnamed)
	}
	if n := browser.Eval[int](tab, `document.querySelectorAll("main,h1,[role=status]").length`); n != 3 {
		t.Errorf("%d of main, h1 and status", n)
	}
	if !browser.Eval[bool](tab, `document.querySelector("header img").naturalWidth > 0`) {
		t.Error("the logo is not shown")
	}
	if text := tab.Text(); !strings.Contains(text, "not money") {
		t.Error(text)
	}
	tab.Click("#play")
	tab.WaitText("GET /premium/a", 10*time.Second)
	tab.OnlyAt(gw.Base)
}

// TestBrowserWhereOnlyGETIsSold is a site whose matcher lets the page through to the gate and not what
// the page asks of it: loading the page again is what remains.
func TestBrowserWhereOnlyGETIsSold(t *testing.T) {
	up := upstream.Start(t)
	gw := gateway.Start(t, gateway.Options{Binary: caddy, Global: sandboxOptions, Site: `
@sold {
	path /premium/*
	method GET
}
l402 @sold 10 sat
@rest method POST
error @rest 405
reverse_proxy ` + up.Addr})
	tab := browser.Open(t)
	tab.Tolerate("405")
	tab.Goto(gw.Base + "/premium/a")
	if _, err := gw.Sandbox().Pay(t.Context(), paywall(t, tab)); err != nil {
		t.Fatal(err)
	}
	tab.WaitText("GET /premium/a", 40*time.Second)
}

// TestBrowserGetsANewInvoice lets an invoice run out.
func TestBrowserGetsANewInvoice(t *testing.T) {
	gw, _ := sandboxShop(t, "invoice_expiry 3s", "prefetch off")
	tab := browser.Open(t)
	tab.Goto(gw.Base + "/premium/a")
	first := paywall(t, tab)
	for range 100 {
		if browser.Eval[bool](tab, `!document.getElementById("renew").hidden`) {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if text := tab.Text(); !strings.Contains(text, "has expired") {
		t.Fatalf("the page does not say that the invoice expired:\n%s", text)
	}
	tab.Click("#renew")
	for range 100 {
		if fresh := browser.Eval[string](tab, `(document.getElementById("l402") || {dataset: {}}).dataset.invoice || ""`); fresh != "" && fresh != first {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("the page shows the invoice that expired")
}
