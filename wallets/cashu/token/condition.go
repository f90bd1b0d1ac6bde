package token

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Kinds of conditions.
const (
	// KindP2PK locks to public keys (NUT-11).
	KindP2PK = "P2PK"
	// KindHTLC locks to a hash, keys and a time (NUT-14).
	KindHTLC = "HTLC"
)

// Condition is a well-known secret (NUT-10): what must be shown, besides the secret, to spend a
// proof.
type Condition struct {
	// Kind says what Data means: KindP2PK, KindHTLC or something that this package does not
	// know.
	Kind string
	// Nonce makes the secret unique.
	Nonce string
	// Data is a public key or a hash in hex.
	Data string
	// Tags are further terms: the name and its values.
	Tags [][]string
}

// ParseCondition reads the condition that a secret holds. It returns nil for a plain secret, which
// whoever knows it can spend. A secret that begins like a condition and is none, or one in which
// readers could see different things (a field twice, an unknown field, other spellings of a name),
// gives an error that wraps ErrLock: mints would disagree about who may spend it.
func ParseCondition(secret string) (*Condition, error) {
	if !strings.HasPrefix(strings.TrimLeft(secret, " \t\r\n"), "[") {
		return nil, nil
	}
	if !utf8.ValidString(secret) {
		return nil, fmt.Errorf("%w: it is not UTF-8", ErrLock)
	}
	r := reader{json.NewDecoder(strings.NewReader(secret))}
	c, err := r.condition()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLock, err)
	}
	return c, nil
}

// reader reads JSON piece by piece, since encoding/json takes the last of two equal names and names
// in any case, where others take the first and only the exact one.
type reader struct{ d *json.Decoder }

func (r reader) delim(want json.Delim) error {
	t, err := r.d.Token()
	if err != nil || t != want {
		return fmt.Errorf("no %q where one is needed", want.String())
	}
	return nil
}

func (r reader) text() (string, error) {
	t, err := r.d.Token()
	s, ok := t.(string)
	if err != nil || !ok {
		return "", fmt.Errorf("no text where one is needed")
	}
	return s, nil
}

func (r reader) condition() (*Condition, error) {
	if err := r.delim('['); err != nil {
		return nil, err
	}
	kind, err := r.text()
	if err != nil {
		return nil, err
	}
	out := &Condition{Kind: kind}
	if err := r.delim('{'); err != nil {
		return nil, err
	}
	seen := make(map[string]bool)
	for r.d.More() {
		name, err := r.text()
		if err != nil {
			return nil, err
		}
		if seen[name] {
			return nil, fmt.Errorf("a field appears twice")
		}
		seen[name] = true
		switch name {
		case "nonce":
			out.Nonce, err = r.text()
		case "data":
			out.Data, err = r.text()
		case "tags":
			out.Tags, err = r.tags()
		default:
			return nil, fmt.Errorf("a field that NUT-10 does not know")
		}
		if err != nil {
			return nil, err
		}
	}
	if err := r.delim('}'); err != nil {
		return nil, err
	}
	if err := r.delim(']'); err != nil {
		return nil, err
	}
	if _, err := r.d.Token(); err != io.EOF {
		return nil, fmt.Errorf("something follows it")
	}
	if !seen["nonce"] || !seen["data"] {
		return nil, fmt.Errorf("nonce or data is missing")
	}
	return out, nil
}

func (r reader) tags() ([][]string, error) {
	if err := r.delim('['); err != nil {
		return nil, err
	}
	var out [][]string
	for r.d.More() {
		if err := r.delim('['); err != nil {
			return nil, err
		}
		var tag []string
		for r.d.More() {
			s, err := r.text()
			if err != nil {
				return nil, err
			}
			if s == "" {
				return nil, fmt.Errorf("a tag holds an empty text")
			}
			tag = append(tag, s)
		}
		if err := r.delim(']'); err != nil {
			return nil, err
		}
		if len(tag) == 0 {
			return nil, fmt.Errorf("a tag is empty")
		}
		out = append(out, tag)
	}
	return out, r.delim(']')
}

// Secret writes the condition as the secret of a proof.
func (c *Condition) Secret() (string, error) {
	body := struct {
		Nonce string     `json:"nonce"`
		Data  string     `json:"data"`
		Tags  [][]string `json:"tags,omitempty"`
	}{c.Nonce, c.Data, c.Tags}
	b, err := json.Marshal([]any{c.Kind, body})
	if err != nil {
		return "", fmt.Errorf("writing a condition: %w", err)
	}
	if _, err := ParseCondition(string(b)); err != nil {
		return "", err
	}
	return string(b), nil
}
