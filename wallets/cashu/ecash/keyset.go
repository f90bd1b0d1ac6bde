package ecash

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// KeysetID names a keyset: 16 characters of lower-case hex that begin with 00 for version 1, 66
// that begin with 01 for version 2 (NUT-02). In tokens ids of version 2 may be cut to their first 16
// characters; such a short one is resolved before it is used.
type KeysetID string

const (
	shortID = 16
	longID  = 66
)

// ParseKeysetID reads an id of version 1, or one of version 2 in its long or short form. Upper case
// is accepted and made lower case. Errors wrap ErrKeyset.
func ParseKeysetID(text string) (KeysetID, error) {
	id := strings.ToLower(text)
	if len(id) != shortID && len(id) != longID {
		return "", fmt.Errorf("%w: %d characters where 16 or 66 of hex are needed", ErrKeyset, len(id))
	}
	if _, err := hex.DecodeString(id); err != nil {
		return "", fmt.Errorf("%w: it is not hex", ErrKeyset)
	}
	switch {
	case strings.HasPrefix(id, "00") && len(id) == shortID, strings.HasPrefix(id, "01"):
		return KeysetID(id), nil
	}
	return "", fmt.Errorf("%w: unknown version %s", ErrKeyset, id[:2])
}

// Version is 1 or 2, or 0 for what ParseKeysetID refuses.
func (id KeysetID) Version() int {
	switch {
	case strings.HasPrefix(string(id), "00") && len(id) == shortID:
		return 1
	case strings.HasPrefix(string(id), "01") && (len(id) == shortID || len(id) == longID):
		return 2
	}
	return 0
}

// IsShort says that the id is one of version 2 that was cut.
func (id KeysetID) IsShort() bool { return id.Version() == 2 && len(id) == shortID }

// Short is the form for tokens: the first 8 bytes.
func (id KeysetID) Short() KeysetID {
	if len(id) > shortID {
		return id[:shortID]
	}
	return id
}

// Bytes is the id in binary.
func (id KeysetID) Bytes() ([]byte, error) {
	b, err := hex.DecodeString(string(id))
	if err != nil || id.Version() == 0 {
		return nil, ErrKeyset
	}
	return b, nil
}

// Resolve finds the full id that id stands for among the known ones. A full id must be known as
// well. Errors wrap ErrUnknownKeyset or, where two ids begin alike, ErrAmbiguous.
func (id KeysetID) Resolve(known []KeysetID) (KeysetID, error) {
	if !id.IsShort() {
		if slices.Contains(known, id) {
			return id, nil
		}
		return "", fmt.Errorf("%w: %s", ErrUnknownKeyset, id)
	}
	var found KeysetID
	for _, k := range known {
		if k.Short() != id || k == found {
			continue
		}
		if found != "" {
			return "", fmt.Errorf("%w: %s", ErrAmbiguous, id)
		}
		found = k
	}
	if found == "" {
		return "", fmt.Errorf("%w: %s", ErrUnknownKeyset, id)
	}
	return found, nil
}

// Keys are a keyset's public keys by the amount, in its unit, that each signs for.
type Keys map[uint64]*PublicKey

// Amounts lists the amounts in ascending order.
func (k Keys) Amounts() []uint64 {
	out := make([]uint64, 0, len(k))
	for amount := range k {
		out = append(out, amount)
	}
	slices.Sort(out)
	return out
}

// IDv1 computes the keyset id of version 1, which covers the keys alone.
func (k Keys) IDv1() KeysetID {
	h := sha256.New()
	for _, amount := range k.Amounts() {
		h.Write(k[amount].SerializeCompressed())
	}
	return KeysetID("00" + hex.EncodeToString(h.Sum(nil))[:shortID-2])
}

// IDv2 computes the keyset id of version 2, which covers the unit, the fee in thousandths of the
// unit for each input and the time at which the keyset expires, in seconds since 1970, as well. A
// fee or expiry of zero counts as none.
func (k Keys) IDv2(unit string, inputFeePPK, finalExpiry uint64) KeysetID {
	var b strings.Builder
	for i, amount := range k.Amounts() {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatUint(amount, 10))
		b.WriteByte(':')
		b.WriteString(hex.EncodeToString(k[amount].SerializeCompressed()))
	}
	b.WriteString("|unit:" + strings.ToLower(unit))
	if inputFeePPK != 0 {
		b.WriteString("|input_fee_ppk:" + strconv.FormatUint(inputFeePPK, 10))
	}
	if finalExpiry != 0 {
		b.WriteString("|final_expiry:" + strconv.FormatUint(finalExpiry, 10))
	}
	sum := sha256.Sum256([]byte(b.String()))
	return KeysetID("01" + hex.EncodeToString(sum[:]))
}

// Verify checks that the id is that of these keys and, for version 2, of these terms. Errors wrap
// ErrKeyset.
func (k Keys) Verify(id KeysetID, unit string, inputFeePPK, finalExpiry uint64) error {
	var want KeysetID
	switch {
	case len(k) == 0:
		return fmt.Errorf("%w: keyset %s has no keys", ErrKeyset, id)
	case id.Version() == 1:
		want = k.IDv1()
	case id.Version() == 2 && !id.IsShort():
		want = k.IDv2(unit, inputFeePPK, finalExpiry)
	default:
		return fmt.Errorf("%w: %s", ErrKeyset, id)
	}
	if want != id {
		return fmt.Errorf("%w: the keys given for %s are those of %s", ErrKeyset, id, want)
	}
	return nil
}
