package l402

import (
	"crypto/hmac"
	"crypto/sha256"
	"testing"
)

func TestHMACIsCryptoHMAC(t *testing.T) {
	for n := range 300 {
		msg := make([]byte, n)
		for i := range msg {
			msg[i] = byte(i * n)
		}
		key := sha256.Sum256(msg)
		h := hmac.New(sha256.New, key[:])
		h.Write(msg)
		var got [32]byte
		hmacSHA256(&got, &key, msg)
		if !hmac.Equal(got[:], h.Sum(nil)) {
			t.Fatalf("message of %d bytes: got %x, want %x", n, got, h.Sum(nil))
		}
		hmacSHA256(&key, &key, msg)
		if key != got {
			t.Fatalf("message of %d bytes: writing over the key gave %x, want %x", n, key, got)
		}
	}
	h := hmac.New(sha256.New, []byte("macaroons-key-generator"))
	h.Write([]byte("root"))
	var got [32]byte
	hmacSHA256(&got, &macaroonKeyGenerator, []byte("root"))
	if !hmac.Equal(got[:], h.Sum(nil)) {
		t.Fatal("the padded key generator is not the key generator")
	}
}

func BenchmarkHMAC(b *testing.B) {
	var key [32]byte
	msg := make([]byte, 30)
	b.ReportAllocs()
	for b.Loop() {
		hmacSHA256(&key, &key, msg)
	}
}
