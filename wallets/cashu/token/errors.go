package token

import "errors"

// The errors of this package.
var (
	// ErrMalformed says that a text is no token.
	ErrMalformed = errors.New("not a Cashu token")
	// ErrTooLarge says that a text is longer than MaxSize or that it holds more than MaxProofs
	// proofs.
	ErrTooLarge = errors.New("token too large")
	// ErrAmount says that a proof is worth nothing or that the sum is beyond 64 bits.
	ErrAmount = errors.New("amounts of the token are impossible")
	// ErrDuplicate says that a secret appears twice.
	ErrDuplicate = errors.New("token holds a proof twice")
	// ErrSeveralMints says that a token of version A holds proofs of several mints.
	ErrSeveralMints = errors.New("token of several mints")
	// ErrLock says that a lock is malformed, so that mints refuse the proof or disagree about
	// it.
	ErrLock = errors.New("malformed spending condition")
	// ErrNotOurs says that the keys at hand cannot spend a locked proof.
	ErrNotOurs = errors.New("locked to a key that is not ours")
	// ErrTakeBack says that someone else could spend the proof.
	ErrTakeBack = errors.New("the payer could take the payment back")
	// ErrNotLocked says that a proof has no lock where one is needed.
	ErrNotLocked = errors.New("not locked")
	// ErrWitness says that the witness does not satisfy the lock.
	ErrWitness = errors.New("witness does not satisfy the spending condition")
	// ErrRequest says that a text is no request for payment, or that a request cannot be
	// written.
	ErrRequest = errors.New("not a Cashu payment request")
	// ErrMintURL says that a text is not the address of a mint.
	ErrMintURL = errors.New("not the address of a mint")
)
