package ecash

import "errors"

// The errors of this package.
var (
	// ErrPoint says that bytes are not a point of the curve in compressed form.
	ErrPoint = errors.New("not a compressed point of secp256k1")
	// ErrScalar says that bytes are not a number from 1 to the order of the curve minus 1.
	ErrScalar = errors.New("not a scalar of secp256k1")
	// ErrDLEQ says that a proof of equal logarithms does not hold: the signature was not made
	// with the key that the mint published.
	ErrDLEQ = errors.New("DLEQ proof does not hold")
	// ErrKeyset says that a text is no keyset id of a known version.
	ErrKeyset = errors.New("not a keyset id")
	// ErrAmbiguous says that a short keyset id stands for more than one keyset.
	ErrAmbiguous = errors.New("short keyset id stands for several keysets")
	// ErrUnknownKeyset says that no known keyset has this id.
	ErrUnknownKeyset = errors.New("unknown keyset")
	// ErrSeed says that words are not a mnemonic of BIP 39.
	ErrSeed = errors.New("not a mnemonic of BIP 39")
	// ErrCounter says that a keyset has no more secrets for this seed, or that this one is
	// among those, of about one in 2^127, that give no valid key.
	ErrCounter = errors.New("counter gives no secret")
)
