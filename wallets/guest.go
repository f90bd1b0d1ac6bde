package wallets

import (
	"context"

	"go.uber.org/zap"
)

// Guest is a wallet as it stands in the configuration: a Caddy module in the namespace
// l402.wallets. It holds settings and no connection.
type Guest interface {
	// Identity names the resource that the wallet uses, such as node address and credential.
	// Guests of equal identity share one Wallet, also across reloads. It may hold secrets: it
	// is hashed before it is kept. It is called after Provision.
	Identity() string

	// Open makes the Wallet. It checks settings and returns an error that names the setting
	// and the cure, but it neither dials nor writes nor starts a goroutine: those wait for
	// the first call. A Wallet that holds connections is an io.Closer.
	Open(env Env) (Wallet, error)

	// Network is the chain that the wallet's invoices must be for.
	Network() Network
}

// Reconfigurer is a Wallet that takes over changed settings (time-outs, limits) when a reload
// finds it already open under the same identity.
type Reconfigurer interface {
	// Reconfigure gets the Guest of the new configuration, of the type that opened the wallet.
	Reconfigure(g Guest)
}

// Env is what the host gives to a Wallet. Its answers change with each reload, so a Wallet asks
// again each time and keeps none of them. It is safe for concurrent use.
type Env interface {
	// Logger is the current logger, named for the wallet.
	Logger() *zap.Logger
	// Load reads a value that Store wrote, by this or an earlier process. It returns an error
	// that wraps fs.ErrNotExist where there is none.
	Load(ctx context.Context, name string) ([]byte, error)
	// Store keeps a small value under a name that is the wallet's own: lower-case letters,
	// digits, '-', '_' and '.'. Storage may be slow and shared by several instances.
	Store(ctx context.Context, name string, value []byte) error
}

// Templated is a Guest whose settings may hold placeholders that only a request can fill in, such
// as {http.vars.tenant} in a Lightning address: one configured wallet that stands for many payees.
type Templated interface {
	Guest

	// IsTemplate tells whether there are such placeholders. The Guest is then never opened
	// itself.
	IsTemplate() bool

	// Fill returns the Guest for one request. The function replace puts the request's values
	// into a text and returns an error where one is missing or empty; Fill passes that error
	// on. The values are a client's words: Fill checks them as strictly as settings.
	Fill(replace func(text string) (string, error)) (Guest, error)
}

// Named is a Guest that knows who is paid, apart from how he is reached. Where requests choose the
// payee, tokens are bound to that name, and so they outlive changes of the settings that Identity
// tells apart.
type Named interface {
	Guest

	// PayeeName is the same for two Guests of a network only where they pay the same payee. It
	// may hold secrets: it is hashed before it goes anywhere. It is called after Provision.
	PayeeName() string
}

// Composite is a Guest that stands for other wallets of the same configuration, such as one that
// takes whichever of them works. Its host calls Members and Bind, in this order, after Provision
// and before anything else.
type Composite interface {
	Guest

	// Members names the wallets, in order.
	Members() []string

	// Bind gives the Guest what Members named, in the same order. It returns an error that
	// says what to change where they do not fit together. Identity, Network and Open build on
	// it: Identity tells apart Guests with other members.
	Bind(members []Member) error
}

// Member is a wallet that a Composite stands for, as its host deals with it.
type Member struct {
	// Name is the wallet's name in the configuration.
	Name string
	// ID names the resource that the wallet uses. Wallets of one ID are one, and it holds no
	// secret.
	ID string
	// Network is the chain that its invoices are for.
	Network Network
	// Wallet makes calls through the host: bounded in number and time, refused at once while
	// the wallet is left alone after failures, and with the invoices checked. It is a
	// Subscriber where the wallet is one; then it takes no cursor and tells what the host
	// hears from now on.
	Wallet Wallet
	// Healthy tells whether the wallet is not being left alone after failures.
	Healthy func() bool
}
