package token

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/caddy-l402/caddy-l402/wallets/cashu/ecash"
)

const (
	// MaxSize is the greatest length of a token or request in characters: what fits into the
	// headers of a request.
	MaxSize = 16 << 10
	// MaxProofs is the greatest number of proofs of a token.
	MaxProofs = 256
)

const (
	prefixA   = "cashuA"
	prefixB   = "cashuB"
	scheme    = "cashu:"
	rawPrefix = "crawB"
)

// Token is ecash of one mint on its way from one wallet to another.
type Token struct {
	// Mint is the address of the mint as the token has it. It is not trusted and never dialed:
	// compare it with SameMint.
	Mint string
	// Unit is the unit of the amounts; empty where a token of version A has none.
	Unit string
	// Memo is what the sender wrote.
	Memo string
	// Proofs are the coins.
	Proofs []Proof
}

// Amount is the sum of the proofs. Errors wrap ErrAmount.
func (t *Token) Amount() (uint64, error) { return Sum(t.Proofs) }

// Resolve replaces short keyset ids by the full ones among the known, which are the mint's. Errors
// wrap ecash.ErrUnknownKeyset or ecash.ErrAmbiguous; the token is then unchanged.
func (t *Token) Resolve(known []ecash.KeysetID) error {
	ids := make([]ecash.KeysetID, len(t.Proofs))
	for i, p := range t.Proofs {
		id, err := p.KeysetID.Resolve(known)
		if err != nil {
			return fmt.Errorf("resolving the keyset of proof %d: %w", i, err)
		}
		ids[i] = id
	}
	for i := range ids {
		t.Proofs[i].KeysetID = ids[i]
	}
	return nil
}

// Parse reads a token of version A or B, with or without "cashu:" before it. Errors wrap
// ErrMalformed, ErrTooLarge, ErrAmount, ErrDuplicate or ErrSeveralMints.
func Parse(text string) (*Token, error) {
	if len(text) > MaxSize {
		return nil, fmt.Errorf("%w: %d characters where %d are the most", ErrTooLarge, len(text), MaxSize)
	}
	text = strings.TrimPrefix(text, scheme)
	var t *Token
	var err error
	switch {
	case strings.HasPrefix(text, prefixA):
		t, err = decodeWith(text[len(prefixA):], parseA)
	case strings.HasPrefix(text, prefixB):
		t, err = decodeWith(text[len(prefixB):], parseB)
	default:
		return nil, fmt.Errorf("%w: it begins neither with cashuA nor with cashuB", ErrMalformed)
	}
	if err != nil {
		return nil, err
	}
	return t, t.check()
}

// ParseBinary reads the binary form of a token of version B. Errors are those of Parse.
func ParseBinary(b []byte) (*Token, error) {
	if len(b) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes where %d are the most", ErrTooLarge, len(b), MaxSize)
	}
	raw, ok := strings.CutPrefix(string(b), rawPrefix)
	if !ok {
		return nil, fmt.Errorf("%w: it does not begin with crawB", ErrMalformed)
	}
	t, err := parseB([]byte(raw))
	if err != nil {
		return nil, err
	}
	return t, t.check()
}

func decodeWith(text string, parse func([]byte) (*Token, error)) (*Token, error) {
	b, err := decodeBase64(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return parse(b)
}

var errBase64 = errors.New("it is not base64 for URLs")

// spelling makes base64 for URLs of the other alphabet, which vectors of NUT-18 are written in.
var spelling = strings.NewReplacer("+", "-", "/", "_")

// decodeBase64 reads base64 in either alphabet with or without padding. Line ends, which Go's decoder
// skips, are refused.
func decodeBase64(text string) ([]byte, error) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, errBase64
	}
	trimmed := spelling.Replace(strings.TrimRight(text, "="))
	if len(text)-len(trimmed) > 2 {
		return nil, errBase64
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(trimmed)
	if err != nil {
		return nil, errBase64
	}
	return b, nil
}

func (t *Token) check() error {
	switch {
	case t == nil || len(t.Proofs) == 0:
		return fmt.Errorf("%w: it holds no proofs", ErrMalformed)
	case len(t.Proofs) > MaxProofs:
		return fmt.Errorf("%w: %d proofs where %d are the most", ErrTooLarge, len(t.Proofs), MaxProofs)
	}
	if _, err := NormalizeMint(t.Mint); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return Check(t.Proofs)
}

// Encode writes the token in version B. Errors wrap those of Parse: what Parse would refuse is not
// written.
func (t *Token) Encode() (string, error) {
	b, err := t.encodeB()
	if err != nil {
		return "", err
	}
	return sized(prefixB + base64.RawURLEncoding.EncodeToString(b))
}

// EncodeA writes the token in version A, which is deprecated, for wallets that know no other.
func (t *Token) EncodeA() (string, error) {
	b, err := t.encodeA()
	if err != nil {
		return "", err
	}
	return sized(prefixA + base64.RawURLEncoding.EncodeToString(b))
}

// EncodeBinary writes the binary form of version B.
func (t *Token) EncodeBinary() ([]byte, error) {
	b, err := t.encodeB()
	if err != nil {
		return nil, err
	}
	out, err := sized(rawPrefix + string(b))
	return []byte(out), err
}

func sized(s string) (string, error) {
	if len(s) > MaxSize {
		return "", fmt.Errorf("%w: %d bytes where %d are the most", ErrTooLarge, len(s), MaxSize)
	}
	return s, nil
}

// NormalizeMint brings the address of a mint into the one form in which two can be compared: scheme
// and host in lower case, no default port, no slash at the end. Errors wrap ErrMintURL.
func NormalizeMint(address string) (string, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Opaque != "":
		return "", fmt.Errorf("%w: it is not a URL such as https://mint.example.com", ErrMintURL)
	case u.Scheme != "https" && u.Scheme != "http":
		return "", fmt.Errorf("%w: it must begin with https:// or http://", ErrMintURL)
	case u.Hostname() == "":
		return "", fmt.Errorf("%w: it names no host", ErrMintURL)
	case u.User != nil:
		return "", fmt.Errorf("%w: it holds a user name", ErrMintURL)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", fmt.Errorf("%w: it must end with its path, without '?' and '#'", ErrMintURL)
	}
	host := strings.ToLower(u.Host)
	switch port := u.Port(); {
	case port == "443" && u.Scheme == "https", port == "80" && u.Scheme == "http":
		host = strings.TrimSuffix(host, ":"+port)
	case port == "":
		host = strings.TrimSuffix(host, ":")
	}
	return u.Scheme + "://" + host + strings.TrimRight(u.EscapedPath(), "/"), nil
}

// SameMint says whether two addresses name the same mint.
func SameMint(a, b string) bool {
	x, err := NormalizeMint(a)
	if err != nil {
		return false
	}
	y, err := NormalizeMint(b)
	return err == nil && x == y
}
