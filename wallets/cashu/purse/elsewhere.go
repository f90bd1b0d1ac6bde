package purse

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

// ReceivedBy gives the receipt for a token that another process received, of that Instance and with the
// same seed and store. It asks no mint and changes nothing: what the other has begun is the other's to
// bring to its end. Errors are ErrNotFound where the other knows nothing of the token, ErrUnsettled
// where it has not ended, ErrDisputed where the mint cheated, and ErrStore.
func (p *Purse) ReceivedBy(ctx context.Context, instance string, t *token.Token) (*Receipt, error) {
	ys, err := points(t.Proofs)
	if err != nil {
		return nil, fmt.Errorf("looking for a receipt: %w", err)
	}
	id := receiptID(ys)
	kind := kindOf(opKinds, p.opts.Mint.URL(), p.opts.Unit, p.opts.Name, instance)
	b, err := p.opts.Store.GetDurable(ctx, kind, id)
	if errors.Is(err, ErrNotFound) {
		return nil, fmt.Errorf("looking for a receipt: %w", ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("looking for a receipt: %w: %w", ErrStore, err)
	}
	var rec record
	if err := json.Unmarshal(b, &rec); err != nil || rec.ID != id || rec.Kind != opReceive || rec.Keep > len(rec.Outputs) {
		return nil, fmt.Errorf("looking for a receipt: %w: its record is damaged", ErrStore)
	}
	switch {
	case rec.State == stateDisputed:
		return nil, fmt.Errorf("looking for a receipt: %w: %s", ErrDisputed, rec.Problem)
	case rec.State != stateDone && !rec.Owed:
		return nil, fmt.Errorf("looking for a receipt: %w: another process is at it", ErrUnsettled)
	}
	return p.receipt(&op{rec: rec}, true), nil
}
