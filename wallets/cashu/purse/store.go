package purse

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/caddy-l402/caddy-l402/wallets/cashu/ecash"
)

// Durable is a value of a Store.
type Durable struct {
	// ID names the value within its kind.
	ID string
	// Value is what was stored.
	Value []byte
}

// Store keeps values for good. A kind is of up to 32 lower-case letters and digits, an id of up to 80
// characters, a value of up to 1 MiB. It must be safe for concurrent use.
type Store interface {
	// PutDurable stores a value in place of an older one and returns when a crash cannot take
	// it back. After an error the old or the new value is there.
	PutDurable(ctx context.Context, kind, id string, value []byte) error
	// GetDurable reads a value; where there is none its error is ErrNotFound.
	GetDurable(ctx context.Context, kind, id string) ([]byte, error)
	// ListDurable reads all values of a kind.
	ListDurable(ctx context.Context, kind string) ([]Durable, error)
	// DeleteDurable deletes a value; one that is not there is no error.
	DeleteDurable(ctx context.Context, kind, id string) error
}

const (
	seedKind    = "cashuseed"
	opKinds     = "cashuop"
	counterKind = "cashuctr"
	seenKinds   = "cashuseen"
)

// kindOf makes a kind that is the same for the same parts.
func kindOf(prefix string, parts ...string) string {
	h := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return prefix + hex.EncodeToString(h[:10])
}

// LoadSeed reads the words that the store has under a name, and makes and stores new ones where it
// has none. Whoever has the words has the money. The caller makes sure that no two processes make
// the seed of a name at the same time.
func LoadSeed(ctx context.Context, s Store, name string) (words string, err error) {
	if words, err = StoredSeed(ctx, s, name); !errors.Is(err, ErrNotFound) {
		return words, err
	}
	if words, err = ecash.NewMnemonic(); err != nil {
		return "", err
	}
	if err := s.PutDurable(ctx, seedKind, name, []byte(words)); err != nil {
		return "", fmt.Errorf("%w: the seed: %w", ErrStore, err)
	}
	return words, nil
}

// StoredSeed reads the words that the store has under a name. Errors are ErrNotFound where it has
// none, and ErrStore.
func StoredSeed(ctx context.Context, s Store, name string) (words string, err error) {
	b, err := s.GetDurable(ctx, seedKind, name)
	switch {
	case errors.Is(err, ErrNotFound):
		return "", fmt.Errorf("reading the seed: %w", err)
	case err != nil:
		return "", fmt.Errorf("%w: reading the seed: %w", ErrStore, err)
	}
	if _, err := ecash.NewSeed(string(b)); err != nil {
		return "", fmt.Errorf("reading the seed: %w", err)
	}
	return string(b), nil
}
