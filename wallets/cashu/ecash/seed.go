package ecash

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/btcsuite/btcd/btcutil/hdkeychain"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/tyler-smith/go-bip39"
)

const (
	// purpose is the first step of the path for keysets of version 1.
	purpose = 129372
	// kdfDomain begins what secrets for keysets of version 2 are computed from.
	kdfDomain = "Cashu_KDF_HMAC_SHA256"
	// entropyBits make a mnemonic of twelve words.
	entropyBits = 128
)

// NewMnemonic makes the twelve words (BIP 39) that a wallet's money can be restored from.
func NewMnemonic() (string, error) {
	entropy, err := bip39.NewEntropy(entropyBits)
	if err != nil {
		return "", fmt.Errorf("making a seed: %w", err)
	}
	words, err := bip39.NewMnemonic(entropy)
	if err != nil {
		return "", fmt.Errorf("making a seed: %w", err)
	}
	return words, nil
}

// Seed gives the secrets and blinding factors of a wallet (NUT-13). It is safe for concurrent use
// and must be kept as safe as the money.
type Seed struct {
	bytes []byte
	// coins is m/129372'/0' for keysets of version 1.
	coins *hdkeychain.ExtendedKey
}

// NewSeed makes the seed of a mnemonic (BIP 39), without a passphrase. The error wraps ErrSeed and
// holds none of the words.
func NewSeed(mnemonic string) (*Seed, error) {
	words := strings.Join(strings.Fields(strings.ToLower(mnemonic)), " ")
	b, err := bip39.NewSeedWithErrorChecking(words, "")
	if err != nil {
		return nil, fmt.Errorf("%w: give 12 to 24 words of the English list, with their checksum", ErrSeed)
	}
	master, err := hdkeychain.NewMaster(b, &chaincfg.MainNetParams)
	if err != nil {
		return nil, fmt.Errorf("deriving from the seed: %w", err)
	}
	coins, err := hardened(master, purpose, 0)
	if err != nil {
		return nil, err
	}
	return &Seed{bytes: b, coins: coins}, nil
}

// Coin is the private side of one output: what the mint signs without seeing it.
type Coin struct {
	// Secret is the proof's secret.
	Secret string
	// R is the blinding factor.
	R *PrivateKey
}

// Derive gives the coin of a keyset and counter: with BIP 32 for keysets of version 1 and with
// HMAC-SHA256 for version 2 (NUT-13). A counter must be used for one output only, ever: two
// outputs with the same secret are one coin, and a mint refuses to sign the second. Errors wrap
// ErrKeyset or ErrCounter; the caller takes the next counter after the latter.
func (s *Seed) Derive(id KeysetID, counter uint64) (Coin, error) {
	raw, err := id.Bytes()
	if err != nil {
		return Coin{}, fmt.Errorf("deriving a secret: %w: %q", err, string(id))
	}
	switch {
	case id.Version() == 1:
		return s.deriveBIP32(raw, counter)
	case id.Version() == 2 && !id.IsShort():
		return s.deriveHMAC(raw, counter)
	}
	return Coin{}, fmt.Errorf("deriving a secret: %w: %s is a short id", ErrKeyset, id)
}

func (s *Seed) deriveBIP32(id []byte, counter uint64) (Coin, error) {
	if counter >= hdkeychain.HardenedKeyStart {
		return Coin{}, fmt.Errorf("deriving a secret: %w: %d is beyond BIP 32", ErrCounter, counter)
	}
	number := binary.BigEndian.Uint64(id) % (hdkeychain.HardenedKeyStart - 1)
	branch, err := hardened(s.coins, uint32(number), uint32(counter))
	if err != nil {
		return Coin{}, err
	}
	var keys [2]*PrivateKey
	for i := range keys {
		leaf, err := branch.Derive(uint32(i))
		if err != nil {
			return Coin{}, fmt.Errorf("deriving a secret: %w: %w", ErrCounter, err)
		}
		key, err := leaf.ECPrivKey()
		if err != nil {
			return Coin{}, fmt.Errorf("deriving a secret: %w: %w", ErrCounter, err)
		}
		keys[i] = key
	}
	return Coin{Secret: hex.EncodeToString(keys[0].Serialize()), R: keys[1]}, nil
}

func hardened(key *hdkeychain.ExtendedKey, path ...uint32) (*hdkeychain.ExtendedKey, error) {
	for _, step := range path {
		next, err := key.Derive(hdkeychain.HardenedKeyStart + step)
		if err != nil {
			return nil, fmt.Errorf("deriving a secret: %w: %w", ErrCounter, err)
		}
		key = next
	}
	return key, nil
}

func (s *Seed) deriveHMAC(id []byte, counter uint64) (Coin, error) {
	message := append([]byte(kdfDomain), id...)
	message = binary.BigEndian.AppendUint64(message, counter)
	digest := func(kind byte) []byte {
		mac := hmac.New(sha256.New, s.bytes)
		mac.Write(message)
		mac.Write([]byte{kind})
		return mac.Sum(nil)
	}
	var r secp256k1.ModNScalar
	r.SetByteSlice(digest(1)) // reduced, as NUT-13 wants it
	if r.IsZero() {
		return Coin{}, fmt.Errorf("deriving a secret: %w: %d", ErrCounter, counter)
	}
	return Coin{Secret: hex.EncodeToString(digest(0)), R: secp256k1.NewPrivateKey(&r)}, nil
}
