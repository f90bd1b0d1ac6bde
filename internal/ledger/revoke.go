package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Kind is what a revocation is about.
type Kind string

// The kinds of revocations.
const (
	KindToken   Kind = "token"   // a token, by its id
	KindPayment Kind = "payment" // all tokens of a payment, by payment hash
	KindService Kind = "service" // all tokens for a service that were minted up to now
)

func (k Kind) valid() bool { return k == KindToken || k == KindPayment || k == KindService }

// Revocation is one entry of the list of what is revoked.
type Revocation struct {
	Kind Kind
	// Value is a token id or payment hash in hex, or a service's name.
	Value string
	// At is when it was revoked. Tokens of a service that were minted later pass.
	At time.Time
	// Until is when the entry stops to matter, or zero for never.
	Until time.Time
}

// revocations is what this instance knows. Readers take an immutable set without a lock.
type revocations struct {
	set atomic.Pointer[revSet]

	mu         sync.Mutex // one load at a time
	known      map[string]Revocation
	generation string
	loaded     time.Time
	ownGen     uint64
	ownKey     string
	fresh      atomic.Int64 // unix nanoseconds of the last successful look
}

type revSet struct {
	tokens, payments map[[32]byte]int64 // until, unix nanoseconds, 0 never
	services         map[string][]serviceRev
}

type serviceRev struct{ at, until int64 }

// Revoked tells whether a token is revoked, by its id, by its payment or by its service. A zero
// mintedAt means unknown: then any revocation of the service counts. It takes no lock and no
// memory.
func (l *Ledger) Revoked(tokenID, hash [32]byte, service string, mintedAt time.Time) bool {
	set := l.revocations.set.Load()
	if set == nil {
		return false
	}
	if len(set.tokens) > 0 {
		if until, ok := set.tokens[tokenID]; ok && l.stands(until) {
			return true
		}
	}
	if len(set.payments) > 0 {
		if until, ok := set.payments[hash]; ok && l.stands(until) {
			return true
		}
	}
	if len(set.services) > 0 {
		for _, r := range set.services[service] {
			if l.stands(r.until) && (mintedAt.IsZero() || mintedAt.UnixNano() <= r.at) {
				return true
			}
		}
	}
	return false
}

func (l *Ledger) stands(until int64) bool { return until == 0 || l.opts.Now().UnixNano() < until }

// normalize checks a revocation's value and returns it with the bytes that its name carries.
func normalize(kind Kind, value string) (string, [32]byte, error) {
	if !kind.valid() {
		return "", [32]byte{}, fmt.Errorf("%w: kind %q: use token, payment or service", ErrInvalid, kind)
	}
	if kind == KindService {
		if value == "" || len(value) > maxName {
			return "", [32]byte{}, fmt.Errorf("%w: service name of %d bytes", ErrInvalid, len(value))
		}
		return value, sha256.Sum256([]byte(value)), nil
	}
	value = strings.ToLower(value)
	id, ok := parseHash(value)
	if !ok {
		return "", id, fmt.Errorf("%w: %s %q: use 64 hex digits", ErrInvalid, kind, value)
	}
	return value, id, nil
}

// Revoke stores a revocation. It holds here when Revoke returns, and on every other instance after
// its next look, within PollEvery. Value is a token id or payment hash in hex, or a service's
// name. A zero until means for ever.
func (l *Ledger) Revoke(ctx context.Context, kind Kind, value string, until time.Time) error {
	value, id, err := normalize(kind, value)
	if err != nil {
		return fmt.Errorf("revoking: %w", err)
	}
	r := Revocation{Kind: kind, Value: value, At: l.opts.Now(), Until: until}
	inc := l.inc.Load()
	key := l.objects.revocation(revName{kind: kind, value: id, at: r.At.UnixNano(), inc: inc.name})
	if err := l.objects.store(ctx, key, sealValue(r.encode(), r.At.UnixNano())); err != nil {
		return fmt.Errorf("revoking: %w: %w", ErrUnavailable, err)
	}
	v := &l.revocations
	v.mu.Lock()
	defer v.mu.Unlock()
	v.known[key] = r
	v.publish()
	return l.tellOthers(ctx, inc)
}

// Unrevoke takes back all revocations of a value and returns how many there were. It holds on
// other instances as soon as Revoke would.
func (l *Ledger) Unrevoke(ctx context.Context, kind Kind, value string) (int, error) {
	_, id, err := normalize(kind, value)
	if err != nil {
		return 0, fmt.Errorf("taking a revocation back: %w", err)
	}
	keys, err := l.objects.listArea(ctx, areaRevoked)
	if err != nil {
		return 0, fmt.Errorf("taking a revocation back: %w: %w", ErrUnavailable, err)
	}
	v := &l.revocations
	v.mu.Lock()
	defer v.mu.Unlock()
	n := 0
	for _, key := range keys {
		if name, ok := l.objects.parseRevocation(key); !ok || name.kind != kind || name.value != id {
			continue
		}
		if err := l.objects.remove(ctx, key); err != nil {
			return n, fmt.Errorf("taking a revocation back: %w: %w", ErrUnavailable, err)
		}
		delete(v.known, key)
		n++
	}
	v.publish()
	if n == 0 {
		return 0, nil
	}
	return n, l.tellOthers(ctx, l.inc.Load())
}

// tellOthers changes the generation that other instances look at. Callers hold mu.
func (l *Ledger) tellOthers(ctx context.Context, inc *incarnation) error {
	v := &l.revocations
	v.ownGen++
	key := l.objects.revGen(inc.name, v.ownGen)
	if err := l.objects.store(ctx, key, nameSaysAll); err != nil {
		return fmt.Errorf("telling other instances of a revocation: %w: %w", ErrUnavailable, err)
	}
	if v.ownKey != "" && l.objects.remove(ctx, v.ownKey) != nil {
		l.ghosts.add(v.ownKey)
	}
	v.ownKey = key
	return nil
}

// Revocations lists what is revoked, newest first.
func (l *Ledger) Revocations() []Revocation {
	v := &l.revocations
	v.mu.Lock()
	defer v.mu.Unlock()
	out := make([]Revocation, 0, len(v.known))
	for _, r := range v.known {
		out = append(out, r)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].At.After(out[j].At) })
	return out
}

// relistEvery is how often all revocations are listed even if nobody told of a new one.
const relistEvery = 5 * time.Minute

// pollRevocations takes over what other instances revoked.
func (l *Ledger) pollRevocations(ctx context.Context) error {
	gens, err := l.objects.listArea(ctx, areaRevGen)
	if err != nil {
		return err
	}
	sort.Strings(gens)
	generation := strings.Join(gens, "\n")
	v := &l.revocations
	v.mu.Lock()
	defer v.mu.Unlock()
	now := l.opts.Now()
	if v.set.Load() != nil && generation == v.generation && now.Sub(v.loaded) < relistEvery {
		v.fresh.Store(now.UnixNano())
		return nil
	}
	keys, err := l.objects.listArea(ctx, areaRevoked)
	if err != nil {
		return err
	}
	known := make(map[string]Revocation, len(keys))
	for _, key := range keys {
		name, ok := l.objects.parseRevocation(key)
		if !ok {
			continue
		}
		if r, ok := v.known[key]; ok {
			known[key] = r
			continue
		}
		r, ok, err := l.loadRevocation(ctx, key, name)
		if err != nil {
			return err
		}
		if ok {
			known[key] = r
		}
	}
	v.known, v.generation, v.loaded = known, generation, now
	v.publish()
	v.fresh.Store(now.UnixNano())
	return nil
}

// publish makes what is known the set that readers see. Callers hold mu.
func (v *revocations) publish() {
	set := &revSet{tokens: make(map[[32]byte]int64), payments: make(map[[32]byte]int64), services: make(map[string][]serviceRev)}
	for _, r := range v.known {
		until := int64(0)
		if !r.Until.IsZero() {
			until = r.Until.UnixNano()
		}
		id, _ := parseHash(r.Value)
		switch r.Kind {
		case KindToken:
			set.put(set.tokens, id, until)
		case KindPayment:
			set.put(set.payments, id, until)
		case KindService:
			set.services[r.Value] = append(set.services[r.Value], serviceRev{r.At.UnixNano(), until})
		}
	}
	v.set.Store(set)
}

func (s *revSet) put(m map[[32]byte]int64, id [32]byte, until int64) {
	if old, ok := m[id]; ok {
		until = longer(old, until)
	}
	m[id] = until
}

func (r *Revocation) encode() []byte {
	b := appendBytes(nil, string(r.Kind))
	b = appendBytes(b, r.Value)
	b = binary.AppendVarint(b, r.At.UnixNano())
	if r.Until.IsZero() {
		return binary.AppendVarint(b, 0)
	}
	return binary.AppendVarint(b, r.Until.UnixNano())
}

func decodeRevocation(payload []byte) (r Revocation, err error) {
	d := decoder{b: payload}
	r.Kind, r.Value = Kind(d.bytes()), string(d.bytes())
	r.At = time.Unix(0, d.varint())
	if until := d.varint(); until != 0 {
		r.Until = time.Unix(0, until)
	}
	if err := d.done("revocation"); err != nil {
		return r, err
	}
	if _, _, err := normalize(r.Kind, r.Value); err != nil {
		return r, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return r, nil
}

// loadRevocation reads one entry. Of a damaged one the name tells enough to revoke a token or a
// payment for ever.
func (l *Ledger) loadRevocation(ctx context.Context, key string, name revName) (Revocation, bool, error) {
	b, err := l.objects.load(ctx, key)
	if isMissing(err) {
		return Revocation{}, false, nil // taken back meanwhile
	}
	if err != nil {
		return Revocation{}, false, err
	}
	payload, _, err := openValue(b)
	if err == nil {
		var r Revocation
		if r, err = decodeRevocation(payload); err == nil {
			return r, true, nil
		}
	}
	l.health.damaged(l.logger(), key, err)
	r := Revocation{Kind: name.kind, Value: hex.EncodeToString(name.value[:]), At: time.Unix(0, name.at)}
	return r, name.kind != KindService, nil
}

// pruneRevocations deletes the entries that stopped to matter more than a day ago.
func (l *Ledger) pruneRevocations(ctx context.Context, now time.Time) error {
	v := &l.revocations
	v.mu.Lock()
	defer v.mu.Unlock()
	for key, r := range v.known {
		if r.Until.IsZero() || now.Sub(r.Until) < expiryGrace {
			continue
		}
		if err := l.objects.remove(ctx, key); err != nil {
			return err
		}
		delete(v.known, key)
	}
	return nil
}
