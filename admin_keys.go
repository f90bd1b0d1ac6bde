package caddyl402

import (
	"errors"
	"net/http"
	"time"

	"github.com/caddy-l402/caddy-l402/internal/keyring"
	"github.com/caddy-l402/caddy-l402/l402"
)

type keyFacts struct {
	ID      string     `json:"id"`
	Created *time.Time `json:"created,omitempty"`
	Minting bool       `json:"minting"`
}

// adminKeys lists the master keys by id, never their secrets.
func (a *App) adminKeys(r *http.Request) (any, error) {
	if err := a.keys.Refresh(r.Context()); err != nil {
		return nil, adminError(http.StatusServiceUnavailable, err)
	}
	list := []keyFacts{}
	for i, key := range a.keys.Keys() {
		facts := keyFacts{ID: key.ID.String(), Minting: i == 0}
		if !key.Created.IsZero() {
			facts.Created = &key.Created
		}
		list = append(list, facts)
	}
	return map[string]any{"keys": list, "fixed": a.keys.Fixed()}, nil
}

// adminRotate makes a new key, which mints from now on.
func (a *App) adminRotate(r *http.Request) (any, error) {
	key, err := a.keys.Rotate(r.Context())
	if err != nil {
		return nil, keyError(err)
	}
	return map[string]any{"id": key.ID.String()}, nil
}

// adminRetire removes an old key; its tokens are refused from now on.
func (a *App) adminRetire(r *http.Request) (any, error) {
	var body struct {
		ID string `json:"id"`
	}
	if err := readJSON(r, &body); err != nil {
		return nil, err
	}
	id, err := l402.ParseKeyID(body.ID)
	if err != nil {
		return nil, adminError(http.StatusBadRequest, err)
	}
	if err := a.keys.Retire(r.Context(), id); err != nil {
		return nil, keyError(err)
	}
	return map[string]any{"id": id.String()}, nil
}

func keyError(err error) error {
	status := http.StatusServiceUnavailable
	switch {
	case errors.Is(err, keyring.ErrFixed), errors.Is(err, keyring.ErrNewest):
		status = http.StatusConflict
	case errors.Is(err, keyring.ErrUnknown):
		status = http.StatusNotFound
	}
	return adminError(status, err)
}
