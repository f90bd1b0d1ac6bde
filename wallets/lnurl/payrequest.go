package lnurl

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/httpjson"
)

// requestLife is how long a pay request is believed, so that a challenge costs one round trip and
// not two.
const requestLife = time.Minute

// payRequest is what a payee's server accepts (LUD-06, step 3).
type payRequest struct {
	// callback makes the invoices.
	callback string
	// min and max bound the amount, in millisatoshi.
	min, max uint64
	// comment is how many characters of comment are taken (LUD-12).
	comment int
	// description is the SHA-256 of the metadata, which must stand in the invoices.
	description [32]byte
	at          time.Time
}

// payRequest gives the pay request and tells whether it was remembered. One caller asks, others
// that come at the same time wait for it.
func (w *Wallet) payRequest(ctx context.Context) (_ *payRequest, remembered bool, err error) {
	if r := w.remembered(); r != nil {
		return r, true, nil
	}
	w.mu.Lock()
	patience := w.timeout
	w.mu.Unlock()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case w.asking <- struct{}{}:
		defer func() { <-w.asking }()
	case <-ctx.Done():
		return nil, false, ctx.Err()
	case <-timer.C:
		return nil, false, fmt.Errorf("%w: no answer within %s", wallets.ErrUnavailable, patience)
	}
	if r := w.remembered(); r != nil {
		return r, true, nil
	}
	r, err := w.askPayRequest(ctx)
	return r, false, err
}

func (w *Wallet) remembered() *payRequest {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.request == nil || w.now().Sub(w.request.at) >= requestLife {
		return nil
	}
	return w.request
}

// forget makes the next invoice ask anew, unless somebody asked since r.
func (w *Wallet) forget(r *payRequest) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.request == r {
		w.request = nil
	}
}

// askPayRequest asks the payee's server and remembers the answer.
func (w *Wallet) askPayRequest(ctx context.Context) (*payRequest, error) {
	var a payRequestAnswer
	if err := w.get(ctx, httpjson.Request{URL: w.target.url.String()}, &a); err != nil {
		if errors.Is(err, errGone) {
			return nil, fmt.Errorf("the server knows no such payee: %w", err)
		}
		return nil, err
	}
	r, err := a.check(w.rules)
	if err != nil {
		return nil, fmt.Errorf("%w: pay request: %w", wallets.ErrBadAnswer, err)
	}
	r.at = w.now()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.request = r
	return r, nil
}

type payRequestAnswer struct {
	Tag            string   `json:"tag"`
	Callback       string   `json:"callback"`
	MinSendable    millisat `json:"minSendable"`
	MaxSendable    millisat `json:"maxSendable"`
	Metadata       string   `json:"metadata"`
	CommentAllowed any      `json:"commentAllowed"`
}

// check turns the answer into a payRequest. Errors quote nothing of it.
func (a *payRequestAnswer) check(r rules) (*payRequest, error) {
	if a.Tag != "payRequest" {
		return nil, errors.New("its tag is not payRequest, so this address is not for payments")
	}
	callback, err := r.parse(a.Callback)
	if err != nil {
		return nil, fmt.Errorf("callback: %w", err)
	}
	switch {
	case a.MinSendable < 1 || a.MinSendable > a.MaxSendable:
		return nil, errors.New("its limits contradict each other")
	case a.Metadata == "":
		return nil, errors.New("it has no metadata")
	}
	out := &payRequest{
		callback: callback.String(), min: uint64(a.MinSendable), max: uint64(a.MaxSendable),
		description: sha256.Sum256([]byte(a.Metadata)),
	}
	// Some servers say true or false here. What is no number allows no comment.
	if n, ok := a.CommentAllowed.(float64); ok && n >= 1 {
		out.comment = int(min(n, maxComment))
	}
	return out, nil
}

// permits tells whether the server makes invoices over an amount.
func (r *payRequest) permits(amount lnwire.MilliSatoshi) error {
	if uint64(amount) < r.min || uint64(amount) > r.max {
		return fmt.Errorf("%w: %d msat: the payee takes from %s to %s", wallets.ErrAmount,
			uint64(amount), sat(r.min), sat(r.max))
	}
	return nil
}

// cutComment shortens a comment to what the server takes.
func (r *payRequest) cutComment(text string) string {
	if runes := []rune(text); len(runes) > r.comment {
		return string(runes[:r.comment])
	}
	return text
}
