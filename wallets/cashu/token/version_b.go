package token

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/fxamacker/cbor/v2"

	"github.com/caddy-l402/caddy-l402/wallets/cashu/ecash"
)

// tokenB is version B of NUT-00: CBOR, of one mint, proofs grouped by keyset. The order of the
// fields is the one of the published vectors.
type tokenB struct {
	Groups []groupB `cbor:"t"`
	Memo   string   `cbor:"d,omitempty"`
	Mint   string   `cbor:"m"`
	Unit   string   `cbor:"u"`
}

type groupB struct {
	ID     []byte   `cbor:"i"`
	Proofs []proofB `cbor:"p"`
}

type proofB struct {
	Amount  uint64 `cbor:"a"`
	Secret  string `cbor:"s"`
	C       []byte `cbor:"c"`
	DLEQ    *dleqB `cbor:"d,omitempty"`
	Witness string `cbor:"w,omitempty"`
}

type dleqB struct {
	E []byte `cbor:"e"`
	S []byte `cbor:"s"`
	R []byte `cbor:"r"`
}

// decoder is strict where CBOR is ambiguous. Unknown fields are ignored, as NUT-00 asks.
var decoder = func() cbor.DecMode {
	mode, err := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		FieldNameMatching: cbor.FieldNameMatchingCaseSensitive,
		MaxNestedLevels:   16,
		MaxArrayElements:  MaxProofs,
		MaxMapPairs:       64,
	}.DecMode()
	if err != nil {
		panic("token: " + err.Error()) // the options are constants
	}
	return mode
}()

func parseB(b []byte) (*Token, error) {
	var raw tokenB
	if err := decoder.Unmarshal(b, &raw); err != nil {
		return nil, fmt.Errorf("%w: its CBOR is not as NUT-00 has it", ErrMalformed)
	}
	out := &Token{Mint: raw.Mint, Unit: raw.Unit, Memo: raw.Memo}
	if raw.Unit == "" {
		return nil, fmt.Errorf("%w: it names no unit", ErrMalformed)
	}
	for _, g := range raw.Groups {
		id, err := ecash.ParseKeysetID(hex.EncodeToString(g.ID))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		if len(out.Proofs)+len(g.Proofs) > MaxProofs {
			return nil, fmt.Errorf("%w: more than %d proofs", ErrTooLarge, MaxProofs)
		}
		for _, p := range g.Proofs {
			proof, err := p.proof(id)
			if err != nil {
				return nil, err
			}
			out.Proofs = append(out.Proofs, proof)
		}
	}
	return out, nil
}

func (p proofB) proof(id ecash.KeysetID) (Proof, error) {
	c, err := ecash.ParsePublicKey(p.C)
	if err != nil {
		return Proof{}, fmt.Errorf("%w: C: %w", ErrMalformed, err)
	}
	out := Proof{Amount: p.Amount, KeysetID: id, Secret: p.Secret, C: c, Witness: p.Witness}
	if d := p.DLEQ; d != nil && len(d.R) > 0 {
		if out.DLEQ, err = newDLEQ(d.E, d.S, d.R); err != nil {
			return Proof{}, err
		}
	}
	return out, nil
}

func (t *Token) encodeB() ([]byte, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	if t.Unit == "" {
		return nil, fmt.Errorf("%w: it names no unit", ErrMalformed)
	}
	out := tokenB{Memo: t.Memo, Mint: strings.TrimRight(t.Mint, "/"), Unit: t.Unit}
	at := make(map[ecash.KeysetID]int)
	for _, p := range t.Proofs {
		id := p.KeysetID
		i, ok := at[id]
		if !ok {
			raw, err := id.Bytes()
			if err != nil {
				return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
			}
			i = len(out.Groups)
			at[id] = i
			out.Groups = append(out.Groups, groupB{ID: raw})
		}
		b := proofB{Amount: p.Amount, Secret: p.Secret, C: p.C.SerializeCompressed(), Witness: p.Witness}
		if d := p.DLEQ; d != nil && d.R != nil {
			b.DLEQ = &dleqB{E: d.E[:], S: d.S[:], R: d.R.Serialize()}
		}
		out.Groups[i].Proofs = append(out.Groups[i].Proofs, b)
	}
	b, err := cbor.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("writing a token: %w", err)
	}
	return b, nil
}
