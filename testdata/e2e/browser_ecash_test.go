package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/browser"
)

// TestBrowserPaysWithEcash pastes tokens of somebody else's wallet into the page: one with change, which
// that wallet takes back, and without scripts one that fits. E2E_SCREENSHOTS names a folder for pictures.
func TestBrowserPaysWithEcash(t *testing.T) {
	m := startMint(t, nil, 0)
	gw, up := ecashShop(t, m, "")
	w := customer(t, m, 64)
	picture := func(tab *browser.Tab, name string) {
		if folder := os.Getenv("E2E_SCREENSHOTS"); folder != "" {
			tab.Screenshot(filepath.Join(folder, name))
		}
	}
	t.Run("change", func(t *testing.T) {
		token := coins(t, gw, w, 16)
		tab := browser.Open(t)
		tab.Size(360, 740, true)
		tab.Goto(gw.Base + "/premium/a?page=2")
		paywall(t, tab)
		tab.Click("#ecash summary")
		if request := browser.Eval[string](tab, `document.getElementById("creq").value`); !strings.HasPrefix(request, "creqA") {
			t.Errorf("the page asks with %q", request)
		}
		if n := browser.Eval[int](tab, `document.querySelectorAll("svg.qr").length`); n != 2 {
			t.Errorf("%d codes are drawn, want 2", n)
		}
		if wide := browser.Eval[int64](tab, "document.documentElement.scrollWidth"); wide > 360 {
			t.Errorf("the page is %d wide in a window of 360", wide)
		}
		picture(tab, "ecash.png")
		tab.Type("#ecashtoken", token)
		tab.Click("#ecash button")
		change := tab.Wait(`document.getElementById("change") ? document.getElementById("change").value : ""`, 15*time.Second)
		picture(tab, "change.png")
		gw.Secret(change)
		friend := m.NewWallet(t)
		if err := friend.Receive(t.Context(), change); err != nil {
			t.Fatal(err)
		}
		if sat, err := friend.Balance(t.Context()); err != nil || sat != 6 {
			t.Errorf("change of %d sat, %v; want 6", sat, err)
		}
		if up.Count() != 0 {
			t.Error("a form of the gate reached the upstream")
		}
		tab.Click("main a.button")
		tab.WaitText("GET /premium/a?page=2", 5*time.Second)
		if at := browser.Eval[string](tab, "location.href"); at != gw.Base+"/premium/a?page=2" {
			t.Errorf("the browser is at %s", at)
		}
		tab.OnlyAt(gw.Base)
	})
	t.Run("without scripts", func(t *testing.T) {
		token := coins(t, gw, w, 10)
		tab := browser.Open(t)
		tab.NoScripts()
		tab.Goto(gw.Base + "/premium/b")
		paywall(t, tab)
		tab.Click("#ecash summary")
		tab.Type("#ecashtoken", token)
		tab.Click("#ecash button")
		tab.WaitText("GET /premium/b", 15*time.Second)
		tab.OnlyAt(gw.Base)
	})
	t.Run("spent", func(t *testing.T) {
		token := coins(t, gw, w, 10)
		if err := m.NewWallet(t).Receive(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		tab := browser.Open(t)
		tab.Goto(gw.Base + "/premium/c")
		paywall(t, tab)
		tab.Tolerate("400")
		tab.Click("#ecash summary")
		tab.Type("#ecashtoken", token)
		tab.Click("#ecash button")
		tab.Wait(`document.body.innerText.includes("spent before") ? "yes" : ""`, 15*time.Second)
		tab.Click("main a.button")
		tab.Wait(`document.getElementById("l402") ? "shown" : ""`, 5*time.Second)
	})
	wantEcash(t, gw, 20)
}
