package token

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/caddy-l402/caddy-l402/wallets/cashu/ecash"
)

// Lock is what a condition of NUT-11 or NUT-14 means.
type Lock struct {
	// Kind is KindP2PK or KindHTLC.
	Kind string
	// Hash is the hash whose preimage KindHTLC wants.
	Hash [32]byte
	// Keys may sign, at any time.
	Keys []*ecash.PublicKey
	// Sigs is how many of Keys must sign. It is 0 for a hash lock without keys.
	Sigs int
	// Locktime is when RefundKeys may sign as well or, where there are none, anybody may spend.
	// Zero is never.
	Locktime time.Time
	// RefundKeys may sign after Locktime.
	RefundKeys []*ecash.PublicKey
	// RefundSigs is how many of RefundKeys must sign.
	RefundSigs int
	// SigAll says that signatures cover all inputs and outputs of a transaction.
	SigAll bool
}

// Lock interprets the condition. Errors wrap ErrLock: whatever mints refuse or might understand
// differently is refused, as is a kind other than those of NUT-11 and NUT-14.
func (c *Condition) Lock() (*Lock, error) {
	l := &Lock{Kind: c.Kind}
	switch c.Kind {
	case KindP2PK:
		key, err := ecash.ParsePublicKeyHex(c.Data)
		if err != nil {
			return nil, fmt.Errorf("%w: data: %w", ErrLock, err)
		}
		l.Keys = append(l.Keys, key)
	case KindHTLC:
		hash, err := hex.DecodeString(c.Data)
		if err != nil || len(hash) != sha256.Size {
			return nil, fmt.Errorf("%w: data is not a hash of 32 bytes in hex", ErrLock)
		}
		l.Hash = [32]byte(hash)
	default:
		return nil, fmt.Errorf("%w: unknown kind", ErrLock)
	}
	tags := make(map[string][]string)
	for _, tag := range c.Tags {
		if _, twice := tags[tag[0]]; twice {
			return nil, fmt.Errorf("%w: tag %q appears twice", ErrLock, cut(tag[0]))
		}
		tags[tag[0]] = tag[1:]
	}
	if err := l.readTags(tags); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLock, err)
	}
	return l, nil
}

func cut(s string) string {
	if len(s) > 32 {
		return s[:32]
	}
	return s
}

func (l *Lock) readTags(tags map[string][]string) error {
	for name, values := range tags {
		var err error
		switch name {
		case "pubkeys":
			var keys []*ecash.PublicKey
			keys, err = parseKeys(values)
			l.Keys = append(l.Keys, keys...)
		case "refund":
			l.RefundKeys, err = parseKeys(values)
		case "locktime":
			l.Locktime, err = parseTime(values)
		case "sigflag":
			l.SigAll, err = parseFlag(values)
		case "n_sigs", "n_sigs_refund":
			// They are checked below, against the numbers of keys.
		}
		// Other tags are left alone: NUT-10 allows any, and mints ignore them.
		if err != nil {
			return fmt.Errorf("tag %s: %w", name, err)
		}
	}
	if err := distinct(l.Keys); err != nil {
		return err
	}
	if err := distinct(l.RefundKeys); err != nil {
		return err
	}
	var err error
	if l.Sigs, err = parseCount(tags["n_sigs"], tags, "n_sigs", len(l.Keys)); err != nil {
		return err
	}
	l.RefundSigs, err = parseCount(tags["n_sigs_refund"], tags, "n_sigs_refund", len(l.RefundKeys))
	return err
}

func parseKeys(values []string) ([]*ecash.PublicKey, error) {
	if len(values) == 0 {
		return nil, fmt.Errorf("it holds no key")
	}
	out := make([]*ecash.PublicKey, 0, len(values))
	for _, v := range values {
		key, err := ecash.ParsePublicKeyHex(v)
		if err != nil {
			return nil, err
		}
		out = append(out, key)
	}
	return out, nil
}

// latest is the last second that a locktime may name: the end of the year 9999.
const latest = 253402300799

// parseTime refuses what is no time. NUT-11 calls such a lock permanent, but a mint that reads it as
// zero would open it at once.
func parseTime(values []string) (time.Time, error) {
	if len(values) != 1 {
		return time.Time{}, fmt.Errorf("it needs one value")
	}
	seconds, err := strconv.ParseInt(values[0], 10, 64)
	if err != nil || seconds < 0 {
		return time.Time{}, fmt.Errorf("it is not a time in seconds since 1970")
	}
	// Later times mean the same, and would overflow in comparisons.
	return time.Unix(min(seconds, latest), 0), nil
}

func parseFlag(values []string) (bool, error) {
	if len(values) == 1 {
		switch values[0] {
		case "SIG_INPUTS":
			return false, nil
		case "SIG_ALL":
			return true, nil
		}
	}
	return false, fmt.Errorf("it is neither SIG_INPUTS nor SIG_ALL")
}

func parseCount(values []string, tags map[string][]string, name string, keys int) (int, error) {
	if _, given := tags[name]; !given {
		return min(1, keys), nil
	}
	if len(values) != 1 {
		return 0, fmt.Errorf("tag %s: it needs one value", name)
	}
	n, err := strconv.ParseUint(values[0], 10, 31)
	if err != nil || n == 0 || int(n) > keys {
		return 0, fmt.Errorf("tag %s: it is not a number from 1 to that of the keys", name)
	}
	return int(n), nil
}

// xOnly is how NUT-11 compares keys: two that differ in parity alone sign alike.
func xOnly(key *ecash.PublicKey) [32]byte { return [32]byte(key.SerializeCompressed()[1:]) }

func distinct(keys []*ecash.PublicKey) error {
	seen := make(map[[32]byte]bool, len(keys))
	for _, k := range keys {
		if seen[xOnly(k)] {
			return fmt.Errorf("a key appears twice")
		}
		seen[xOnly(k)] = true
	}
	return nil
}

// Verdict says who can spend a proof.
type Verdict struct {
	// Locked says that the proof has a condition.
	Locked bool
	// Ours says that the keys at hand, with the preimage of the witness where one is needed,
	// can spend the proof now.
	Ours bool
	// Foreign says that someone else could spend it now, the payer for one.
	Foreign bool
	// ForeignAt is when someone else could spend it who cannot yet. Zero is never.
	ForeignAt time.Time
	// SigAll says that the proof can be spent only together with proofs of the same lock.
	SigAll bool
}

// Examine says who can spend a proof, given whose keys are ours. A plain secret is known to the
// payer, so that both can. Errors wrap ErrLock.
func Examine(p Proof, ours []*ecash.PublicKey, now time.Time) (Verdict, error) {
	mine := make(map[[32]byte]bool, len(ours))
	for _, k := range ours {
		mine[xOnly(k)] = true
	}
	return examine(p, mine, now)
}

func examine(p Proof, mine map[[32]byte]bool, now time.Time) (Verdict, error) {
	c, err := ParseCondition(p.Secret)
	if err != nil {
		return Verdict{}, err
	}
	if c == nil {
		return Verdict{Ours: true, Foreign: true}, nil
	}
	l, err := c.Lock()
	if err != nil {
		return Verdict{}, err
	}
	v := Verdict{Locked: true, SigAll: l.SigAll}
	own, others := split(l.Keys, mine)
	v.Ours = own >= l.Sigs
	if l.Kind == KindHTLC {
		v.Ours = v.Ours && witnessOf(p.Witness).opens(l.Hash)
	}
	// Who made a hash lock may know its preimage: it keeps no payer out.
	v.Foreign = others >= l.Sigs
	if l.Locktime.IsZero() {
		return v, nil
	}
	refundOwn, refundOthers := split(l.RefundKeys, mine)
	anyone := len(l.RefundKeys) == 0
	takeable := anyone || refundOthers >= l.RefundSigs
	switch expired := !now.Before(l.Locktime); {
	case expired:
		v.Ours = v.Ours || anyone || refundOwn >= l.RefundSigs
		v.Foreign = v.Foreign || takeable
	case takeable:
		v.ForeignAt = l.Locktime
	}
	return v, nil
}

func split(keys []*ecash.PublicKey, mine map[[32]byte]bool) (own, others int) {
	for _, k := range keys {
		if mine[xOnly(k)] {
			own++
		} else {
			others++
		}
	}
	return own, others
}

// CheckFinal says whether a proof that is not swapped at once is money all the same: locked so that
// only our keys can spend it, now and until the time given. A zero time asks for a lock that never
// opens to others. SIG_ALL is refused, since such proofs cannot be swapped together with others.
// Errors wrap ErrLock, ErrNotLocked, ErrNotOurs or ErrTakeBack.
func CheckFinal(p Proof, ours []*ecash.PublicKey, now, until time.Time) error {
	v, err := Examine(p, ours, now)
	switch {
	case err != nil:
		return err
	case !v.Locked:
		return ErrNotLocked
	case !v.Ours:
		return ErrNotOurs
	case v.SigAll:
		return fmt.Errorf("%w: SIG_ALL is not accepted here", ErrLock)
	case v.Foreign:
		return ErrTakeBack
	case !v.ForeignAt.IsZero() && (until.IsZero() || !v.ForeignAt.After(until)):
		return fmt.Errorf("%w: from %s on", ErrTakeBack, v.ForeignAt.UTC().Format(time.RFC3339))
	}
	return nil
}
