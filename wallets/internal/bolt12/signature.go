package bolt12

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
)

// Signatures fill the types from 240 to 1000, which the Merkle tree leaves out.
const (
	// TypeSignature is the field that holds the signature.
	TypeSignature = 240

	firstSignature, lastSignature = 240, 1000
)

// Verify checks the BIP 340 signature in field 240 over the other fields. message is the
// stream's name in BOLT 12, "invoice" or "invoice_request"; node is the signer's compressed key.
func Verify(message string, records []Record, node []byte) error {
	key, err := btcec.ParsePubKey(node)
	if err != nil {
		return fmt.Errorf("reading the signer's key: %w", err)
	}
	b, ok := Find(records, TypeSignature)
	if !ok {
		return errors.New("no signature")
	}
	sig, err := schnorr.ParseSignature(b)
	if err != nil {
		return fmt.Errorf("reading the signature: %w", err)
	}
	root, err := merkleRoot(records)
	if err != nil {
		return err
	}
	if !sig.Verify(digest(message, root), key) {
		return errors.New("signature does not match")
	}
	return nil
}

// Sign returns the stream with its signature by key. Records of the signature range are replaced.
func Sign(message string, records []Record, key *btcec.PrivateKey) ([]byte, error) {
	unsigned, err := Parse(Serialize(records))
	if err != nil {
		return nil, err
	}
	unsigned = withoutSignatures(unsigned)
	root, err := merkleRoot(unsigned)
	if err != nil {
		return nil, err
	}
	sig, err := schnorr.Sign(key, digest(message, root))
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	return Serialize(append(unsigned, Record{Type: TypeSignature, Value: sig.Serialize()})), nil
}

func digest(message string, root *chainhash.Hash) []byte {
	return chainhash.TaggedHash([]byte("lightning"+message+"signature"), root[:])[:]
}

func withoutSignatures(records []Record) []Record {
	var out []Record
	for _, r := range records {
		if r.Type < firstSignature || r.Type > lastSignature {
			out = append(out, r)
		}
	}
	return out
}

// merkleRoot builds the tree of BOLT 12: each field is a pair of a leaf and a nonce, which keeps
// a proof about one field from revealing its neighbor.
func merkleRoot(records []Record) (*chainhash.Hash, error) {
	records = withoutSignatures(records)
	if len(records) == 0 {
		return nil, errors.New("nothing to sign")
	}
	nonceTag := append([]byte("LnNonce"), records[0].raw...)
	level := make([]*chainhash.Hash, len(records))
	for i, r := range records {
		leaf := chainhash.TaggedHash([]byte("LnLeaf"), r.raw)
		nonce := chainhash.TaggedHash(nonceTag, r.raw[:r.typeLen])
		level[i] = branch(leaf, nonce)
	}
	for len(level) > 1 {
		up := level[:0:0]
		for i := 0; i+1 < len(level); i += 2 {
			up = append(up, branch(level[i], level[i+1]))
		}
		if len(level)%2 == 1 {
			up = append(up, level[len(level)-1])
		}
		level = up
	}
	return level[0], nil
}

// branch joins two nodes in the order of their bytes, so that a proof needs no left and right.
func branch(a, b *chainhash.Hash) *chainhash.Hash {
	if bytes.Compare(a[:], b[:]) > 0 {
		a, b = b, a
	}
	return chainhash.TaggedHash([]byte("LnBranch"), a[:], b[:])
}
