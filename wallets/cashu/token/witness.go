package token

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/btcsuite/btcd/btcec/v2/schnorr"

	"github.com/caddy-l402/caddy-l402/wallets/cashu/ecash"
)

// witness is the witness of NUT-11 and NUT-14.
type witness struct {
	Preimage   string   `json:"preimage,omitempty"`
	Signatures []string `json:"signatures,omitempty"`
}

// witnessOf reads a witness; one that is malformed shows nothing.
func witnessOf(text string) witness {
	var w witness
	if json.Unmarshal([]byte(text), &w) != nil {
		return witness{}
	}
	return w
}

func (w witness) opens(hash [32]byte) bool {
	preimage, err := hex.DecodeString(w.Preimage)
	if err != nil || len(preimage) != sha256.Size {
		return false
	}
	sum := sha256.Sum256(preimage)
	return subtle.ConstantTimeCompare(sum[:], hash[:]) == 1
}

// Transaction is what SIG_ALL signs: the inputs and outputs of a swap or melt.
type Transaction struct {
	// Inputs are what is spent.
	Inputs []Proof
	// Outputs are what shall be signed.
	Outputs []Blinded
	// Quote is the melt's quote; it is empty for a swap.
	Quote string
}

// message is what SIG_ALL signs: the secrets and signatures of the inputs, then amounts and points
// of the outputs, then the quote.
func (t Transaction) message() string {
	var b strings.Builder
	for _, p := range t.Inputs {
		b.WriteString(p.Secret)
		b.WriteString(hex.EncodeToString(p.C.SerializeCompressed()))
	}
	for _, o := range t.Outputs {
		b.WriteString(strconv.FormatUint(o.Amount, 10))
		b.WriteString(o.Hex())
	}
	b.WriteString(t.Quote)
	return b.String()
}

// Sign gives the inputs as they go to the mint: with signatures of those of our keys that their
// locks name (NUT-11), with whatever witness they came with, and without DLEQ. Proofs that need
// nothing stay as they are. Errors wrap ErrLock, or ErrNotOurs where our keys are not enough.
func (t Transaction) Sign(keys []*ecash.PrivateKey, now time.Time) ([]Proof, error) {
	// Computed once, and not for plain ecash: strangers choose how much of what there is.
	ring := sync.OnceValue(func() *ring { return newRing(keys) })
	out := make([]Proof, len(t.Inputs))
	var all bool
	for i, p := range t.Inputs {
		out[i] = p.ForMint()
		c, err := ParseCondition(p.Secret)
		if err == nil && c == nil {
			continue
		}
		v, err := examine(p, ring().mine, now)
		switch {
		case err != nil:
			return nil, fmt.Errorf("signing input %d: %w", i, err)
		case !v.Ours:
			return nil, fmt.Errorf("signing input %d: %w", i, ErrNotOurs)
		case v.SigAll:
			all = true
		case v.Locked:
			if out[i].Witness, err = ring().addSignatures(p, p.Secret); err != nil {
				return nil, fmt.Errorf("signing input %d: %w", i, err)
			}
		}
	}
	if !all {
		return out, nil
	}
	if err := sameLocks(t.Inputs); err != nil {
		return nil, fmt.Errorf("signing inputs: %w", err)
	}
	var err error
	if out[0].Witness, err = ring().addSignatures(t.Inputs[0], t.message()); err != nil {
		return nil, fmt.Errorf("signing inputs: %w", err)
	}
	return out, nil
}

// ring are our keys, which locks name by their x coordinate.
type ring struct {
	mine    map[[32]byte]bool
	private map[[32]byte]*ecash.PrivateKey
}

func newRing(keys []*ecash.PrivateKey) *ring {
	r := &ring{mine: make(map[[32]byte]bool, len(keys)), private: make(map[[32]byte]*ecash.PrivateKey, len(keys))}
	for _, k := range keys {
		x := xOnly(k.PubKey())
		r.mine[x], r.private[x] = true, k
	}
	return r
}

// addSignatures adds a signature of each of our keys that the lock names.
func (r *ring) addSignatures(p Proof, message string) (string, error) {
	c, err := ParseCondition(p.Secret)
	if err != nil {
		return "", err
	}
	l, err := c.Lock()
	if err != nil {
		return "", err
	}
	w := witnessOf(p.Witness)
	hash := sha256.Sum256([]byte(message))
	signed := make(map[[32]byte]bool)
	for _, named := range slices.Concat(l.Keys, l.RefundKeys) {
		k := r.private[xOnly(named)]
		if k == nil || signed[xOnly(named)] {
			continue
		}
		signed[xOnly(named)] = true
		sig, err := schnorr.Sign(k, hash[:])
		if err != nil {
			return "", fmt.Errorf("signing: %w", err)
		}
		w.Signatures = append(w.Signatures, hex.EncodeToString(sig.Serialize()))
	}
	b, err := json.Marshal(w)
	return string(b), err
}

// sameLocks checks what SIG_ALL demands: all inputs of one kind, data and tags.
func sameLocks(inputs []Proof) error {
	var first string
	for i, p := range inputs {
		c, err := ParseCondition(p.Secret)
		if err != nil {
			return err
		}
		if c == nil {
			return fmt.Errorf("%w: SIG_ALL beside an input without lock", ErrLock)
		}
		key, err := (&Condition{Kind: c.Kind, Data: c.Data, Tags: c.Tags}).Secret()
		if err != nil {
			return err
		}
		switch {
		case i == 0:
			first = key
		case key != first:
			return fmt.Errorf("%w: SIG_ALL beside an input with another lock", ErrLock)
		}
	}
	return nil
}

// Satisfied checks as a mint does that each input may be spent, given the mint's time. Errors wrap
// ErrLock or ErrWitness.
func (t Transaction) Satisfied(now time.Time) error {
	locks := make([]*Lock, len(t.Inputs))
	var all bool
	for i, p := range t.Inputs {
		c, err := ParseCondition(p.Secret)
		if err != nil {
			return err
		}
		if c == nil {
			continue
		}
		if locks[i], err = c.Lock(); err != nil {
			return err
		}
		all = all || locks[i].SigAll
	}
	if all {
		if err := sameLocks(t.Inputs); err != nil {
			return err
		}
		return locks[0].satisfied(t.Inputs[0].Witness, t.message(), now)
	}
	for i, l := range locks {
		if l == nil {
			continue
		}
		if err := l.satisfied(t.Inputs[i].Witness, t.Inputs[i].Secret, now); err != nil {
			return fmt.Errorf("input %d: %w", i, err)
		}
	}
	return nil
}

func (l *Lock) satisfied(text, message string, now time.Time) error {
	w := witnessOf(text)
	hash := sha256.Sum256([]byte(message))
	if (l.Kind != KindHTLC || w.opens(l.Hash)) && signers(l.Keys, w, hash[:]) >= l.Sigs {
		return nil
	}
	if !l.Locktime.IsZero() && !now.Before(l.Locktime) {
		if len(l.RefundKeys) == 0 || signers(l.RefundKeys, w, hash[:]) >= l.RefundSigs {
			return nil
		}
	}
	return ErrWitness
}

// signers counts keys, not signatures: one key can make any number of those.
func signers(keys []*ecash.PublicKey, w witness, hash []byte) int {
	n := 0
	for _, k := range keys {
		x := xOnly(k)
		key, err := schnorr.ParsePubKey(x[:])
		if err != nil {
			continue
		}
		for _, text := range w.Signatures {
			raw, err := hex.DecodeString(text)
			if err != nil {
				continue
			}
			sig, err := schnorr.ParseSignature(raw)
			if err == nil && sig.Verify(hash, key) {
				n++
				break
			}
		}
	}
	return n
}
