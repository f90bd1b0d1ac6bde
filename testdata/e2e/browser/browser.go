// Package browser opens pages in a real Chromium without a window, and notes what goes wrong there.
package browser

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Tab is a page in a browser of its own, with its own cookies.
type Tab struct {
	t   testing.TB
	ctx context.Context

	mu       sync.Mutex
	requests []string
	faults   []string
	fine     []string
}

// Open starts a browser that ends with the test. When the test ends, anything that the browser
// complained of, such as a breach of the page's policy, fails it.
func Open(t testing.TB) *Tab {
	t.Helper()
	program := os.Getenv("CHROMIUM")
	if program == "" {
		var err error
		if program, err = exec.LookPath("chromium"); err != nil {
			t.Fatalf("finding Chromium: %v; install Debian's package chromium, or name a program in CHROMIUM", err)
		}
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.UserDataDir(t.TempDir()),
		// Chromium refuses its sandbox to root, which tests in containers run as. All that is
		// opened here is our own.
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(1000, 1100),
	)
	alloc, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, closeTab := chromedp.NewContext(alloc)
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	tab := &Tab{t: t, ctx: ctx}
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // closes the browser and waits for it
		cancel()
		closeTab()
		stop()
		for _, fault := range tab.faults {
			t.Error("the browser complains:", fault)
		}
	})
	chromedp.ListenTarget(ctx, tab.hear)
	tab.Do(network.Enable(), log.Enable(), runtime.Enable())
	return tab
}

func (tab *Tab) hear(event any) {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		tab.requests = append(tab.requests, e.Request.Method+" "+e.Request.URL)
	case *runtime.EventExceptionThrown:
		tab.faults = append(tab.faults, e.ExceptionDetails.Error())
	case *log.EventEntryAdded:
		// A 402 is an error to the browser and what is wanted here.
		fine := func(text string) bool { return strings.Contains(e.Entry.Text, text) }
		if e.Entry.Level == log.LevelError && !fine("402") && !slices.ContainsFunc(tab.fine, fine) {
			tab.faults = append(tab.faults, e.Entry.Text+" "+e.Entry.URL)
		}
	}
}

// Tolerate lets the browser complain of what holds this text.
func (tab *Tab) Tolerate(text string) {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	tab.fine = append(tab.fine, text)
}

// Do runs actions and fails the test when one fails.
func (tab *Tab) Do(actions ...chromedp.Action) {
	tab.t.Helper()
	if err := chromedp.Run(tab.ctx, actions...); err != nil {
		tab.t.Fatalf("in the browser: %v", err)
	}
}

// Goto opens an address.
func (tab *Tab) Goto(address string) {
	tab.t.Helper()
	tab.Do(chromedp.Navigate(address))
}

// Text is what the page shows.
func (tab *Tab) Text() string {
	tab.t.Helper()
	var text string
	tab.Do(chromedp.Evaluate(`document.body ? document.body.innerText : ""`, &text))
	return text
}

// Eval evaluates an expression into the given type.
func Eval[T any](tab *Tab, expression string) (value T) {
	tab.t.Helper()
	tab.Do(chromedp.Evaluate(expression, &value))
	return value
}

// WaitText waits until the page shows this and nothing else.
func (tab *Tab) WaitText(want string, patience time.Duration) {
	tab.t.Helper()
	var text string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		// While a page is being left there is nothing to ask.
		if chromedp.Run(tab.ctx, chromedp.Evaluate(`document.body ? document.body.innerText : ""`, &text)) == nil && strings.TrimSpace(text) == want {
			return
		}
	}
	tab.t.Fatalf("after %v the page does not show %q but:\n%s", patience, want, text)
}

// Wait waits until an expression gives a text, and returns it.
func (tab *Tab) Wait(expression string, patience time.Duration) string {
	tab.t.Helper()
	var text string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		// While a page is being left there is nothing to ask.
		if chromedp.Run(tab.ctx, chromedp.Evaluate(expression, &text)) == nil && text != "" {
			return text
		}
	}
	tab.t.Fatalf("after %v %s gives nothing on the page:\n%s", patience, expression, tab.Text())
	return ""
}

// Click clicks what a selector finds.
func (tab *Tab) Click(selector string) {
	tab.t.Helper()
	tab.Do(chromedp.Click(selector, chromedp.ByQuery))
}

// NoScripts switches scripts of pages off.
func (tab *Tab) NoScripts() { tab.Do(emulation.SetScriptExecutionDisabled(true)) }

// Scheme makes the browser prefer "light" or "dark".
func (tab *Tab) Scheme(name string) {
	tab.Do(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}))
}

// Size sets the size of the window; a phone is one with touch.
func (tab *Tab) Size(width, height int64, phone bool) {
	tab.Do(emulation.SetDeviceMetricsOverride(width, height, 1, phone))
}

// Screenshot writes what the whole page looks like to a file, as PNG.
func (tab *Tab) Screenshot(file string) {
	tab.t.Helper()
	var picture []byte
	tab.Do(chromedp.FullScreenshot(&picture, 100))
	if err := os.WriteFile(file, picture, 0o644); err != nil {
		tab.t.Fatal(err)
	}
}

// OnlyAt fails the test if the browser asked anything of another host.
func (tab *Tab) OnlyAt(base string) {
	tab.t.Helper()
	tab.mu.Lock()
	defer tab.mu.Unlock()
	own, err := url.Parse(base)
	if err != nil {
		tab.t.Fatal(err)
	}
	for _, request := range tab.requests {
		_, address, _ := strings.Cut(request, " ")
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "data" && u.Host != own.Host {
			tab.t.Errorf("the page asks %s", request)
		}
	}
}

// Cookies are the browser's, by name.
func (tab *Tab) Cookies() map[string]*network.Cookie {
	tab.t.Helper()
	cookies := make(map[string]*network.Cookie)
	tab.Do(chromedp.ActionFunc(func(ctx context.Context) error {
		list, err := network.GetCookies().Do(ctx)
		for _, c := range list {
			cookies[c.Name] = c
		}
		return err
	}))
	return cookies
}

// WebLN gives pages a wallet: pay gets the invoice and returns the preimage.
func (tab *Tab) WebLN(pay func(invoice string) (preimage string, err error)) {
	tab.t.Helper()
	chromedp.ListenTarget(tab.ctx, func(event any) {
		call, ok := event.(*runtime.EventBindingCalled)
		if !ok || call.Name != "payInTest" {
			return
		}
		go func() { // ends with the payment; listeners must not wait
			script := "weblnFailed()"
			if preimage, err := pay(call.Payload); err == nil {
				script = fmt.Sprintf("weblnPaid({preimage: %q})", preimage)
			}
			// The page may have gone on already.
			_ = chromedp.Run(tab.ctx, chromedp.Evaluate(script, nil))
		}()
	})
	tab.Do(runtime.AddBinding("payInTest"), chromedp.ActionFunc(func(ctx context.Context) error {
		return addScript(ctx, `window.webln = {
			enable: async () => {},
			sendPayment: invoice => new Promise((paid, failed) => {
				window.weblnPaid = paid; window.weblnFailed = () => failed(new Error("no"));
				payInTest(invoice);
			}),
		};`)
	}))
}

// Type types into what a selector finds.
func (tab *Tab) Type(selector, text string) {
	tab.t.Helper()
	tab.Do(chromedp.SendKeys(selector, text, chromedp.ByQuery))
}
