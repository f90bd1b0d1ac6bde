package caddyl402

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/caddy-l402/caddy-l402/wallets/cashu/purse"
)

// Names of what is kept about the seed.
const (
	shownKind = "cashushown"

	// The seeds: of the ecash that payers sent, and of the wallets at mints.
	seedPayments = "payments"
	seedWallets  = "wallets"
)

// adminSeed shows the words that ecash can be restored from, once: POST /l402/cashu/seed.
func (a *App) adminSeed(r *http.Request) (any, error) {
	var body struct {
		Of string `json:"of"`
	}
	if err := readJSON(r, &body); err != nil {
		return nil, err
	}
	words, err := a.seedOf(r.Context(), body.Of)
	if err != nil {
		return nil, err
	}
	unlock, err := a.lockStorage(r.Context(), "seed-shown")
	if err != nil {
		return nil, adminError(http.StatusServiceUnavailable, fmt.Errorf("locking the storage: %w", err))
	}
	defer unlock()
	store := a.house().Store()
	b, err := store.GetDurable(r.Context(), shownKind, body.Of)
	switch {
	case err == nil:
		var shown struct {
			At time.Time `json:"at"`
		}
		_ = json.Unmarshal(b, &shown) // a damaged one was shown all the same
		return nil, adminError(http.StatusConflict, fmt.Errorf("the seed was shown already, at %s, and is shown once only. "+
			"If it is lost, or somebody else may have it: move the ecash out (caddy l402 cashu redeem, or send), write down "+
			"words of your own, and set them as the seed in the configuration", shown.At.UTC().Format(time.RFC3339)))
	case !errors.Is(err, purse.ErrNotFound):
		return nil, adminError(http.StatusServiceUnavailable, err)
	}
	// Before it is shown: an answer that got lost on its way may be in wrong hands.
	if b, err = json.Marshal(map[string]time.Time{"at": time.Now()}); err == nil {
		err = store.PutDurable(r.Context(), shownKind, body.Of, b)
	}
	if err != nil {
		return nil, adminError(http.StatusServiceUnavailable, err)
	}
	return map[string]any{"seed": words}, nil
}

// seedOf reads a seed that was generated.
func (a *App) seedOf(ctx context.Context, of string) (string, error) {
	switch of {
	case seedPayments:
		switch {
		case a.till == nil:
			return "", adminError(http.StatusNotFound, errors.New("no ecash is taken as payment: there is no cashu block in the global l402 options"))
		case a.till.lender.Seed != "":
			return "", adminError(http.StatusConflict, errors.New("the seed stands in the configuration: keep a copy of it from there"))
		}
		words, err := a.house().Seed(ctx)
		if err != nil {
			return "", adminError(http.StatusServiceUnavailable, err)
		}
		return words, nil
	case seedWallets:
		for _, p := range a.allPurses() {
			if p.Wallet == "" {
				continue
			}
			// Its purse is open, so the words are there unless they are in the configuration.
			words, err := purse.StoredSeed(ctx, a.house().Store(), seedWallets)
			switch {
			case errors.Is(err, purse.ErrNotFound):
				return "", adminError(http.StatusConflict, errors.New("the seeds of the wallets stand in the configuration: keep a copy from there"))
			case err != nil:
				return "", adminError(http.StatusServiceUnavailable, err)
			}
			return words, nil
		}
		return "", adminError(http.StatusNotFound, errors.New("no wallet at a mint is open"))
	}
	return "", adminError(http.StatusBadRequest, fmt.Errorf("of %q: use payments or wallets", of))
}
