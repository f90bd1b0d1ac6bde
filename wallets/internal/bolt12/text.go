// Package bolt12 reads and writes the bytes of BOLT 12: the text form, the TLV stream and the
// signature over its Merkle tree. What the fields mean is left to the caller.
package bolt12

import (
	"errors"
	"fmt"
	"strings"

	"github.com/btcsuite/btcd/btcutil/bech32"
)

const charset = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"

// DecodeText turns a BOLT 12 text in lower case, such as "lni1…", into its human-readable prefix
// and the bytes of its TLV stream. The form has no checksum. Joins with '+' must have been
// removed before.
func DecodeText(s string) (hrp string, data []byte, err error) {
	hrp, chars, ok := strings.Cut(s, "1")
	if !ok || hrp == "" || chars == "" {
		return "", nil, errors.New("no '1' between prefix and data")
	}
	groups := make([]byte, len(chars))
	for i := range len(chars) {
		g := strings.IndexByte(charset, chars[i])
		if g < 0 {
			return "", nil, fmt.Errorf("character %d of the data is not bech32", i+1)
		}
		groups[i] = byte(g)
	}
	// Without padding, ConvertBits refuses a rest of five or more bits and one that is not zero.
	data, err = bech32.ConvertBits(groups, 5, 8, false)
	if err != nil {
		return "", nil, fmt.Errorf("reading the padding: %w", err)
	}
	return hrp, data, nil
}

// EncodeText is the inverse of DecodeText.
func EncodeText(hrp string, data []byte) string {
	// Widening from 8 to 5 bits with padding has no error case.
	groups, _ := bech32.ConvertBits(data, 8, 5, true)
	var b strings.Builder
	b.Grow(len(hrp) + 1 + len(groups))
	b.WriteString(hrp)
	b.WriteByte('1')
	for _, g := range groups {
		b.WriteByte(charset[g])
	}
	return b.String()
}

// Join removes the '+' and the white space after it by which BOLT 12 allows a long text to be
// broken up; a '+' must stand between two characters of the text.
func Join(s string) (string, error) {
	if !strings.Contains(s, "+") {
		return s, nil
	}
	parts := strings.Split(s, "+")
	for i, p := range parts {
		if i > 0 {
			p = strings.TrimLeft(p, " \t\r\n")
		}
		if p == "" {
			return "", errors.New("a '+' must stand between two characters")
		}
		parts[i] = p
	}
	return strings.Join(parts, ""), nil
}
