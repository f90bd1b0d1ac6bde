package purses

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"strconv"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/tyler-smith/go-bip39"

	"github.com/caddy-l402/caddy-l402/wallets/cashu/ecash"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/purse"
)

// seedName is what the generated seed has for a name in the storage.
const seedName = "house"

// words gives the house's seed: the configured one or, where there is none, the one in the storage.
func (t *term) words(ctx context.Context) (string, error) {
	if t.host.Seed != "" {
		return t.host.Seed, nil
	}
	unlock, err := t.house.lock(ctx, "cashu-seed")
	if err != nil {
		return "", fmt.Errorf("%w: locking the seed: %w", purse.ErrStore, err)
	}
	defer unlock()
	return purse.LoadSeed(ctx, t.store(nil), seedName)
}

// derive makes 32 bytes for a purpose of a seed.
func derive(words, purpose string) []byte {
	mac := hmac.New(sha256.New, []byte(words))
	mac.Write([]byte("l402 cashu " + purpose))
	return mac.Sum(nil)
}

// wordsOf gives the words of a purse's seed: those of the house or, for a tenant, some that follow
// from them, since no two purses of a mint and unit may make the same secrets.
func wordsOf(words, name string) (string, error) {
	if name == "" {
		return words, nil
	}
	return bip39.NewMnemonic(derive(words, "tenant\x00"+name)[:16])
}

// lockKey is the key that payers lock ecash to for a seat (NUT-11). It is another for each seat, so
// that two processes which do not ask the mint cannot both take the same ecash.
func lockKey(words string, seat int) *ecash.PrivateKey {
	return secp256k1.PrivKeyFromBytes(derive(words, "lock\x00"+strconv.Itoa(seat)))
}

// lockKeys are the keys of all seats, that of the own one first.
func lockKeys(words string, own int) []*ecash.PrivateKey {
	keys := []*ecash.PrivateKey{lockKey(words, own)}
	for seat := range maxSeats {
		if seat != own {
			keys = append(keys, lockKey(words, seat))
		}
	}
	return keys
}
