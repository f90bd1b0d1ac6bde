package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"sort"
	"sync"
	"time"
)

// useEntry is a change of a token's count as it stands in segments.
type useEntry struct {
	hash   [32]byte
	period uint32 // the claim under which it was spent
	delta  Amount
	until  int64 // unix seconds, 0 unknown
}

func (u useEntry) appendTo(dst []byte) []byte {
	dst = append(dst, u.hash[:]...)
	dst = binary.AppendUvarint(dst, uint64(u.period))
	dst = binary.AppendVarint(dst, u.delta.Uses)
	dst = binary.AppendVarint(dst, u.delta.Bytes)
	return binary.AppendVarint(dst, u.until)
}

func decodeUse(r record) (u useEntry, err error) {
	d := decoder{b: r.payload}
	u.hash = d.hash()
	period := d.uvarint()
	u.delta.Uses = d.varint()
	u.delta.Bytes = d.varint()
	u.until = d.varint()
	if period > 1<<32-1 {
		d.bad = true
	}
	u.period = uint32(period)
	return u, d.done("use")
}

// expired tells whether a token that ends at until (unix seconds, 0 unknown) is void beyond doubt.
func expired(until int64, now time.Time) bool {
	return until != 0 && now.Unix()-until > int64(expiryGrace/time.Second)
}

// expiryGrace is how long the traces of an expired token are kept, for clocks that differ.
const expiryGrace = 24 * time.Hour

// compactor merges this instance's own segments. It plans from what it remembers having written
// and not from listings, which may leave things out. It is safe for concurrent use.
type compactor struct {
	l    *Ledger
	mu   sync.Mutex
	dirs map[folder]*folderFiles
	run  sync.Mutex // one merge at a time
	wake chan struct{}
}

type folder struct{ inc, date string }

type folderFiles struct {
	segments, settlements, uses []ownFile
}

type ownFile struct {
	segName
	size int
	// damaged files stay as they are, and no merged file may span them: readers would take it
	// for theirs.
	damaged bool
}

func newCompactor(l *Ledger) *compactor {
	return &compactor{l: l, dirs: make(map[folder]*folderFiles), wake: make(chan struct{}, 1)}
}

// wrote notes a new segment.
func (c *compactor) wrote(n segName, size int) {
	c.mu.Lock()
	f := c.dirs[folder{n.inc, n.date}]
	if f == nil {
		f = &folderFiles{}
		c.dirs[folder{n.inc, n.date}] = f
		signal(c.wake) // a new day: what is left of the old one can be merged
	}
	f.segments = append(f.segments, ownFile{segName: n, size: size})
	due := len(f.segments) >= c.l.opts.CompactAfter
	c.mu.Unlock()
	if due {
		signal(c.wake)
	}
}

// count returns how many files of records this instance has written and not merged away.
func (c *compactor) count() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.dirs {
		n += len(f.segments) + len(f.settlements) + len(f.uses)
	}
	return n
}

// merge merges what is due. With all set, even two files are worth it.
func (c *compactor) merge(ctx context.Context, all bool) {
	c.run.Lock()
	defer c.run.Unlock()
	today := c.l.opts.Now().UTC().Format("20060102")
	c.mu.Lock()
	var dirs []folder
	for d := range c.dirs {
		dirs = append(dirs, d)
	}
	c.mu.Unlock()
	for _, d := range dirs {
		least := c.l.opts.CompactAfter
		if all || d.date != today || d.inc != c.l.inc.Load().name {
			least = 2
		}
		if err := c.mergeFolder(ctx, d, least); err != nil {
			if ctx.Err() == nil {
				c.l.health.fail(c.l.logger(), healthCompact, err)
			}
			return
		}
	}
	c.l.health.ok(c.l.logger(), healthCompact)
}

// mergedAfter is how many merged files are merged again.
const mergedAfter = 16

func (c *compactor) mergeFolder(ctx context.Context, d folder, least int) error {
	for {
		n, err := c.mergeRun(ctx, d, sufSegment, least)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
	}
	for _, kind := range []string{sufSettlements, sufUses} {
		if _, err := c.mergeRun(ctx, d, kind, min(least, mergedAfter)); err != nil {
			return err
		}
	}
	return nil
}

// list returns the folder's files of one kind. Callers hold mu.
func (f *folderFiles) list(kind string) *[]ownFile {
	switch kind {
	case sufSettlements:
		return &f.settlements
	case sufUses:
		return &f.uses
	}
	return &f.segments
}

// mergeRun merges one run of neighboring files of a kind, writes the result, then deletes the
// originals. It returns how many files it merged.
func (c *compactor) mergeRun(ctx context.Context, d folder, kind string, least int) (int, error) {
	c.mu.Lock()
	dir := c.dirs[d]
	files := append([]ownFile(nil), *dir.list(kind)...)
	if kind != sufSegment {
		for _, f := range dir.segments {
			if f.damaged {
				files = append(files, f)
			}
		}
		sort.Slice(files, func(i, j int) bool { return files[i].from < files[j].from })
	}
	c.mu.Unlock()
	files = pickRun(files, least)
	if len(files) == 0 {
		return 0, nil
	}
	var m merger
	m.now = c.l.opts.Now()
	for _, f := range files {
		key := c.l.objects.segment(f.segName)
		b, err := c.l.objects.load(ctx, key)
		if err == nil {
			err = readSegment(b, m.add)
		}
		if errors.Is(err, ErrCorrupt) {
			c.l.health.damaged(c.l.logger(), key, err)
			c.markDamaged(d, kind, f)
			return 1, nil
		}
		if err != nil {
			return 0, err
		}
	}
	span := files[0].segName
	span.to = files[len(files)-1].to
	if kind != sufUses {
		if err := c.write(ctx, d, span, sufSettlements, m.kept, m.keptCount); err != nil {
			return 0, err
		}
	}
	if kind != sufSettlements {
		uses, n := m.encodeUses()
		if err := c.write(ctx, d, span, sufUses, uses, n); err != nil {
			return 0, err
		}
	}
	for _, f := range files {
		c.forget(d, kind, f)
	}
	for _, f := range files {
		key := c.l.objects.segment(f.segName)
		if err := c.l.objects.remove(ctx, key); err != nil {
			c.l.ghosts.add(key) // the merged file stands for it until it is gone
		}
	}
	return len(files), nil
}

// pickRun returns the first run of at least least files that fit into one.
func pickRun(files []ownFile, least int) []ownFile {
	for start := 0; start < len(files); {
		size, end := 0, start
		for end < len(files) && !files[end].damaged && files[end].size < segmentTarget/2 &&
			size+files[end].size <= segmentTarget {
			size += files[end].size
			end++
		}
		if end-start >= least {
			return files[start:end]
		}
		start = max(end, start+1)
	}
	return nil
}

func (c *compactor) write(ctx context.Context, d folder, span segName, kind string, records []byte, count int) error {
	if count == 0 {
		return nil
	}
	span.suffix = kind
	file := sealSegment(records, count, c.l.opts.Now().UnixNano())
	if err := c.l.objects.store(ctx, c.l.objects.segment(span), file); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.dirs[d].list(kind)
	at := 0
	for at < len(*list) && (*list)[at].from < span.from {
		at++
	}
	*list = append(*list, ownFile{})
	copy((*list)[at+1:], (*list)[at:])
	(*list)[at] = ownFile{segName: span, size: len(file)}
	return nil
}

func (c *compactor) markDamaged(d folder, kind string, f ownFile) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, o := range *c.dirs[d].list(kind) {
		if o.segName == f.segName {
			(*c.dirs[d].list(kind))[i].damaged = true
		}
	}
}

// forget drops a file from memory.
func (c *compactor) forget(d folder, kind string, f ownFile) {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.dirs[d].list(kind)
	kept := (*list)[:0]
	for _, o := range *list {
		if o.segName != f.segName {
			kept = append(kept, o)
		}
	}
	*list = kept
}

// merger joins records: settlements and notes as they are, uses summed up by token and period.
type merger struct {
	now       time.Time
	kept      []byte
	keptCount int
	uses      map[useKey]useEntry
	order     []useKey
	last      int64
}

type useKey struct {
	hash   [32]byte
	period uint32
}

func (m *merger) add(r record) error {
	m.last = max(m.last, r.time)
	if r.typ != recUse {
		m.kept = appendRecord(m.kept, r.typ, r.time, r.payload)
		m.keptCount++
		return nil
	}
	u, err := decodeUse(r)
	if err != nil {
		return err
	}
	if expired(u.until, m.now) {
		return nil
	}
	if m.uses == nil {
		m.uses = make(map[useKey]useEntry)
	}
	k := useKey{u.hash, u.period}
	if old, ok := m.uses[k]; ok {
		u.delta = u.delta.plus(old.delta)
		u.until = longer(u.until, old.until)
	} else {
		m.order = append(m.order, k)
	}
	m.uses[k] = u
	return nil
}

func (m *merger) encodeUses() (records []byte, count int) {
	var scratch []byte
	for _, k := range m.order {
		scratch = m.uses[k].appendTo(scratch[:0])
		records = appendRecord(records, recUse, m.last, scratch)
	}
	return records, len(m.order)
}

// longer returns the later of two ends of life, of which 0 is unknown.
func longer(a, b int64) int64 {
	if a == 0 || b == 0 {
		return 0
	}
	return max(a, b)
}
