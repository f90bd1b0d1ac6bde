package httpjson

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
	"unicode"
)

const (
	maxText  = 64 << 10
	maxQuote = 300
)

// longRun matches whatever could be a key, a rune, a preimage or an invoice.
var longRun = regexp.MustCompile(`[A-Za-z0-9+/_=-]{32,}`)

// Clean makes a text from the other side fit for an error: without the secrets in any of their
// usual spellings, without anything that looks like a key or an invoice, without control
// characters and not too long.
func Clean(text string, secrets ...string) string {
	if len(text) > maxText {
		text = text[:maxText]
	}
	for _, secret := range secrets {
		for _, s := range spellings(secret) {
			text = strings.ReplaceAll(text, s, "…")
		}
	}
	// The bound on the length comes after this, or a cut secret would be too short to be seen.
	text = longRun.ReplaceAllString(text, "…")
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, " "))
	if len(text) > maxQuote {
		text = strings.ToValidUTF8(text[:maxQuote], "") + "…"
	}
	if text = strings.TrimSpace(text); text == "" {
		return "no reason given"
	}
	return text
}

func spellings(secret string) []string {
	if secret == "" {
		return nil
	}
	raw := []byte(secret)
	out := []string{
		secret,
		hex.EncodeToString(raw),
		strings.ToUpper(hex.EncodeToString(raw)),
		base64.StdEncoding.EncodeToString(raw),
		strings.TrimRight(base64.StdEncoding.EncodeToString(raw), "="),
		base64.RawURLEncoding.EncodeToString(raw),
		url.QueryEscape(secret),
		url.PathEscape(secret),
	}
	if b, err := json.Marshal(secret); err == nil {
		out = append(out, strings.Trim(string(b), `"`))
	}
	return out
}
