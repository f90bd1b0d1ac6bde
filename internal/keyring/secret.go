package keyring

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"

	"github.com/caddy-l402/caddy-l402/l402"
)

// MinSecret is the least length in bytes of a secret in the configuration. A token is public to
// its holder, who can try secrets without asking the server, so short ones would be guessed.
const MinSecret = 32

// fromSecret derives a key and its id from a secret. Both are one-way and independent: the id,
// which every token shows, says nothing of the key.
func fromSecret(secret string) (*Key, error) {
	if len(secret) < MinSecret {
		return nil, fmt.Errorf("it has %d bytes and needs at least %d: make one with `openssl rand -hex 32`",
			len(secret), MinSecret)
	}
	key := &Key{}
	copy(key.master[:], derive(secret, "caddy-l402 master key"))
	copy(key.ID[:], derive(secret, "caddy-l402 key id"))
	return key, nil
}

func derive(secret, purpose string) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(purpose))
	return mac.Sum(nil)
}

// Guard: the verifier takes keys from here.
var _ l402.Keys = (*Keyring)(nil)
