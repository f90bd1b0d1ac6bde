package purses

import (
	"errors"
	"fmt"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// The errors of this package, besides those of package purse.
var (
	// ErrNotReady says that the storage does not work yet, or that it is not clear yet which
	// seat is free. It comes with wallets.ErrUnavailable: asking again helps.
	ErrNotReady = fmt.Errorf("%w: the purses are not open yet", wallets.ErrUnavailable)
	// ErrFull says that there are too many purses or too many processes.
	ErrFull = errors.New("too many purses")

	errLapsed = errors.New("this process could not show that it lives, and its seat may be taken")
	errNoBook = errors.New("the ledger is not open")
)
