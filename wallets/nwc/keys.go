package nwc

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/nbd-wtf/go-nostr"
	"github.com/nbd-wtf/go-nostr/nip04"
	"github.com/nbd-wtf/go-nostr/nip44"
)

// scheme is a way to encrypt contents, by the name that NIP-47's encryption tag uses.
type scheme string

const (
	schemeNIP44 scheme = "nip44_v2"
	schemeNIP04 scheme = "nip04"
)

// other is the scheme that is tried when the wallet refuses this one.
func (s scheme) other() scheme {
	if s == schemeNIP44 {
		return schemeNIP04
	}
	return schemeNIP44
}

// keys are one side of a connection: its own key pair, the other's public key and what both share.
type keys struct {
	secret, public, peer string

	shared       []byte   // for NIP-04
	conversation [32]byte // for NIP-44
}

// newKeys derives everything from a private key and the peer's public key, both in hex.
func newKeys(secret, peer string) (*keys, error) {
	k := &keys{secret: secret, peer: peer}
	var err error
	if k.public, err = nostr.GetPublicKey(secret); err != nil {
		return nil, errors.New("uri: secret is no private key")
	}
	if k.shared, err = nip04.ComputeSharedSecret(peer, secret); err != nil {
		return nil, errors.New("uri: the wallet's public key is on no curve")
	}
	if k.conversation, err = nip44.GenerateConversationKey(peer, secret); err != nil {
		return nil, errors.New("uri: the wallet's public key and the secret give no common key")
	}
	return k, nil
}

func (k *keys) encrypt(s scheme, text string) (string, error) {
	if s == schemeNIP44 {
		return nip44.Encrypt(text, k.conversation)
	}
	return nip04.Encrypt(text, k.shared)
}

// decrypt opens the content of an event whose signature was verified. It tells the scheme by the
// content's form, since wallets answer a refused scheme in one of their own choice. The checks
// before the library calls are for inputs at which those panic.
func (k *keys) decrypt(content string) (string, error) {
	if body, iv, ok := strings.Cut(content, "?iv="); ok {
		if n := decodedLen(body); n == 0 || n%16 != 0 {
			return "", errors.New("NIP-04 text is not in whole blocks of base64")
		}
		if decodedLen(iv) != 16 {
			return "", errors.New("NIP-04 initialization vector is not 16 bytes of base64")
		}
		return nip04.Decrypt(content, k.shared)
	}
	// Go's base64 skips line breaks, so a text of these alone would decode to nothing.
	if decodedLen(content) < 99 {
		return "", errors.New("NIP-44 text is too short or no base64")
	}
	text, err := nip44.Decrypt(content, k.conversation)
	if err != nil {
		return "", fmt.Errorf("NIP-44: %w", err)
	}
	return text, nil
}

// decodedLen is the length of what a base64 text holds, or 0.
func decodedLen(text string) int {
	if strings.ContainsAny(text, "\r\n") {
		return 0
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return 0
	}
	return len(raw)
}
