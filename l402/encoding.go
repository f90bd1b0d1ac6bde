package l402

import (
	"encoding/base64"
	"encoding/hex"
	"strings"

	"github.com/lightningnetwork/lnd/lntypes"
)

// The encodings of tokens in text. Strict refuses stray bits in the last character.
var (
	rawStd = base64.RawStdEncoding.Strict()
	rawURL = base64.RawURLEncoding.Strict()
)

// The beginning of every token (version 2, location "lsat", identifier of 66 bytes, identifier
// version 0) in binary form and as far as it is fixed in base64 and in hex.
const (
	tokenPrefix    = "\x02\x01\x04" + Location + "\x02\x42"
	tokenPrefixB64 = "AgEEbHNhdAJC"
	tokenPrefixHex = "0201046c7361740242"
)

// looksLikeToken reports whether s begins as a token of this protocol does, in base64 or hex. It
// tells credentials from whatever else stands in headers that others use as well.
func looksLikeToken(s string) bool {
	return strings.HasPrefix(s, tokenPrefixB64) ||
		len(s) >= len(tokenPrefixHex) && strings.EqualFold(s[:len(tokenPrefixHex)], tokenPrefixHex)
}

// DecodeMacaroon reads a token in text, base64 (standard or URL-safe, padded or not) or hex, into
// its binary form. It returns ErrMalformedCredential or ErrTokenTooLong. It does not look at what
// the bytes say.
func DecodeMacaroon(s string) ([]byte, error) {
	var buf [MaxMacaroonSize]byte
	n, err := decodeMacaroon(buf[:], trim(s))
	if err != nil {
		return nil, err
	}
	return append([]byte(nil), buf[:n]...), nil
}

// decodeMacaroon decodes s into dst, which is as large as a token may be, and returns the length.
//
// The first two characters tell the encodings apart: a macaroon begins with the byte 2, "02" in
// hex, which as base64 would begin with another byte.
func decodeMacaroon(dst []byte, s string) (int, error) {
	if strings.HasPrefix(s, "02") {
		if hex.DecodedLen(len(s)) > len(dst) {
			return 0, ErrTokenTooLong
		}
		n, err := hex.Decode(dst, []byte(s))
		if err != nil {
			return 0, ErrMalformedCredential
		}
		return n, nil
	}
	for range 2 {
		s = strings.TrimSuffix(s, "=")
	}
	if len(s) == 0 {
		return 0, ErrMalformedCredential
	}
	if rawStd.DecodedLen(len(s)) > len(dst) {
		return 0, ErrTokenTooLong
	}
	// The decoder skips line ends, which would let one token pass in endless spellings.
	if strings.IndexByte(s, '\n') >= 0 || strings.IndexByte(s, '\r') >= 0 {
		return 0, ErrMalformedCredential
	}
	encoding := rawStd
	if strings.IndexByte(s, '-') >= 0 || strings.IndexByte(s, '_') >= 0 {
		encoding = rawURL
	}
	n, err := encoding.Decode(dst, []byte(s))
	if err != nil {
		return 0, ErrMalformedCredential
	}
	return n, nil
}

// decodePreimage reads exactly 64 hex digits of either case.
func decodePreimage[T text](dst *lntypes.Preimage, s T) bool {
	if len(s) != hex.EncodedLen(len(dst)) {
		return false
	}
	_, err := hex.Decode(dst[:], []byte(s))
	return err == nil
}
