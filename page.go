package caddyl402

import (
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/internal/paywall"
)

// Page is how the payment page for browsers looks. What is not set here is taken from the page of
// the l402 app, and then from the built-in one. Placeholders that are known when the configuration
// is loaded, such as {env.SHOP}, are replaced.
type Page struct {
	// The name of the site, above everything else. At most 120 bytes.
	Title string `json:"title,omitempty"`

	// A text below the heading. At most 2000 bytes.
	Text string `json:"text,omitempty"`

	// The path of an image that is put into the page: SVG, PNG, JPEG, GIF or WebP, at most
	// 6 KiB.
	LogoFile string `json:"logo_file,omitempty"`

	// The path of an image on the same site, such as "/logo.svg". It must be free.
	LogoURL string `json:"logo_url,omitempty"`

	// The color of buttons in hex digits, such as "06c" or "f7931a".
	Accent string `json:"accent,omitempty"`

	// The path of a file in the language of Go's html/template that replaces the whole page. It
	// can use the built-in parts: {{template "style" .}}, {{template "payment" .}} and
	// {{template "script" .}}.
	Template string `json:"template,omitempty"`
}

// over gives a page with the settings of p, and those of base where p has none.
func (p *Page) over(base *Page) paywall.Settings {
	var s paywall.Settings
	for _, page := range []*Page{p, base} {
		if page == nil {
			continue
		}
		if s.LogoFile == "" && s.LogoURL == "" { // two words for one thing
			s.LogoFile, s.LogoURL = page.LogoFile, page.LogoURL
		}
		setDefault(&s.Title, page.Title)
		setDefault(&s.Text, page.Text)
		setDefault(&s.Accent, page.Accent)
		setDefault(&s.Template, page.Template)
	}
	return s
}

// provisionPage reads what the settings name.
func (h *Handler) provisionPage() (err error) {
	settings := h.Page.over(h.app.Page)
	repl := caddy.NewReplacer()
	for _, field := range []*string{
		&settings.Title, &settings.Text, &settings.LogoFile, &settings.LogoURL, &settings.Accent, &settings.Template,
	} {
		if *field, err = repl.ReplaceOrErr(*field, true, true); err != nil {
			return fmt.Errorf("page: %w", err)
		}
	}
	if h.look, err = paywall.NewLook(settings); err != nil {
		return err
	}
	h.look.Failed = func(err error) {
		h.logger.Error("the page template cannot be filled; the built-in page is shown", zap.Error(err))
	}
	return nil
}

// parsePage reads
//
//	page {
//		title    <text>
//		text     <text>
//		logo     <file> | url <path>
//		accent   <color>
//		template <file>
//	}
//
// A color is three or six hex digits. The "#" before it, with which a Caddyfile's comments begin, is
// left out or put into quotes.
func parsePage(d *caddyfile.Dispenser, into **Page) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	page := new(Page)
	seen := map[string]bool{}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		option := d.Val()
		if seen[option] {
			return d.Errf("%q is given twice in a page block", option)
		}
		seen[option] = true
		var err error
		switch option {
		case "title":
			err = word(d, &page.Title)
		case "text":
			err = word(d, &page.Text)
		case "logo":
			err = page.parseLogo(d)
		case "accent":
			if d.CountRemainingArgs() == 0 {
				return d.Err("accent needs a color: leave out the # or put it into quotes, since # begins a comment")
			}
			err = word(d, &page.Accent)
		case "template":
			err = word(d, &page.Template)
		default:
			return d.Errf("unknown option %q of page: use title, text, logo, accent or template", option)
		}
		if err != nil {
			return err
		}
	}
	if len(seen) == 0 {
		return d.Err("page needs a block with title, text, logo, accent or template")
	}
	*into = page
	return nil
}

func (p *Page) parseLogo(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	switch {
	case len(args) == 1 && args[0] != "url":
		p.LogoFile = args[0]
	case len(args) == 2 && args[0] == "url":
		p.LogoURL = args[1]
	default:
		return d.Err("expected `logo <file>`, which goes into the page, or `logo url </path>` on the same site")
	}
	return nil
}
