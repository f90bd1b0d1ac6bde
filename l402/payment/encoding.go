package payment

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/gowebpki/jcs"
)

// errNotJSON says that a text is no JSON.
var errNotJSON = errors.New("not a JSON document")

// Canonicalize returns the one spelling that RFC 8785 gives a JSON document: members in the order
// of their UTF-16 code units, numbers as ECMAScript writes them, no blanks.
func Canonicalize(document []byte) ([]byte, error) {
	if !json.Valid(document) {
		return nil, fmt.Errorf("canonicalizing: %w", errNotJSON)
	}
	canonical, err := jcs.Transform(document)
	if err != nil {
		return nil, fmt.Errorf("canonicalizing: %w", err)
	}
	return canonical, nil
}

// Encode returns base64url without padding (RFC 4648, section 5).
func Encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// errBase64 says that a text is no base64url.
var errBase64 = errors.New("not base64url")

// Decode reads base64url, with padding or without. Every sequence of bytes has one spelling of each
// kind: line ends, other alphabets and bits that belong to no byte are refused.
func Decode(s string) ([]byte, error) {
	encoding := base64.RawURLEncoding
	if strings.HasSuffix(s, "=") {
		encoding = base64.URLEncoding
	}
	if strings.ContainsAny(s, "\r\n") { // which package base64 passes over
		return nil, errBase64
	}
	b, err := encoding.Strict().DecodeString(s)
	if err != nil {
		return nil, errBase64 // its error would quote the text
	}
	return b, nil
}

// encodeJSON returns the canonical JSON of v in base64url.
func encodeJSON(v any) (string, error) {
	canonical, err := canonicalJSON(v)
	if err != nil {
		return "", err
	}
	return Encode(canonical), nil
}

func canonicalJSON(v any) ([]byte, error) {
	document, err := plainJSON(v)
	if err != nil {
		return nil, err
	}
	return Canonicalize(document)
}

// plainJSON is v in the order of its fields, without the escapes that are for HTML.
func plainJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, fmt.Errorf("encoding JSON: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
