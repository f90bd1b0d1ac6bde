package paywall

import (
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Settings are what an operator can say about the pages for browsers. The zero value is the
// built-in look.
type Settings struct {
	// Title is the name of the site, above everything else.
	Title string
	// Text stands below the heading.
	Text string
	// LogoFile is the path of an image that is put into the page.
	LogoFile string
	// LogoURL is the path of an image on the same site.
	LogoURL string
	// Accent is the color of buttons in hex digits, such as "06c" or "#f7931a".
	Accent string
	// Template is the path of a file that replaces the built-in page.
	Template string
}

// The bounds of what an operator can put into a page.
const (
	maxTitle    = 120
	maxText     = 2000
	maxLogo     = 6 << 10
	maxTemplate = 256 << 10
)

// defaultAccent is the color of bitcoin, which black stands out from.
const defaultAccent = "#f7931a"

// Look is how the pages of a site look. It is not changed after NewLook and can be shared.
type Look struct {
	// Failed is told when the operator's template cannot be filled; the built-in page is shown
	// then. Nil tells nobody.
	Failed func(error)

	title, text string
	logo        template.URL
	style       template.CSS
	page        *template.Template
	own         bool // page is the operator's
}

// builtIn is the look of those who set nothing.
var builtIn = func() *Look {
	look, err := NewLook(Settings{})
	if err != nil { // TestBuiltInLook
		panic(err)
	}
	return look
}()

// NewLook reads the files that the settings name and checks everything. Errors name the setting and
// the cure.
func NewLook(s Settings) (*Look, error) {
	look := &Look{title: s.Title, text: s.Text, page: builtInPage}
	if err := checkText("title", s.Title, maxTitle); err != nil {
		return nil, err
	}
	if err := checkText("text", s.Text, maxText); err != nil {
		return nil, err
	}
	if s.Accent == "" {
		s.Accent = defaultAccent
	}
	accent, onAccent, err := contrast(s.Accent)
	if err != nil {
		return nil, err
	}
	// Both are checked above to be colors and nothing else.
	look.style = template.CSS(":root{--accent:" + accent + ";--on-accent:" + onAccent + "}\n" + minified(pageStyle))
	if look.logo, err = logoURL(s); err != nil {
		return nil, err
	}
	if s.Template != "" {
		if look.page, err = parseTemplate(s.Template); err != nil {
			return nil, fmt.Errorf("page template: %w", err)
		}
		look.own = true
	}
	return look, nil
}

func checkText(setting, text string, max int) error {
	switch {
	case !utf8.ValidString(text):
		return fmt.Errorf("page %s is not UTF-8", setting)
	case len(text) > max:
		return fmt.Errorf("page %s has %d bytes: use at most %d", setting, len(text), max)
	}
	return nil
}

// contrast checks a color, writes it as CSS does, and gives the one of black and white that can be read on it (WCAG 2, the
// relative luminance, with a gamma of 2 in place of 2.4).
func contrast(color string) (css, on string, err error) {
	digits := strings.TrimPrefix(color, "#")
	if len(digits) == 3 {
		digits = string([]byte{digits[0], digits[0], digits[1], digits[1], digits[2], digits[2]})
	}
	value, err := strconv.ParseUint(digits, 16, 24)
	if len(digits) != 6 || err != nil {
		return "", "", fmt.Errorf(`page accent %q: use a color such as "06c" or "f7931a"`, color)
	}
	square := func(shift int) float64 { part := float64(value>>shift&0xff) / 255; return part * part }
	if 0.2126*square(16)+0.7152*square(8)+0.0722*square(0) > 0.2 {
		return "#" + digits, "#000", nil
	}
	return "#" + digits, "#fff", nil
}

// imageTypes are the types of logos, by the file name's ending.
var imageTypes = map[string]string{
	".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg",
	".gif": "image/gif", ".webp": "image/webp",
}

// logoURL gives the address of the logo: a path on the same site, or the image itself.
func logoURL(s Settings) (template.URL, error) {
	switch {
	case s.LogoFile != "" && s.LogoURL != "":
		return "", errors.New("page logo_file and logo_url are both set: leave one of them out")
	case s.LogoURL != "":
		u, err := url.Parse(s.LogoURL)
		if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(s.LogoURL, "/") ||
			strings.HasPrefix(s.LogoURL, "//") || strings.Contains(s.LogoURL, `\`) {
			return "", fmt.Errorf("page logo_url %q: use a path on the same site, such as /logo.svg, so that no other "+
				"site learns who pays here", s.LogoURL)
		}
		return template.URL(u.String()), nil
	case s.LogoFile != "":
		data, err := readSmall(s.LogoFile, maxLogo)
		if err != nil {
			return "", fmt.Errorf("page logo: %w", err)
		}
		kind, ok := imageTypes[strings.ToLower(filepath.Ext(s.LogoFile))]
		// What the content says must agree; for SVG, which is text, it says too little.
		if sniffed := http.DetectContentType(data); !ok || kind != "image/svg+xml" && sniffed != kind {
			return "", fmt.Errorf("page logo %s is no image that browsers show everywhere: use SVG, PNG, JPEG, GIF or WebP "+
				"with the ending that belongs to it", s.LogoFile)
		}
		return template.URL("data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(data)), nil
	}
	return "", nil
}

// readSmall reads a file that must not be greater than max bytes.
func readSmall(name string, max int) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, int64(max)+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > max:
		return nil, fmt.Errorf("%s is greater than %d bytes", name, max)
	case len(data) == 0:
		return nil, fmt.Errorf("%s is empty", name)
	}
	return data, nil
}
