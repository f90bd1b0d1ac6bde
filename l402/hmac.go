package l402

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
)

// macaroonKeyGenerator is the fixed key with which macaroons turn a root key into the key of the
// first HMAC. HMAC pads keys with zeros, so the zeros at the end of the array change nothing.
var macaroonKeyGenerator = func() (k [32]byte) {
	copy(k[:], "macaroons-key-generator")
	return k
}()

// The pads of RFC 2104.
var (
	innerPad = [sha256.BlockSize]byte(bytes.Repeat([]byte{0x36}, sha256.BlockSize))
	outerPad = [sha256.BlockSize]byte(bytes.Repeat([]byte{0x5c}, sha256.BlockSize))
)

// hmacSHA256 writes HMAC-SHA256(key, msg) (RFC 2104) to out, which may be the key itself. It is
// spelled out because crypto/hmac allocates its two hashes, and this runs for each caveat of each
// paid request. A test compares it with crypto/hmac.
func hmacSHA256(out, key *[32]byte, msg []byte) {
	inner, outer := innerPad, [sha256.BlockSize + sha256.Size]byte{}
	copy(outer[:], outerPad[:])
	subtle.XORBytes(inner[:], inner[:len(key)], key[:])
	subtle.XORBytes(outer[:], outer[:len(key)], key[:])

	h := sha256.New()
	h.Write(inner[:])
	h.Write(msg)
	h.Sum(outer[:sha256.BlockSize])
	*out = sha256.Sum256(outer[:])
}
