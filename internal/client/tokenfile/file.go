package tokenfile

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/gofrs/flock"
	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/caddy-l402/caddy-l402/internal/private"
)

const (
	// maxSize bounds the file; a token takes some 1,500 bytes.
	maxSize = 16 << 20
	// lockPoll is how often a lock is tried that another process holds.
	lockPoll = 50 * time.Millisecond
	// version is the file format's.
	version = 1
)

// ErrFile is wrapped by every error of this package.
var ErrFile = errors.New("token file")

// File is a token file, which need not exist yet. It is safe for concurrent use, also by several
// processes.
type File struct {
	path string
	now  func() time.Time
}

// contents is what stands in the file.
type contents struct {
	Version int     `json:"version"`
	Tokens  []Token `json:"tokens"`
}

// New names a token file. If path is a symbolic link, the file that it points to is the one that is
// replaced.
func New(path string) *File {
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		path = resolved
	}
	return &File{path: path, now: time.Now}
}

func (f *File) fail(step string, err error) error {
	return fmt.Errorf("%s %w %s: %w", step, ErrFile, f.path, err)
}

// Load reads the tokens. A file that does not exist has none. A file that cannot be understood is an
// error, and it stays as it is: there is money in it.
func (f *File) Load() ([]Token, error) {
	tokens, err := f.load()
	if err != nil {
		return nil, f.fail("reading", err)
	}
	return tokens, nil
}

func (f *File) load() ([]Token, error) {
	data, err := private.Read(f.path, maxSize)
	switch {
	case errors.Is(err, private.ErrTooLarge):
		return nil, fmt.Errorf("%w: begin another one", err)
	case err != nil:
		return nil, err
	case data == nil:
		return nil, nil
	}
	return parse(data)
}

// parse reads the contents of a file. An empty one, as touch or mktemp make it, holds no tokens.
func parse(data []byte) ([]Token, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, nil
	}
	const cure = "move it away or name another one"
	var c contents
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("it is not one that was written by this program; %s", cure)
	}
	if c.Version != version {
		return nil, fmt.Errorf("its version is %d, and this program reads version %d; %s", c.Version, version, cure)
	}
	for i, t := range c.Tokens {
		hash, err := lntypes.MakeHashFromStr(t.PaymentHash)
		if err != nil || t.Origin == "" || (len(t.Macaroon) == 0) == (t.Payment == nil) {
			return nil, fmt.Errorf("its token %d is damaged; remove that or %s", i+1, cure)
		}
		if t.Preimage == "" {
			continue
		}
		if preimage, err := lntypes.MakePreimageFromStr(t.Preimage); err != nil || !preimage.Matches(hash) {
			return nil, fmt.Errorf("the preimage of its token %d is damaged; remove that token or %s", i+1, cure)
		}
	}
	return c.Tokens, nil
}

// Update changes the tokens under the lock.
func (f *File) Update(ctx context.Context, change func([]Token) []Token) error {
	locked, err := f.Lock(ctx)
	if err != nil {
		return err
	}
	defer locked.Unlock()
	return locked.write(change(locked.tokens))
}

// Lock waits for other writers, in this process or another one, until ctx ends. While it is held
// readers go on to read.
func (f *File) Lock(ctx context.Context) (*Locked, error) {
	lock := flock.New(f.path+".lock", flock.SetPermissions(0o600))
	ok, err := lock.TryLockContext(ctx, lockPoll)
	if err != nil {
		return nil, f.fail("locking", private.Bare(err))
	}
	if !ok {
		return nil, f.fail("locking", errors.New("another process holds it"))
	}
	l := &Locked{file: f, lock: lock}
	if l.tokens, err = f.Load(); err != nil {
		l.Unlock()
		return nil, err
	}
	return l, nil
}

// Locked is a token file that no other writer changes. It is not safe for concurrent use.
type Locked struct {
	file   *File
	lock   *flock.Flock
	tokens []Token
}

// Tokens gives the entries. They are not to be changed.
func (l *Locked) Tokens() []Token { return l.tokens }

// Unlock lets other writers in. The second call does nothing.
func (l *Locked) Unlock() { _ = l.lock.Close() }

// Put writes an entry in the place of the one with its payment hash. A paid entry also replaces
// those that sold the same before, and expired ones leave.
func (l *Locked) Put(t Token) error {
	now := l.file.now()
	kept := slices.DeleteFunc(slices.Clone(l.tokens), func(other Token) bool {
		replaced := t.Preimage != "" && other.Preimage != "" && other.Origin == t.Origin && other.Opens == t.Opens
		return other.PaymentHash == t.PaymentHash || replaced || other.Preimage != "" && other.Expired(now)
	})
	return l.write(append(kept, t))
}

// Drop removes the entry with this payment hash, if there is one.
func (l *Locked) Drop(paymentHash string) error {
	return l.write(slices.DeleteFunc(slices.Clone(l.tokens), func(t Token) bool { return t.PaymentHash == paymentHash }))
}

// write replaces the file by a complete new one.
func (l *Locked) write(tokens []Token) error {
	if err := l.file.replace(tokens); err != nil {
		return l.file.fail("writing", err)
	}
	l.tokens = tokens
	return nil
}

func (f *File) replace(tokens []Token) error {
	data, err := json.MarshalIndent(contents{Version: version, Tokens: tokens}, "", "\t")
	if err != nil {
		return err
	}
	return private.Bare(private.Replace(f.path, append(data, '\n')))
}
