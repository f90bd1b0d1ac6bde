package paywall

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"rsc.io/qr"
)

// charset is bech32's.
const charset = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"

func bech32(n int) string {
	random := rand.New(rand.NewPCG(1, 2))
	b := []byte("lnbc210n1")
	for len(b) < n {
		b = append(b, charset[random.IntN(len(charset))])
	}
	return string(b)
}

// offered is a problem as the gate makes it for a browser.
func offered(change func(*Offer)) *Problem {
	o := &Offer{
		Service: "api", Subject: "api at shop.test", Price: 21_000, Invoice: bech32(330), PaymentHash: "00ff",
		Macaroon: strings.Repeat("AgEE+/==", 45), InvoiceExpires: time.Now().Add(time.Hour), Terms: "valid for 24h",
		Checkout: &Checkout{Action: "?l402-checkout", Back: "./article"},
	}
	if change != nil {
		change(o)
	}
	return &Problem{Status: 402, Code: "payment_required", Title: "Payment Required", Detail: "For sale.", Cure: "Pay.", Offer: o}
}

func render(p *Problem) *httptest.ResponseRecorder { return write(p, "GET", "Accept", "text/html") }

func TestPage(t *testing.T) {
	w := render(offered(nil))
	body := w.Body.String()
	for _, want := range []string{
		"<!doctype html>\n<html lang=\"en\">", `name="viewport"`, "<main>", "<h1>", "21 sat", "valid for 24h", "api at shop.test",
		`href="lightning:lnbc210n1`, "<svg", `role="img"`, `aria-label="QR code`, `role="status" aria-live="polite"`,
		`<label for="preimage">`, `<label for="invoice"`, `data-action="?l402-checkout"`, `data-back="./article"`,
		`<noscript><meta http-equiv="refresh"`, `method="post"`, `href="data:,"`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	if !strings.HasPrefix(body, "<!doctype") {
		t.Errorf("the page begins with %q", body[:20])
	}
	for _, never := range []string{"http://", "https://", "ZgotmplZ", "<no value>"} {
		if strings.Contains(strings.ReplaceAll(body, "http://www.w3.org", ""), never) {
			t.Errorf("the page has %s", never)
		}
	}
	for _, attribute := range []string{" onclick=", " style=", " onload="} {
		if strings.Contains(body, attribute) {
			t.Errorf("the page has%s, which its policy forbids", attribute)
		}
	}
}

func TestPolicyAllowsThisPageAlone(t *testing.T) {
	first, second := render(offered(nil)), render(offered(nil))
	csp := first.Header().Get("Content-Security-Policy")
	nonce := regexp.MustCompile(`script-src 'nonce-([A-Za-z0-9_-]{22})'`).FindStringSubmatch(csp)
	if nonce == nil || !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") ||
		!strings.Contains(csp, "frame-ancestors 'none'") || !strings.Contains(csp, "base-uri 'none'") ||
		!strings.Contains(csp, "form-action 'self'") {
		t.Fatal(csp)
	}
	if n := strings.Count(first.Body.String(), `nonce="`+nonce[1]+`"`); n != 2 {
		t.Errorf("the nonce stands at %d elements, want style and script", n)
	}
	if n := strings.Count(first.Body.String(), "<script"); n != 1 {
		t.Errorf("%d scripts", n)
	}
	if strings.Contains(second.Header().Get("Content-Security-Policy"), nonce[1]) {
		t.Error("two pages have the same nonce")
	}
	if w := render(offered(func(o *Offer) { o.Checkout = nil })); strings.Contains(w.Body.String(), "<script") ||
		strings.Contains(w.Header().Get("Content-Security-Policy"), "script-src") {
		t.Error("a page without anything to wait for has a script")
	}
}

func TestPageIsSmall(t *testing.T) {
	for _, n := range []int{250, 330, 600, 900, 990, 1300, 1600} {
		w := render(offered(func(o *Offer) {
			o.Invoice, o.NotMoney = bech32(n), true
			o.Checkout.Blind, o.Checkout.Sandbox, o.Checkout.Earlier = true, true, o.Macaroon
			if n <= 600 {
				o.Checkout.Ecash = &Ecash{Request: "creqA" + strings.Repeat("aB3_", 40), Unified: "CREQB1" + strings.Repeat("Q", 180), Mints: []string{"https://mint.example.com"}}
			}
		}))
		size, drawn := w.Body.Len(), strings.Contains(w.Body.String(), "<svg")
		t.Logf("invoice of %d letters: %d bytes, drawn %v", n, size, drawn)
		if size > 30<<10 {
			t.Errorf("with an invoice of %d letters the page has %d bytes, more than 30 KiB", n, size)
		}
		if !drawn && n <= 990 {
			t.Errorf("an invoice of %d letters is not drawn", n)
		}
	}
}

func TestPageEscapes(t *testing.T) {
	const hostile = `"></textarea></style><script>alert(1)</script><img src=x onerror=alert(1)>{{.Nonce}}`
	p := offered(func(o *Offer) {
		o.Subject, o.Terms, o.Service, o.Macaroon, o.Invoice = hostile, hostile, hostile, hostile, hostile
		o.Checkout = &Checkout{Action: "?" + hostile, Back: "./" + hostile, Earlier: hostile, Blind: true}
	})
	look, err := NewLook(Settings{Title: hostile, Text: hostile})
	if err != nil {
		t.Fatal(err)
	}
	for _, look := range []*Look{nil, look} {
		p.Look = look
		body := render(p).Body.String()
		if strings.Contains(body, "<script>alert") || strings.Contains(body, "<img src=x") {
			t.Error("markup gets into the page")
		}
		if n := strings.Count(body, "<script"); n != 1 {
			t.Errorf("%d scripts", n)
		}
	}
	p = &Problem{Status: 503, Code: "x", Title: hostile, Detail: hostile, Cure: hostile}
	if body := render(p).Body.String(); strings.Contains(body, "<script") || strings.Contains(body, "<img") {
		t.Error("markup gets into the page of a problem")
	}
}

func TestBackCannotBeAScript(t *testing.T) {
	body := render(offered(func(o *Offer) { o.Checkout.Back = "javascript:alert(1)" })).Body.String()
	if strings.Contains(body, `href="javascript:`) {
		t.Error("a link runs a script")
	}
}

func TestPageWithoutAnOffer(t *testing.T) {
	w := render(&Problem{Status: 503, Code: "wallet_unavailable", Title: "Payments Unavailable", Detail: "Down.", Cure: "Later.", RetryAfter: 5 * time.Second})
	body := w.Body.String()
	if !strings.Contains(body, `http-equiv="refresh" content="5"`) || !strings.Contains(body, "Down.") || strings.Contains(body, "id=\"l402\"") {
		t.Error(body)
	}
	form := write(&Problem{Status: 503, Title: "x", RetryAfter: time.Second}, "POST", "Accept", "text/html")
	if strings.Contains(form.Body.String(), "http-equiv") {
		t.Error("the answer to a form loads itself again")
	}
}

func TestLook(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var picture bytes.Buffer
	dot := image.NewGray(image.Rect(0, 0, 1, 1))
	dot.Set(0, 0, color.Black)
	if err := png.Encode(&picture, dot); err != nil {
		t.Fatal(err)
	}
	logo := file("logo.png", picture.Bytes())
	look, err := NewLook(Settings{Title: "Shop & Sons", Text: "Two\nlines", LogoFile: logo, Accent: "#06c"})
	if err != nil {
		t.Fatal(err)
	}
	p := offered(nil)
	p.Look = look
	body := render(p).Body.String()
	for _, want := range []string{
		"Shop &amp; Sons", "Two\nlines", "--accent:#0066cc;--on-accent:#fff",
		"data:image/png;base64," + strings.ReplaceAll(base64.StdEncoding.EncodeToString(picture.Bytes()), "+", "&#43;"),
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	for name, tc := range map[string]struct {
		settings Settings
		says     string
	}{
		"accent word":       {Settings{Accent: "orange"}, "use a color such as"},
		"accent injection":  {Settings{Accent: "#fff}body{x"}, "use a color such as"},
		"accent sign":       {Settings{Accent: "#+12345"}, "use a color such as"},
		"no logo":           {Settings{LogoFile: filepath.Join(dir, "none.png")}, "no such file"},
		"great logo":        {Settings{LogoFile: file("great.svg", make([]byte, maxLogo+1))}, "greater than 6144 bytes"},
		"empty logo":        {Settings{LogoFile: file("empty.svg", nil)}, "is empty"},
		"logo of text":      {Settings{LogoFile: file("text.png", []byte("hello"))}, "no image"},
		"logo without type": {Settings{LogoFile: file("logo", picture.Bytes())}, "no image"},
		"two logos":         {Settings{LogoFile: logo, LogoURL: "/a"}, "leave one of them out"},
		"foreign logo":      {Settings{LogoURL: "https://cdn.test/a.png"}, "on the same site"},
		"foreign logo, //":  {Settings{LogoURL: "//cdn.test/a.png"}, "on the same site"},
		"foreign logo, /\\": {Settings{LogoURL: `/\cdn.test/a.png`}, "on the same site"},
		"script logo":       {Settings{LogoURL: "javascript:alert(1)"}, "on the same site"},
		"long title":        {Settings{Title: strings.Repeat("x", maxTitle+1)}, "use at most 120"},
		"text not UTF-8":    {Settings{Text: "\xff"}, "not UTF-8"},
		"no template":       {Settings{Template: filepath.Join(dir, "none.html")}, "no such file"},
		"template syntax":   {Settings{Template: file("a.html", []byte("{{if}}"))}, "parsing"},
		"template field":    {Settings{Template: file("b.html", []byte("{{with .Offer}}{{.Prize}}{{end}}"))}, "Prize"},
		"template part":     {Settings{Template: file("c.html", []byte(`{{template "no" .}}`))}, "no"},
		"great template":    {Settings{Template: file("d.html", bytes.Repeat([]byte("x"), maxTemplate+1))}, "greater than"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := NewLook(tc.settings); err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error %v, want one that says %q", err, tc.says)
			}
		})
	}
}

func TestOwnTemplate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "own.html")
	own := `<!doctype html><title>Mine</title>{{template "style" .}}<b>{{.Title}}</b>{{template "payment" .}}{{template "script" .}}`
	if err := os.WriteFile(path, []byte(own), 0o600); err != nil {
		t.Fatal(err)
	}
	look, err := NewLook(Settings{Title: "<shop>", Template: path})
	if err != nil {
		t.Fatal(err)
	}
	p := offered(nil)
	p.Look = look
	body := render(p).Body.String()
	if !strings.HasPrefix(body, "<!doctype html><title>Mine</title>") || !strings.Contains(body, "<b>&lt;shop&gt;</b>") || !strings.Contains(body, `id="l402"`) {
		t.Error(body)
	}
	// The built-in page is as it was.
	if !strings.Contains(render(offered(nil)).Body.String(), "<main>") {
		t.Error("an operator's template changes the built-in one")
	}
	// What fails only now and then is told, and a page is shown all the same.
	if err := os.WriteFile(path, []byte(`{{if eq .Code "odd"}}{{index .Words.Notices 1 2 3}}{{end}}mine`), 0o600); err != nil {
		t.Fatal(err)
	}
	if look, err = NewLook(Settings{Template: path}); err != nil {
		t.Fatal(err)
	}
	var told error
	look.Failed = func(err error) { told = err }
	p.Look, p.Code = look, "odd"
	if body := render(p).Body.String(); told == nil || !strings.Contains(body, "<main>") || strings.Contains(body, "mine<") {
		t.Error(told, body)
	}
}

// TestQRCode reads the drawing back and compares it with the code.
func TestQRCode(t *testing.T) {
	svg := string(qrCode("LIGHTNING:"+strings.ToUpper(bech32(60)), "a <label>"))
	if !strings.Contains(svg, `aria-label="a &lt;label&gt;"`) {
		t.Error(svg[:100])
	}
	var size int
	if _, err := fmt.Sscanf(svg[strings.Index(svg, "viewBox"):], `viewBox="0 0 %d`, &size); err != nil {
		t.Fatal(err)
	}
	modules := map[[2]int]bool{}
	x, y := 0, 0
	for _, op := range regexp.MustCompile(`M(\d+) (\d+)\.5|m(\d+) 0|h(\d+)`).FindAllStringSubmatch(svg[strings.Index(svg, `stroke="#000"`):], -1) {
		var n int
		switch op[0][0] {
		case 'M':
			fmt.Sscan(op[1], &x)
			fmt.Sscan(op[2], &y)
		case 'm':
			fmt.Sscan(op[3], &n)
			x += n
		case 'h':
			fmt.Sscan(op[4], &n)
			for range n {
				modules[[2]int{x, y}] = true
				x++
			}
		}
	}
	code, err := qr.Encode("LIGHTNING:"+strings.ToUpper(bech32(60)), qr.L)
	if err != nil {
		t.Fatal(err)
	}
	if size != code.Size+8 {
		t.Fatalf("the drawing has %d modules, the code %d", size, code.Size)
	}
	for y := range size {
		for x := range size {
			if modules[[2]int{x, y}] != code.Black(x-4, y-4) {
				t.Fatalf("module %d,%d is wrong", x, y)
			}
		}
	}
	if qrCode(strings.Repeat("a", maxQRText+1), "") != "" {
		t.Error("a text that is too long is drawn")
	}
}

func TestNavigates(t *testing.T) {
	for name, tc := range map[string]struct {
		headers []string
		want    bool
	}{
		"browser":      {[]string{"Accept", "text/html,*/*;q=0.8", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, true},
		"old browser":  {[]string{"Accept", "text/html,*/*;q=0.8"}, true},
		"script":       {[]string{"Accept", "text/html", "Sec-Fetch-Mode", "cors"}, false},
		"frame":        {[]string{"Accept", "text/html", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}, false},
		"program":      {[]string{"Accept", "*/*"}, false},
		"says nothing": {nil, false},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		for i := 0; i < len(tc.headers); i += 2 {
			r.Header.Set(tc.headers[i], tc.headers[i+1])
		}
		if got := Navigates(r); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func FuzzPage(f *testing.F) {
	f.Add("shop.test", "?q=1", "./a", "lnbc1")
	f.Add(`"><script>`, "javascript:alert(1)", "//evil.test", "\xff</textarea>")
	f.Fuzz(func(t *testing.T, subject, action, back, invoice string) {
		body := render(offered(func(o *Offer) {
			o.Subject, o.Invoice = subject, invoice
			o.Checkout = &Checkout{Action: action, Back: back, Blind: true}
		})).Body.String()
		if n := strings.Count(body, "<script"); n != 1 {
			t.Fatalf("%d scripts", n)
		}
		if strings.Count(body, "<textarea") != 1 || strings.Count(body, "</textarea") != 1 || strings.Contains(body, `href="javascript:`) {
			t.Fatal(body)
		}
	})
}

// TestPageTakesEcash looks for the ways to pay with ecash, which stand behind the invoice.
func TestPageTakesEcash(t *testing.T) {
	p := offered(func(o *Offer) {
		o.Checkout.Ecash = &Ecash{Request: "creqApWFhCmF1Y3NhdA", Unified: "CREQB1QYQQ", Mints: []string{"https://mint.example.com", "https://x.example/\"><b>"}}
	})
	body := render(p).Body.String()
	for _, want := range []string{
		`<details id="ecash">`, `<textarea id="creq" readonly`, ">creqApWFhCmF1Y3NhdA</textarea>", `name="ecash" required`,
		`<label for="ecashtoken">`, `name="do" value="ecash"`, "<code>https://mint.example.com</code>",
		`href="bitcoin:?lightning=lnbc210n1`, `&amp;creq=CREQB1QYQQ"`, `href="lightning:lnbc210n1`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	if strings.Count(body, "<svg") != 2 || strings.Index(body, "QR code of the Lightning") > strings.Index(body, "QR code of the request") {
		t.Error("the invoice's code is not the first of two")
	}
	if strings.Contains(body, "<b>") {
		t.Error("a mint's name breaks out")
	}
	if strings.Contains(body, `http-equiv="refresh"`) {
		t.Error("the page goes away while ecash is pasted")
	}
	p.Offer.Invoice = "lni1qqgds"
	if body := render(p).Body.String(); !strings.Contains(body, `href="bitcoin:?creq=CREQB1QYQQ"`) {
		t.Error("a BOLT 12 invoice stands in a unified URI")
	}
	if body := render(offered(nil)).Body.String(); strings.Contains(body, "ecash") {
		t.Error("ecash where none is taken")
	}
}

// TestChangeIsNeverLost shows change on every page, whatever an operator's template leaves out.
func TestChangeIsNeverLost(t *testing.T) {
	name := filepath.Join(t.TempDir(), "own.html")
	for _, source := range []string{"<title>{{.Heading}}</title>", `<title>Mine</title>{{template "payment" .}}`, "<i>{{.Change}}</i>"} {
		if err := os.WriteFile(name, []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
		look, err := NewLook(Settings{Template: name})
		if err != nil {
			t.Fatal(err)
		}
		body := render(&Problem{Status: 200, Code: "paid", Title: "Paid", Change: "cashuBo2FtdGh0", Back: "./a", Look: look}).Body.String()
		if !strings.Contains(body, "cashuBo2FtdGh0") {
			t.Errorf("the template %q loses the change", source)
		}
	}
	p := &Problem{Status: 200, Code: "paid", Title: "Paid", Change: "cashuBo2FtdGh0", Back: "./a"}
	if body := render(p).Body.String(); !strings.Contains(body, `href="./a">Continue</a>`) || strings.Contains(body, "<script") {
		t.Error(body)
	}
	if text := write(p, "GET", "Accept", "text/plain").Body.String(); !strings.Contains(text, "\ncashuBo2FtdGh0\n") {
		t.Error(text)
	}
}
