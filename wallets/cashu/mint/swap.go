package mint

import (
	"context"
	"encoding/hex"
	"fmt"

	"github.com/caddy-l402/caddy-l402/wallets/cashu/ecash"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

// maxBatch is how many outputs or points go into one request for states or restoring. NUT-13
// recommends it.
const maxBatch = 100

// prepare blinds outputs and has the keys at hand that their signatures are checked with, so that
// nothing is spent for signatures that cannot be read.
func (c *Client) prepare(ctx context.Context, outputs []Output) ([]token.Blinded, map[ecash.KeysetID]Keyset, error) {
	keysets := make(map[ecash.KeysetID]Keyset)
	for _, o := range outputs {
		if _, ok := keysets[o.KeysetID]; ok {
			continue
		}
		k, err := c.Keyset(ctx, o.KeysetID)
		if err != nil {
			return nil, nil, err
		}
		keysets[o.KeysetID] = k
	}
	for _, o := range outputs {
		if o.Amount != 0 && keysets[o.KeysetID].Keys[o.Amount] == nil {
			return nil, nil, fmt.Errorf("%w: keyset %s has no key for %d", token.ErrAmount, o.KeysetID, o.Amount)
		}
	}
	blinded, err := Blind(outputs)
	return blinded, keysets, err
}

// proofs checks and unblinds the signatures on the first outputs: on all of them, unless fewer are
// allowed.
func (c *Client) proofs(outputs []Output, blinded []token.Blinded, keysets map[ecash.KeysetID]Keyset, signatures []signatureJSON, fewer bool) ([]token.Proof, error) {
	if len(signatures) > len(outputs) || !fewer && len(signatures) != len(outputs) {
		return nil, cheated("%d signatures on %d outputs", len(signatures), len(outputs))
	}
	out := make([]token.Proof, len(signatures))
	for i, s := range signatures {
		var err error
		if out[i], err = c.proof(outputs[i], blinded[i], s, keysets[outputs[i].KeysetID]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Swap spends inputs for outputs (NUT-03). The outputs must be worth the inputs less their Fee.
// Inputs carry the witnesses that their locks need; their DLEQ proofs are kept from the mint. The
// proofs are in the order of the outputs. The outputs must be in storage before the call: after
// an error other than NotSent the mint may have signed, which Restore tells.
func (c *Client) Swap(ctx context.Context, inputs []token.Proof, outputs []Output) ([]token.Proof, error) {
	blinded, keysets, err := c.prepare(ctx, outputs)
	if err != nil {
		return nil, fmt.Errorf("swapping at %s: %w", c.url, err)
	}
	var answer struct {
		Signatures []signatureJSON `json:"signatures"`
	}
	in := struct {
		Inputs  []token.Proof   `json:"inputs"`
		Outputs []token.Blinded `json:"outputs"`
	}{forMint(inputs), blinded}
	if err := c.post(ctx, "v1/swap", in, &answer); err != nil {
		return nil, fmt.Errorf("swapping at %s: %w", c.url, err)
	}
	out, err := c.proofs(outputs, blinded, keysets, answer.Signatures, false)
	if err != nil {
		return nil, fmt.Errorf("swapping at %s: %w", c.url, err)
	}
	return out, nil
}

func forMint(proofs []token.Proof) []token.Proof {
	out := make([]token.Proof, len(proofs))
	for i, p := range proofs {
		out[i] = p.ForMint()
	}
	return out
}

// Restore asks which outputs the mint has signed (NUT-09). The proofs are in the order of the
// outputs, nil where the mint has not signed. Errors wrap ErrUnsupported where the mint cannot say.
func (c *Client) Restore(ctx context.Context, outputs []Output) ([]*token.Proof, error) {
	blinded, keysets, err := c.prepare(ctx, outputs)
	if err != nil {
		return nil, fmt.Errorf("restoring at %s: %w", c.url, err)
	}
	out := make([]*token.Proof, len(outputs))
	for from := 0; from < len(outputs); from += maxBatch {
		to := min(from+maxBatch, len(outputs))
		if err := c.restore(ctx, outputs[from:to], blinded[from:to], keysets, out[from:to]); err != nil {
			return nil, fmt.Errorf("restoring at %s: %w", c.url, err)
		}
	}
	return out, nil
}

func (c *Client) restore(ctx context.Context, outputs []Output, blinded []token.Blinded, keysets map[ecash.KeysetID]Keyset, out []*token.Proof) error {
	at := make(map[string]int, len(blinded))
	for i, b := range blinded {
		at[b.Hex()] = i
	}
	in := struct {
		Outputs []token.Blinded `json:"outputs"`
	}{blinded}
	var answer struct {
		Outputs []struct {
			B string `json:"B_"`
		} `json:"outputs"`
		Signatures []signatureJSON `json:"signatures"`
		Promises   []signatureJSON `json:"promises"` // the name of old
	}
	if err := c.post(ctx, "v1/restore", in, &answer); err != nil {
		return err
	}
	if len(answer.Signatures) == 0 {
		answer.Signatures = answer.Promises
	}
	if len(answer.Outputs) != len(answer.Signatures) {
		return cheated("%d signatures on %d outputs", len(answer.Signatures), len(answer.Outputs))
	}
	for i, s := range answer.Signatures {
		n, ok := at[answer.Outputs[i].B]
		if !ok || out[n] != nil {
			return cheated("an output that was not asked for, or one twice")
		}
		p, err := c.proof(outputs[n], blinded[n], s, keysets[outputs[n].KeysetID])
		if err != nil {
			return err
		}
		out[n] = &p
	}
	return nil
}

// State is what a mint says of a proof (NUT-07).
type State string

// The states of proofs.
const (
	// StateUnspent says that the proof can be spent.
	StateUnspent State = "UNSPENT"
	// StatePending says that it is part of a payment in flight.
	StatePending State = "PENDING"
	// StateSpent says that it is spent.
	StateSpent State = "SPENT"
)

// CheckState asks for the states of proofs (NUT-07), in the order of the proofs.
func (c *Client) CheckState(ctx context.Context, proofs []token.Proof) ([]State, error) {
	out := make([]State, 0, len(proofs))
	for from := 0; from < len(proofs); from += maxBatch {
		states, err := c.checkState(ctx, proofs[from:min(from+maxBatch, len(proofs))])
		if err != nil {
			return nil, fmt.Errorf("checking states at %s: %w", c.url, err)
		}
		out = append(out, states...)
	}
	return out, nil
}

func (c *Client) checkState(ctx context.Context, proofs []token.Proof) ([]State, error) {
	in := struct {
		Ys []string `json:"Ys"`
	}{make([]string, len(proofs))}
	for i, p := range proofs {
		y, err := p.Y()
		if err != nil {
			return nil, err
		}
		in.Ys[i] = hex.EncodeToString(y[:])
	}
	var answer struct {
		States []struct {
			Y     string `json:"Y"`
			State State  `json:"state"`
		} `json:"states"`
	}
	if err := c.post(ctx, "v1/checkstate", in, &answer); err != nil {
		return nil, err
	}
	if len(answer.States) != len(proofs) {
		return nil, cheated("%d states of %d proofs", len(answer.States), len(proofs))
	}
	out := make([]State, len(proofs))
	for i, s := range answer.States {
		if s.Y != in.Ys[i] {
			return nil, cheated("states of other proofs")
		}
		switch s.State {
		case StateUnspent, StatePending, StateSpent:
			out[i] = s.State
		default:
			return nil, cheated("an unknown state")
		}
	}
	return out, nil
}
