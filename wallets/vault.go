package wallets

import "context"

// Durable is a value that a Vault keeps.
type Durable struct {
	// ID names the value within its kind.
	ID string
	// Value is what was stored.
	Value []byte
}

// Vault is an Env that also keeps what is worth money, for wallets that hold money themselves, such
// as ecash. It is safe for concurrent use, also by several processes on one storage.
type Vault interface {
	Env

	// PutDurable stores a value in place of an older one and returns when a crash cannot take
	// it back. After an error the old or the new value is there. A kind is of up to 32
	// lower-case letters and digits and shared by all wallets of the storage, an id of up to 80
	// characters, a value of up to 1 MiB.
	PutDurable(ctx context.Context, kind, id string, value []byte) error
	// GetDurable reads a value. It returns an error that wraps fs.ErrNotExist where there is
	// none.
	GetDurable(ctx context.Context, kind, id string) ([]byte, error)
	// ListDurable reads all values of a kind.
	ListDurable(ctx context.Context, kind string) ([]Durable, error)
	// DeleteDurable deletes a value; one that is not there is no error.
	DeleteDurable(ctx context.Context, kind, id string) error
	// Lock excludes other processes on the same storage until unlock is called.
	Lock(ctx context.Context, name string) (unlock func(), err error)
	// Instance tells this server apart from others on the same storage. It is the same after
	// a restart, and empty where there is only one.
	Instance() string
}
