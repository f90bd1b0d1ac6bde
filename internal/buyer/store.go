package buyer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-l402/caddy-l402/internal/client/tokenfile"
	"github.com/caddy-l402/caddy-l402/internal/ledger"
)

// The kinds of durable values.
const (
	kindPurchase = "purchase"
	kindAccount  = "account"
)

const (
	// storeTime bounds what is read and written around a payment.
	storeTime = 15 * time.Second
	// unlockTime bounds giving a lock back.
	unlockTime = 5 * time.Second
)

// ErrStore says that purchases cannot be stored or read, so that none may be made.
var ErrStore = errors.New("storage of purchases")

// Store keeps purchases and accounts in a ledger, and takes turns with other instances by locks of
// the storage. Where the locks of a storage do nothing, as some do, two instances may buy the same
// thing at the same moment, or go beyond a budget by what they buy at the same moment.
type Store struct {
	// Ledger gives the ledger, nil while it is not open.
	Ledger func() *ledger.Ledger
	// Locks is the storage.
	Locks certmagic.Storage
}

func fail(step string, err error) error { return fmt.Errorf("%s: %w: %w", step, ErrStore, err) }

var errClosed = errors.New("it is not open")

func (s *Store) ledger() (*ledger.Ledger, error) {
	if l := s.Ledger(); l != nil {
		return l, nil
	}
	return nil, errClosed
}

// lock waits for its turn. The name is hashed: storages differ in which letters they take.
func (s *Store) lock(ctx context.Context, kind, name string) (unlock func(), err error) {
	sum := sha256.Sum256([]byte(kind + "\x00" + name))
	key := "l402-" + kind + "-" + hex.EncodeToString(sum[:16])
	if err := s.Locks.Lock(ctx, key); err != nil {
		return nil, fail("locking", err)
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unlockTime)
		defer cancel()
		_ = s.Locks.Unlock(ctx, key) // a lock that stays goes stale by itself
	}, nil
}

// idOf names a product of an origin.
func idOf(origin, opens string) string {
	sum := sha256.Sum256([]byte(origin + "\x00" + opens))
	return hex.EncodeToString(sum[:])
}

// load reads a purchase, or nil where there is none. The caller need not hold the lock.
func (s *Store) load(ctx context.Context, origin, opens string) (*tokenfile.Token, error) {
	l, err := s.ledger()
	if err != nil {
		return nil, fail("reading a purchase", err)
	}
	value, err := l.GetDurable(ctx, kindPurchase, idOf(origin, opens))
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fail("reading a purchase", err)
	}
	var token tokenfile.Token
	if err := json.Unmarshal(value.Value, &token); err != nil || token.Origin != origin || token.Opens != opens {
		return nil, fail("reading a purchase", errors.New("it is damaged"))
	}
	return &token, nil
}

// put writes a purchase before it is paid, and again with its proof.
func (s *Store) put(ctx context.Context, token *tokenfile.Token) error {
	l, err := s.ledger()
	if err != nil {
		return fail("storing a purchase", err)
	}
	data, err := json.Marshal(token)
	if err != nil {
		return fail("storing a purchase", err)
	}
	if err := l.PutDurable(ctx, kindPurchase, idOf(token.Origin, token.Opens), data); err != nil {
		return fail("storing a purchase", err)
	}
	return nil
}

// drop removes a purchase.
func (s *Store) drop(ctx context.Context, token *tokenfile.Token) error {
	l, err := s.ledger()
	if err != nil {
		return fail("removing a purchase", err)
	}
	if err := l.DeleteDurable(ctx, kindPurchase, idOf(token.Origin, token.Opens)); err != nil {
		return fail("removing a purchase", err)
	}
	return nil
}
