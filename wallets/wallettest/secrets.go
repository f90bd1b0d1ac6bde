package wallettest

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strings"
)

// spellings are the forms in which a secret could come out.
func spellings(secret string) map[string]string {
	out := map[string]string{
		"as it is":    secret,
		"in hex":      hex.EncodeToString([]byte(secret)),
		"in HEX":      strings.ToUpper(hex.EncodeToString([]byte(secret))),
		"in base64":   strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(secret)), "="),
		"URL-escaped": url.QueryEscape(secret),
		// A path escapes other characters than a query does.
		"path-escaped": url.PathEscape(secret),
	}
	if b, err := json.Marshal(secret); err == nil {
		out["in JSON"] = strings.Trim(string(b), `"`)
	}
	// A secret that is text of bytes, such as a macaroon in hex, may come out as those bytes
	// in another form.
	if raw, err := hex.DecodeString(secret); err == nil && len(raw) >= 6 {
		out["of hex, in base64"] = strings.TrimRight(base64.StdEncoding.EncodeToString(raw), "=")
		out["of hex, in HEX"] = strings.ToUpper(secret)
	}
	return out
}
