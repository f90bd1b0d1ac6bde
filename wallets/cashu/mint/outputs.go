package mint

import (
	"encoding/hex"
	"fmt"

	"github.com/caddy-l402/caddy-l402/wallets/cashu/ecash"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

// Output is the private side of what the mint shall sign.
type Output struct {
	// Amount is the value. Zero makes a blank output, whose value the mint sets (NUT-08).
	Amount uint64
	// KeysetID is the keyset that shall sign.
	KeysetID ecash.KeysetID
	// Coin is the secret and its blinding factor.
	Coin ecash.Coin
}

// Blinded is what the mint sees of the output.
func (o Output) Blinded() (token.Blinded, error) {
	b, err := ecash.Blind(o.Coin.Secret, o.Coin.R)
	if err != nil {
		return token.Blinded{}, err
	}
	// NUT-08 leaves the amount of blank outputs open, but some mints refuse zero.
	return token.Blinded{Amount: max(1, o.Amount), KeysetID: o.KeysetID, B: b}, nil
}

// Blind is what the mint sees of outputs.
func Blind(outputs []Output) ([]token.Blinded, error) {
	out := make([]token.Blinded, len(outputs))
	for i, o := range outputs {
		var err error
		if out[i], err = o.Blinded(); err != nil {
			return nil, fmt.Errorf("blinding output %d: %w", i, err)
		}
	}
	return out, nil
}

type signatureJSON struct {
	Amount uint64 `json:"amount"`
	ID     string `json:"id"`
	C      string `json:"C_"`
	DLEQ   *struct {
		E string `json:"e"`
		S string `json:"s"`
	} `json:"dleq"`
}

// proof checks a signature against the output that it is for and unblinds it. Errors wrap
// ErrCheated.
func (c *Client) proof(o Output, b token.Blinded, s signatureJSON, k Keyset) (token.Proof, error) {
	switch {
	case s.ID != string(o.KeysetID):
		return token.Proof{}, cheated("a signature by keyset %.16q where %s was asked for", s.ID, o.KeysetID)
	case o.Amount != 0 && s.Amount != o.Amount:
		return token.Proof{}, cheated("a signature over %d where %d was asked for", s.Amount, o.Amount)
	}
	key := k.Keys[s.Amount]
	if key == nil {
		return token.Proof{}, cheated("a signature over %d, for which there is no key", s.Amount)
	}
	signature, err := ecash.ParsePublicKeyHex(s.C)
	if err != nil {
		return token.Proof{}, cheated("a signature: %v", err)
	}
	out := token.Proof{Amount: s.Amount, KeysetID: o.KeysetID, Secret: o.Coin.Secret}
	switch {
	case s.DLEQ != nil:
		e, err1 := hex.DecodeString(s.DLEQ.E)
		r, err2 := hex.DecodeString(s.DLEQ.S)
		if err1 != nil || err2 != nil || len(e) != 32 || len(r) != 32 {
			return token.Proof{}, cheated("a DLEQ that is malformed")
		}
		d := ecash.DLEQ{E: [32]byte(e), S: [32]byte(r)}
		if err := ecash.VerifyDLEQ(key, b.B, signature, d); err != nil {
			return token.Proof{}, cheated("a signature over %d: %v", s.Amount, err)
		}
		out.DLEQ = &token.ProofDLEQ{DLEQ: d, R: o.Coin.R}
	case c.cfg.RequireDLEQ:
		return token.Proof{}, cheated("a signature without DLEQ")
	}
	if out.C, err = ecash.Unblind(signature, o.Coin.R, key); err != nil {
		return token.Proof{}, cheated("a signature: %v", err)
	}
	return out, nil
}
