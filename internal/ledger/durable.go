package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sort"
	"sync"
	"time"
)

// Durable is a value that was stored before the step that could lose money: a proof of ecash on
// its way to the mint, a mint quote, the URL that tells of an LNURL payment.
type Durable struct {
	// ID names the value within its kind.
	ID string
	// Value is what was stored.
	Value []byte
	// Time is when it was stored.
	Time time.Time
}

// MaxDurable is the greatest size of a durable value in bytes.
const MaxDurable = 1 << 20

// durableLocks keep two writers of this process from choosing one version.
type durableLocks [32]sync.Mutex

func (d *durableLocks) of(id string) *sync.Mutex {
	sum := byte(0)
	for i := range len(id) {
		sum = sum*31 + id[i]
	}
	return &d[sum%32]
}

func checkDurable(kind, id string) error {
	if !isKind(kind) {
		return fmt.Errorf("%w: kind %q: use up to 32 lower-case letters and digits", ErrInvalid, kind)
	}
	if id == "" || len(id) > maxDurableID {
		return fmt.Errorf("%w: id of %d bytes: use 1 to %d", ErrInvalid, len(id), maxDurableID)
	}
	return nil
}

// PutDurable stores a value, replacing an older one of that id, and returns when the storage has
// it. After an error the old or the new value is there. The kind is of lower-case letters and
// digits, the id any text of up to 80 bytes, the value up to MaxDurable.
func (l *Ledger) PutDurable(ctx context.Context, kind, id string, value []byte) error {
	if err := checkDurable(kind, id); err != nil {
		return fmt.Errorf("storing a durable value: %w", err)
	}
	if len(value) > MaxDurable {
		return fmt.Errorf("storing a durable value: %w: %d bytes of %s", ErrTooLarge, len(value), kind)
	}
	mu := l.durableLocks.of(id)
	mu.Lock()
	defer mu.Unlock()
	old, err := l.versions(ctx, kind, id)
	if err != nil {
		return fmt.Errorf("storing a durable value: %w: %w", ErrUnavailable, err)
	}
	name := durableName{kind: kind, id: id, version: 1, inc: l.inc.Load().name}
	if len(old) > 0 {
		name.version = old[0].version + 1
	}
	if err := l.objects.store(ctx, l.objects.durable(name), sealValue(value, l.opts.Now().UnixNano())); err != nil {
		return fmt.Errorf("storing a durable value: %w: %w", ErrUnavailable, err)
	}
	for _, n := range old {
		if l.objects.remove(ctx, l.objects.durable(n)) != nil {
			l.ghosts.add(l.objects.durable(n)) // the newer one counts in any case
		}
	}
	return nil
}

// versions lists the stored versions of a value, newest first.
func (l *Ledger) versions(ctx context.Context, kind, id string) ([]durableName, error) {
	keys, err := l.objects.listIn(ctx, areaDurable, l.objects.durableShard(kind, id))
	if err != nil {
		return nil, err
	}
	var out []durableName
	for _, key := range keys {
		if n, ok := l.objects.parseDurable(key); ok && n.id == id && n.kind == kind {
			out = append(out, n)
		}
	}
	sort.Slice(out, func(i, j int) bool {
		if out[i].version != out[j].version {
			return out[i].version > out[j].version
		}
		return out[i].inc > out[j].inc
	})
	return out, nil
}

// GetDurable reads a value that PutDurable stored, by whichever instance. It returns ErrNotFound
// where there is none and ErrUnavailable where the storage does not tell.
func (l *Ledger) GetDurable(ctx context.Context, kind, id string) (Durable, error) {
	if err := checkDurable(kind, id); err != nil {
		return Durable{}, fmt.Errorf("reading a durable value: %w", err)
	}
	gone := make(unwritten[durableName])
	for range tries {
		versions, err := l.versions(ctx, kind, id)
		if err != nil {
			return Durable{}, fmt.Errorf("reading a durable value: %w: %w", ErrUnavailable, err)
		}
		versions = gone.leaveOut(versions)
		if len(versions) == 0 {
			return Durable{}, fmt.Errorf("reading a durable value: %w: %s", ErrNotFound, kind)
		}
		d, err := l.newest(ctx, versions, gone)
		if isMissing(err) {
			continue // replaced meanwhile
		}
		return d, err
	}
	return Durable{}, fmt.Errorf("reading a durable value: %w: it changes all the time", ErrUnavailable)
}

// newest reads the newest version that is not damaged.
func (l *Ledger) newest(ctx context.Context, versions []durableName, gone unwritten[durableName]) (Durable, error) {
	var damage error
	for _, n := range versions {
		key := l.objects.durable(n)
		b, err := l.objects.load(ctx, key)
		if isMissing(err) {
			gone.missing(n)
		}
		if err != nil {
			return Durable{}, fmt.Errorf("reading a durable value: %w: %w", ErrUnavailable, err)
		}
		value, at, err := openValue(b)
		if err == nil {
			return Durable{ID: n.id, Value: append([]byte(nil), value...), Time: time.Unix(0, at)}, nil
		}
		l.health.damaged(l.logger(), key, err)
		damage = err
	}
	return Durable{}, fmt.Errorf("reading a durable value: %w", damage)
}

// ListDurable reads all values of a kind, by id. A damaged one is logged and left out.
func (l *Ledger) ListDurable(ctx context.Context, kind string) ([]Durable, error) {
	if err := checkDurable(kind, "x"); err != nil {
		return nil, fmt.Errorf("listing durable values: %w", err)
	}
	keys, err := l.objects.listIn(ctx, areaDurable, l.objects.area(areaDurable)+"/"+kind)
	if err != nil {
		return nil, fmt.Errorf("listing durable values: %w: %w", ErrUnavailable, err)
	}
	ids := make(map[string]struct{})
	for _, key := range keys {
		if n, ok := l.objects.parseDurable(key); ok && n.kind == kind {
			ids[n.id] = struct{}{}
		}
	}
	out := make([]Durable, 0, len(ids))
	for id := range ids {
		d, err := l.GetDurable(ctx, kind, id)
		switch {
		case err == nil:
			out = append(out, d)
		case errors.Is(err, ErrNotFound), errors.Is(err, ErrCorrupt):
		default:
			return nil, err
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].ID < out[j].ID })
	return out, nil
}

// DeleteDurable deletes a value; one that is not there is no error. The newest version goes last,
// so that no older one comes back when the deletion is interrupted.
func (l *Ledger) DeleteDurable(ctx context.Context, kind, id string) error {
	if err := checkDurable(kind, id); err != nil {
		return fmt.Errorf("deleting a durable value: %w", err)
	}
	mu := l.durableLocks.of(id)
	mu.Lock()
	defer mu.Unlock()
	versions, err := l.versions(ctx, kind, id)
	if err != nil {
		return fmt.Errorf("deleting a durable value: %w: %w", ErrUnavailable, err)
	}
	for i := len(versions) - 1; i >= 0; i-- {
		if err := l.objects.remove(ctx, l.objects.durable(versions[i])); err != nil {
			return fmt.Errorf("deleting a durable value: %w: %w", ErrUnavailable, err)
		}
	}
	return nil
}

func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
