package ledger

import "errors"

// The errors that callers tell apart with errors.Is. The gate's usual answer stands behind each.
var (
	// ErrExhausted says that the payment's uses or bytes are spent for good: a new payment is
	// needed (402).
	ErrExhausted = errors.New("the payment's uses are spent")
	// ErrInUse says that all that is left is held by requests under way, which may yet give it
	// back (409 or 429).
	ErrInUse = errors.New("the payment's last uses are held by requests under way")
	// ErrElsewhere says that what is left is held by another instance, which was asked to give
	// it back, or that did not end properly and is being found dead (503 with Retry-After).
	ErrElsewhere = errors.New("the payment's last uses are held by another instance")
	// ErrRepeatedRequest says that a request with the same idempotency key is under way (409).
	ErrRepeatedRequest = errors.New("a request with this idempotency key is under way")
	// ErrUnavailable says that the storage cannot keep uses at present: metered tokens fail
	// closed (503).
	ErrUnavailable = errors.New("the ledger's storage is unavailable")
	// ErrFenced says that this instance could not show for too long that it lives, so another
	// may have taken its uses over (503).
	ErrFenced = errors.New("this instance lost its hold on the payment's uses")
	// ErrBusy says that several instances claimed at the same moment, again and again (503).
	ErrBusy = errors.New("too many instances claim this payment's uses at once")
	// ErrBacklog says that the storage is so far behind that the buffer is full (503).
	ErrBacklog = errors.New("the ledger's buffer is full")
	// ErrClosed says that the ledger was closed.
	ErrClosed = errors.New("the ledger is closed")
	// ErrTooLarge says that a value is longer than the ledger keeps.
	ErrTooLarge = errors.New("value too large for the ledger")
	// ErrInvalid says that an argument makes no sense; its text names it.
	ErrInvalid = errors.New("invalid argument")
	// ErrNotFound says that there is no such value.
	ErrNotFound = errors.New("not in the ledger")
	// ErrCorrupt says that stored bytes are damaged; its text names the object.
	ErrCorrupt = errors.New("damaged ledger object")
	// errForeignKey is the answer to every attempt to touch a key that is not the ledger's own.
	errForeignKey = errors.New("not a key of the ledger")
)
