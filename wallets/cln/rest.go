package cln

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/httpjson"
)

// rest is the node's REST plugin clnrest: POST /v1/<command> with the rune in a header.
type rest struct {
	http *httpjson.Client
	rune *httpjson.Secret
}

func newREST(cfg httpjson.Config, secret *httpjson.Secret) (*rest, error) {
	r := &rest{rune: secret}
	cfg.MaxAnswer = maxAnswer
	cfg.Secrets = secret.All
	cfg.Authorize = func(h http.Header) error {
		text, err := secret.Get()
		if err != nil {
			return err
		}
		h.Set("Rune", text)
		return nil
	}
	var err error
	if r.http, err = httpjson.New(cfg); err != nil {
		return nil, err
	}
	return r, nil
}

// Close ends all calls. Later ones fail with net.ErrClosed.
func (r *rest) Close() error { return r.http.Close() }

func (r *rest) permissions() ([]string, error) {
	r.rune.Reload()
	text, err := r.rune.Get()
	if err != nil {
		return nil, err
	}
	words, err := DescribeRune(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", wallets.ErrUnauthorized, err)
	}
	return words, nil
}

// call makes a call. When the node refuses the rune and the file holds another one by now, it
// tries once more with that.
func (r *rest) call(ctx context.Context, method string, params json.RawMessage) (json.RawMessage, error) {
	answer, err := r.post(ctx, method, params)
	if err == nil && refusedRune(answer.Status) && r.rune.Reload() {
		answer, err = r.post(ctx, method, params)
	}
	if err != nil {
		return nil, err
	}
	return readREST(answer, r.rune.All()...)
}

func (r *rest) post(ctx context.Context, method string, params json.RawMessage) (*httpjson.Answer, error) {
	// The context has the deadline.
	return r.http.Do(ctx, httpjson.Request{Method: http.MethodPost, Path: "v1/" + method, JSON: params, Timeout: -1})
}

func refusedRune(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusForbidden
}

// readREST reads the result off an answer of clnrest, or the error.
func readREST(answer *httpjson.Answer, secrets ...string) (json.RawMessage, error) {
	if answer.Status == http.StatusCreated {
		if !json.Valid(answer.Body) {
			return nil, fmt.Errorf("%w: not JSON", wallets.ErrBadAnswer)
		}
		return answer.Body, nil
	}
	var e rpcErrorJSON
	if json.Unmarshal(answer.Body, &e) != nil || e.Message == "" {
		err := answer.Refusal("")
		if answer.Status == http.StatusNotFound || answer.Status < 400 {
			err = fmt.Errorf("%w: is this the address of clnrest?", err)
		}
		return nil, err
	}
	rpc := e.clean(secrets...)
	switch {
	case e.Code == codeRuneTooNarrow && tooSoon(e.Message):
		return nil, rpc
	case refusedRune(answer.Status):
		err := classify(rpc)
		if !isSentinel(err) {
			err = fmt.Errorf("%w: %w", wallets.ErrUnauthorized, rpc)
		}
		return nil, err
	case answer.Status == http.StatusNotFound:
		return nil, fmt.Errorf("%w: %w", ErrNoMethod, rpc)
	case e.Code == 0 || answer.Status != http.StatusInternalServerError:
		return nil, fmt.Errorf("%w: status %d: %w", httpjson.StatusError(answer.Status), answer.Status, rpc)
	}
	return nil, rpc
}

var _ transport = (*rest)(nil)
