package ledger

import (
	"fmt"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// Options says how a Ledger works. Only Storage is required; every other zero value means the
// default that its comment names.
type Options struct {
	// Storage holds everything. Instances that share it share uses, settlements and
	// revocations.
	Storage certmagic.Storage
	// Prefix is the folder in the storage, default "l402": lower-case letters, digits, '-' and
	// '_', with '/' between parts.
	Prefix string
	// Instance is a label of the server, such as Caddy's instance id. Several processes may
	// share it: a random part is added for each process.
	Instance string
	// Logger gets state changes: once when something fails and once when it is back. Default:
	// none.
	Logger *zap.Logger
	// Now is the clock. Default time.Now.
	Now func() time.Time

	// CommitEvery is the longest time that a record waits for company before it is written,
	// default and at most 20 ms. What it bounds is said in the package comment.
	CommitEvery time.Duration
	// OpTimeout is the deadline of one storage call, default 10 s.
	OpTimeout time.Duration
	// ReserveTimeout is how long Reserve and Commit wait for the storage, default 5 s.
	ReserveTimeout time.Duration
	// HandoverWait is how long Reserve waits for another instance to give uses back, default
	// 3 s. Negative means not at all.
	HandoverWait time.Duration
	// LockTimeout is how long a contended claim waits for the storage's lock before it goes on
	// without, default 3 s.
	LockTimeout time.Duration
	// LeaseTTL is how long another instance must be silent before its unspent uses are taken
	// over, default 20 s. An instance that could not show for half of it that it lives stops
	// spending. All instances on one storage need the same value.
	LeaseTTL time.Duration
	// PollEvery is how often revocations and the wishes of other instances are looked for,
	// default 2 s, at most 5 s.
	PollEvery time.Duration
	// DegradeAfter is how long commits may fail before metered tokens are refused, default 1 s.
	DegradeAfter time.Duration
	// IdleAfter is how long a token is kept in memory without a request, default 1 min. Then
	// its unspent uses go back to the storage.
	IdleAfter time.Duration
	// MaxTokens bounds the metered tokens in memory, default 262,144. Beyond it, idle ones go
	// sooner, and when there are none, Reserve answers ErrUnavailable.
	MaxTokens int
	// MaxPending bounds the bytes of records that wait for the storage, default 8 MiB, at most 32 MiB.
	MaxPending int
	// CompactAfter is how many segments are merged into one, default 128.
	CompactAfter int
	// IdempotencyWindow is how long a retry with the same idempotency key is free, default 1
	// min, at most IdleAfter.
	IdempotencyWindow time.Duration
	// Remembered is how many settlements are remembered so that none is written twice, at
	// least; at most twice as many. Default 524,288.
	Remembered int
}

// The limits that are not settings.
const (
	maxCommitEvery = 20 * time.Millisecond
	maxPoll        = 5 * time.Second
	// segmentTarget is the size up to which segments are merged.
	segmentTarget = 8 << 20
	// maxObject bounds what is read from the storage into memory at once.
	maxObject = 64 << 20
)

func def[T int | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// withDefaults checks the options and fills the gaps.
func (o Options) withDefaults() (Options, error) {
	if o.Storage == nil {
		return o, fmt.Errorf("%w: Storage is missing", ErrInvalid)
	}
	if o.Prefix == "" {
		o.Prefix = "l402"
	}
	if !validPrefix(o.Prefix) {
		return o, fmt.Errorf("%w: Prefix %q: use lower-case letters, digits, '-' and '_', with '/' between parts",
			ErrInvalid, o.Prefix)
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	def(&o.CommitEvery, maxCommitEvery)
	def(&o.OpTimeout, 10*time.Second)
	def(&o.ReserveTimeout, 5*time.Second)
	def(&o.HandoverWait, 3*time.Second)
	def(&o.LockTimeout, 3*time.Second)
	def(&o.LeaseTTL, 20*time.Second)
	def(&o.PollEvery, 2*time.Second)
	def(&o.DegradeAfter, time.Second)
	def(&o.IdleAfter, time.Minute)
	def(&o.MaxTokens, 1<<18)
	def(&o.MaxPending, 8<<20)
	def(&o.CompactAfter, 128)
	def(&o.IdempotencyWindow, time.Minute)
	def(&o.Remembered, 1<<19)
	switch {
	case o.CommitEvery < 0 || o.CommitEvery > maxCommitEvery:
		return o, fmt.Errorf("%w: CommitEvery %s: use up to %s", ErrInvalid, o.CommitEvery, maxCommitEvery)
	case o.PollEvery < 0 || o.PollEvery > maxPoll:
		return o, fmt.Errorf("%w: PollEvery %s: use up to %s, or revocations come late", ErrInvalid, o.PollEvery, maxPoll)
	case o.IdempotencyWindow < 0 || o.IdempotencyWindow > o.IdleAfter:
		return o, fmt.Errorf("%w: IdempotencyWindow %s: use up to IdleAfter, %s", ErrInvalid, o.IdempotencyWindow, o.IdleAfter)
	case o.OpTimeout < 0, o.ReserveTimeout < 0, o.LockTimeout < 0, o.LeaseTTL < 0, o.DegradeAfter < 0, o.IdleAfter < 0:
		return o, fmt.Errorf("%w: a time-out is negative", ErrInvalid)
	case o.MaxPending > maxObject/2:
		return o, fmt.Errorf("%w: MaxPending %d: use up to %d", ErrInvalid, o.MaxPending, maxObject/2)
	case o.MaxTokens < 0, o.MaxPending < 0, o.Remembered < 0, o.CompactAfter < 2:
		return o, fmt.Errorf("%w: MaxTokens, MaxPending and Remembered must be positive, CompactAfter at least 2", ErrInvalid)
	}
	return o, nil
}
