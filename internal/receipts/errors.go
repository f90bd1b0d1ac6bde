package receipts

import "errors"

var (
	// ErrUnavailable says that no key can be read from storage or written to it.
	ErrUnavailable = errors.New("receipt keys are not available")
	// errDamaged says that an object is there and is no key.
	errDamaged = errors.New("malformed key object")
)
