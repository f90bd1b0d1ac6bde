package token

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/bits"

	"github.com/caddy-l402/caddy-l402/wallets/cashu/ecash"
)

// Proof is one coin: a secret and the mint's signature on it (NUT-00). Its JSON is the one of the
// NUTs.
type Proof struct {
	// Amount is the value in the unit of the keyset.
	Amount uint64
	// KeysetID names the keys of the signature. In tokens it may be short; see Token.Resolve.
	KeysetID ecash.KeysetID
	// Secret is the secret, which may be a condition (NUT-10).
	Secret string
	// C is the signature, never nil in what this package parsed.
	C *ecash.PublicKey
	// DLEQ proves to the receiver that the mint signed (NUT-12). It may be nil.
	DLEQ *ProofDLEQ
	// Witness satisfies the condition, as JSON text. It may be empty.
	Witness string
}

// ProofDLEQ is a DLEQ with the blinding factor, from which the receiver can check it.
type ProofDLEQ struct {
	ecash.DLEQ
	// R is the blinding factor. The mint must not learn it.
	R *ecash.PrivateKey
}

// Y is the point by which the mint and replay checks know the proof.
func (p Proof) Y() ([33]byte, error) { return ecash.Y(p.Secret) }

// ForMint is the proof as the mint may see it: without the DLEQ, whose blinding factor would tell
// the mint which of its signatures this is.
func (p Proof) ForMint() Proof {
	p.DLEQ = nil
	return p
}

// VerifyDLEQ checks the proof's DLEQ against the mint's key for its amount. Errors wrap
// ecash.ErrDLEQ, also where there is none.
func (p Proof) VerifyDLEQ(key *ecash.PublicKey) error {
	if p.DLEQ == nil {
		return fmt.Errorf("%w: the proof has none", ecash.ErrDLEQ)
	}
	return ecash.VerifyProofDLEQ(key, p.Secret, p.C, p.DLEQ.DLEQ, p.DLEQ.R)
}

// Sum adds the amounts of proofs. Errors wrap ErrAmount.
func Sum(proofs []Proof) (uint64, error) {
	var total uint64
	for _, p := range proofs {
		next, carry := bits.Add64(total, p.Amount, 0)
		if carry != 0 {
			return 0, fmt.Errorf("%w: the sum is beyond 64 bits", ErrAmount)
		}
		total = next
	}
	return total, nil
}

// Check refuses proofs that are worth nothing, sums beyond 64 bits, empty secrets, and a secret that
// appears twice, under whichever keyset: for the mint it is one coin.
func Check(proofs []Proof) error {
	seen := make(map[string]struct{}, len(proofs))
	for i, p := range proofs {
		switch {
		case p.Amount == 0:
			return fmt.Errorf("%w: proof %d is worth nothing", ErrAmount, i)
		case p.Secret == "":
			return fmt.Errorf("%w: proof %d has no secret", ErrMalformed, i)
		case p.C == nil:
			return fmt.Errorf("%w: proof %d has no signature", ErrMalformed, i)
		}
		if _, ok := seen[p.Secret]; ok {
			return fmt.Errorf("%w: proof %d", ErrDuplicate, i)
		}
		seen[p.Secret] = struct{}{}
	}
	_, err := Sum(proofs)
	return err
}

type proofJSON struct {
	Amount  uint64    `json:"amount"`
	ID      string    `json:"id"`
	Secret  string    `json:"secret"`
	C       string    `json:"C"`
	DLEQ    *dleqJSON `json:"dleq,omitempty"`
	Witness string    `json:"witness,omitempty"`
}

type dleqJSON struct {
	E string `json:"e"`
	S string `json:"s"`
	R string `json:"r"`
}

// MarshalJSON writes the proof as NUT-00 and NUT-12 have it.
func (p Proof) MarshalJSON() ([]byte, error) {
	if p.C == nil {
		return nil, fmt.Errorf("%w: a proof without signature", ErrMalformed)
	}
	out := proofJSON{
		Amount: p.Amount, ID: string(p.KeysetID), Secret: p.Secret,
		C: hex.EncodeToString(p.C.SerializeCompressed()), Witness: p.Witness,
	}
	if p.DLEQ != nil && p.DLEQ.R != nil {
		out.DLEQ = &dleqJSON{
			E: hex.EncodeToString(p.DLEQ.E[:]), S: hex.EncodeToString(p.DLEQ.S[:]),
			R: hex.EncodeToString(p.DLEQ.R.Serialize()),
		}
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads the proof as NUT-00 and NUT-12 have it. A DLEQ without blinding factor, which
// says nothing to a receiver, is left out. Errors wrap ErrMalformed.
func (p *Proof) UnmarshalJSON(b []byte) error {
	var in proofJSON
	if err := json.Unmarshal(b, &in); err != nil {
		return fmt.Errorf("%w: a proof is not as NUT-00 has it", ErrMalformed)
	}
	id, err := ecash.ParseKeysetID(in.ID)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	c, err := ecash.ParsePublicKeyHex(in.C)
	if err != nil {
		return fmt.Errorf("%w: C: %w", ErrMalformed, err)
	}
	out := Proof{Amount: in.Amount, KeysetID: id, Secret: in.Secret, C: c, Witness: in.Witness}
	if d := in.DLEQ; d != nil && d.R != "" {
		e, err1 := hex.DecodeString(d.E)
		s, err2 := hex.DecodeString(d.S)
		r, err3 := hex.DecodeString(d.R)
		if err1 != nil || err2 != nil || err3 != nil {
			return fmt.Errorf("%w: the DLEQ is not hex", ErrMalformed)
		}
		if out.DLEQ, err = newDLEQ(e, s, r); err != nil {
			return err
		}
	}
	*p = out
	return nil
}

func newDLEQ(e, s, r []byte) (*ProofDLEQ, error) {
	if len(e) != 32 || len(s) != 32 {
		return nil, fmt.Errorf("%w: the DLEQ has not 32 bytes each", ErrMalformed)
	}
	key, err := ecash.ParsePrivateKey(r)
	if err != nil {
		return nil, fmt.Errorf("%w: the DLEQ's r: %w", ErrMalformed, err)
	}
	return &ProofDLEQ{DLEQ: ecash.DLEQ{E: [32]byte(e), S: [32]byte(s)}, R: key}, nil
}

// Blinded is an output as the mint sees it, the BlindedMessage of NUT-00.
type Blinded struct {
	// Amount is the value asked for.
	Amount uint64
	// KeysetID names the keyset that shall sign.
	KeysetID ecash.KeysetID
	// B is the blinded secret.
	B *ecash.PublicKey
}

type blindedJSON struct {
	Amount uint64 `json:"amount"`
	ID     string `json:"id"`
	B      string `json:"B_"`
}

// Hex is the blinded secret as it stands in requests and in what SIG_ALL signs.
func (b Blinded) Hex() string { return hex.EncodeToString(b.B.SerializeCompressed()) }

// MarshalJSON writes the output as NUT-00 has it.
func (b Blinded) MarshalJSON() ([]byte, error) {
	if b.B == nil {
		return nil, fmt.Errorf("%w: an output without point", ErrMalformed)
	}
	return json.Marshal(blindedJSON{Amount: b.Amount, ID: string(b.KeysetID), B: b.Hex()})
}

// UnmarshalJSON reads the output as NUT-00 has it. Errors wrap ErrMalformed.
func (b *Blinded) UnmarshalJSON(raw []byte) error {
	var in blindedJSON
	if err := json.Unmarshal(raw, &in); err != nil {
		return fmt.Errorf("%w: an output is not as NUT-00 has it", ErrMalformed)
	}
	id, err := ecash.ParseKeysetID(in.ID)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	point, err := ecash.ParsePublicKeyHex(in.B)
	if err != nil {
		return fmt.Errorf("%w: B_: %w", ErrMalformed, err)
	}
	*b = Blinded{Amount: in.Amount, KeysetID: id, B: point}
	return nil
}

var (
	_ json.Marshaler   = Proof{}
	_ json.Unmarshaler = (*Proof)(nil)
	_ json.Marshaler   = Blinded{}
	_ json.Unmarshaler = (*Blinded)(nil)
)
