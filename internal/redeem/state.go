package redeem

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-l402/caddy-l402/wallets/cashu/purse"
)

// Store keeps the states; purse.Store is one.
type Store interface {
	// PutDurable stores a value in place of an older one and returns when a crash cannot take
	// it back. After an error the old or the new value is there.
	PutDurable(ctx context.Context, kind, id string, value []byte) error
	// GetDurable reads a value; where there is none its error is purse.ErrNotFound.
	GetDurable(ctx context.Context, kind, id string) ([]byte, error)
}

// kind is what the states are in the store.
const kind = "cashuredeem"

// kept is how many redemptions are remembered.
const kept = 20

// Redemption is one payment of a purse to the operator.
type Redemption struct {
	// Hash is the invoice's payment hash, in hex.
	Hash string `json:"payment_hash"`
	// Target is whom it was paid to.
	Target string `json:"target"`
	// Amount is what the invoice is over, in the purse's unit.
	Amount uint64 `json:"amount"`
	// MaxFee is the most that Lightning was allowed to cost, in the purse's unit.
	MaxFee uint64 `json:"max_fee"`
	// Fee is what it did cost, with the mint's fee for inputs, in the purse's unit.
	Fee uint64 `json:"fee,omitempty"`
	// Unproven says that the mint gave no preimage, and that the target did not say either that
	// it was paid.
	Unproven bool `json:"unproven,omitempty"`
	// Why is what made it due: above, every or asked.
	Why string `json:"why"`
	// Begun and Ended are when it was stored and when it was paid.
	Begun time.Time `json:"begun"`
	Ended time.Time `json:"ended,omitzero"`
}

// State is what is known of the redemptions of one purse.
type State struct {
	// Current is the one in flight, or nil.
	Current *Redemption `json:"current,omitempty"`
	// Last are the latest ones that were paid, newest first.
	Last []Redemption `json:"last,omitempty"`
	// Count, Amount and Fees add up all that were paid; in the purse's unit.
	Count  uint64 `json:"count"`
	Amount uint64 `json:"amount"`
	Fees   uint64 `json:"fees"`
	// Done is when the last one was paid.
	Done time.Time `json:"done,omitzero"`
	// Failures is how many attempts in a row came to nothing, and Refused how many of them
	// because the Lightning payment failed.
	Failures int `json:"failures,omitempty"`
	Refused  int `json:"refused,omitempty"`
	// Problem is the error of the last of them.
	Problem string `json:"problem,omitempty"`
	// Retry is when it is tried again.
	Retry time.Time `json:"retry,omitzero"`
}

// stored is a State in the store. The invoice is not for eyes that need only know the state.
type stored struct {
	State
	Invoice string    `json:"invoice,omitempty"`
	Expires time.Time `json:"expires,omitzero"`
}

func load(ctx context.Context, job Job) (*stored, error) {
	b, err := job.Store.GetDurable(ctx, kind, job.ID)
	if errors.Is(err, purse.ErrNotFound) {
		return new(stored), nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: reading: %w", ErrStore, err)
	}
	s := new(stored)
	if err := json.Unmarshal(b, s); err != nil || s.Current != nil && s.Invoice == "" {
		return nil, fmt.Errorf("%w: the state of %.12s is damaged", ErrStore, job.ID)
	}
	return s, nil
}

// save writes a state, also for a caller who has gone: what happened must not be forgotten.
func (e *Engine) save(ctx context.Context, job Job, s *stored) error {
	b, err := json.Marshal(s)
	if err == nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.opts.Patience)
		defer cancel()
		err = job.Store.PutDurable(ctx, kind, job.ID, b)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrStore, err)
	}
	return nil
}

// Guard: a purse's store will do.
var _ Store = purse.Store(nil)
