package notify

import "errors"

// ErrTarget says that a target's settings make no sense; its text names the setting and the cure.
var ErrTarget = errors.New("bad target for notifications")

// errNoStore says that nothing can be kept.
var errNoStore = errors.New("the ledger is not open")
