package lnbits

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/restpeer"
)

// closedFor is for how long LNbits is taken at its word that it shows no preimages.
const closedFor = 10 * time.Minute

// checkClosed asks LNbits, as anybody could, for the preimage of an invoice that was just made, and
// refuses the invoice if it gets it. known says that LNbits knows the preimage. Where the question
// cannot be answered, the invoice is refused as well.
//
// It asks once for each kind of invoice, and again after ten minutes, because an update or another
// funding source may change the answer.
func (w *Wallet) checkClosed(ctx context.Context, hash lntypes.Hash, known bool) error {
	if w.private.Load() {
		return nil
	}
	now := w.peer.Now()
	w.mu.Lock()
	until := w.closed[known]
	w.mu.Unlock()
	if now.Before(until) {
		return nil
	}
	answer, err := w.peer.Anonymous(ctx, "api/v1/payments/"+hash.String())
	if err != nil {
		return fmt.Errorf("asking whether it shows preimages: %w", err)
	}
	shown, err := showsPreimage(answer.Status, answer.Body, hash)
	switch {
	case err != nil:
		return fmt.Errorf("asking whether it shows preimages: %w", err)
	case shown:
		return fmt.Errorf("%w: %w", wallets.ErrUnavailable, ErrPreimageShown)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed[known] = now.Add(closedFor)
	return nil
}

// showsPreimage reads the answer to someone without a key.
func showsPreimage(status int, body []byte, hash lntypes.Hash) (bool, error) {
	switch {
	case status == http.StatusOK:
	case status >= 400 && status < 500 && status != http.StatusTooManyRequests && status != http.StatusRequestTimeout:
		// Refused, or hidden.
		return false, nil
	default:
		return false, fmt.Errorf("%w: status %d", wallets.ErrUnavailable, status)
	}
	var out struct {
		Preimage string `json:"preimage"`
		Details  struct {
			Preimage string `json:"preimage"`
		} `json:"details"`
	}
	if json.Unmarshal(body, &out) != nil {
		return false, fmt.Errorf("%w: not JSON", wallets.ErrBadAnswer)
	}
	return restpeer.Proof(out.Preimage, hash) != nil || restpeer.Proof(out.Details.Preimage, hash) != nil, nil
}
