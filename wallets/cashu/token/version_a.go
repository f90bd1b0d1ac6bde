package token

import (
	"encoding/json"
	"fmt"
	"strings"
)

// tokenA is version A of NUT-00: JSON, of several mints.
type tokenA struct {
	Token []entryA `json:"token"`
	Unit  string   `json:"unit,omitempty"`
	Memo  string   `json:"memo,omitempty"`
}

type entryA struct {
	Mint   string  `json:"mint"`
	Proofs []Proof `json:"proofs"`
}

func parseA(b []byte) (*Token, error) {
	var raw tokenA
	if err := json.Unmarshal(b, &raw); err != nil {
		// The text of a JSON error may quote the token.
		return nil, fmt.Errorf("%w: its JSON is not as NUT-00 has it", ErrMalformed)
	}
	out := &Token{Unit: raw.Unit, Memo: raw.Memo}
	for i, e := range raw.Token {
		switch {
		case i == 0:
			out.Mint = e.Mint
		case !SameMint(out.Mint, e.Mint):
			return nil, ErrSeveralMints
		}
		if len(out.Proofs)+len(e.Proofs) > MaxProofs {
			return nil, fmt.Errorf("%w: more than %d proofs", ErrTooLarge, MaxProofs)
		}
		out.Proofs = append(out.Proofs, e.Proofs...)
	}
	return out, nil
}

func (t *Token) encodeA() ([]byte, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	return json.Marshal(tokenA{
		Token: []entryA{{Mint: strings.TrimRight(t.Mint, "/"), Proofs: t.Proofs}},
		Unit:  t.Unit, Memo: t.Memo,
	})
}
