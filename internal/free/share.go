package free

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"
)

const (
	// ShareEvery is how often instances tell each other what they counted.
	ShareEvery = 5 * time.Second
	// folder is where they do, one object an instance and service.
	folder = "l402/free"
	suffix = ".counts"
	// maxShared bounds the clients in an object; those seen most recently are told.
	maxShared = 8192
	// maxInstances bounds how many others are listened to.
	maxInstances = 64
	entrySize    = len(key{}) + 4 + 8
	// staleMargin is how long after twice the window an object that nobody changes is deleted. A
	// living instance writes it again.
	staleMargin = time.Hour
)

// Share writes what this instance counted, if anything changed, and reads what the others did.
// Instance and service are names of letters, digits and '-'; only this process uses the instance.
func (c *Counter) Share(ctx context.Context, storage certmagic.Storage, instance, service string, now time.Time) error {
	own := path.Join(folder, service, instance+suffix)
	if data := c.encode(); data != nil {
		if err := storage.Store(ctx, own, data); err != nil {
			c.mu.Lock()
			c.changed[key{}] = true // not told yet
			c.mu.Unlock()
			return fmt.Errorf("telling other instances of free requests: %w", err)
		}
	}
	names, err := storage.List(ctx, path.Join(folder, service), false)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("listing other instances' free requests: %w", err)
	}
	window := c.longestWindow()
	others := make(map[string]map[key]count)
	for _, name := range names {
		if name == own || !strings.HasSuffix(name, suffix) || path.Dir(name) != path.Dir(own) || len(others) == maxInstances {
			continue
		}
		data, err := storage.Load(ctx, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("reading other instances' free requests: %w", err)
		}
		counts := decode(data, now)
		if window == 0 || now.Sub(newest(counts)) < 2*window+staleMargin {
			others[name] = counts
			continue
		}
		// Each start of a server is an instance of its own, and those that ended leave theirs.
		if err := storage.Delete(ctx, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing an old instance's free requests: %w", err)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.others = others
	return nil
}

// newest is when the last of the windows began.
func newest(counts map[key]count) (at time.Time) {
	for _, n := range counts {
		if n.since.After(at) {
			at = n.since
		}
	}
	return at
}

// encode writes the counts, or returns nil if none changed since.
func (c *Counter) encode() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.changed) == 0 {
		return nil
	}
	clear(c.changed)
	var data []byte
	for element := c.order.Front(); element != nil && len(data) < maxShared*entrySize; element = element.Next() {
		known := element.Value.(*client)
		if known.n == 0 {
			continue
		}
		data = append(data, known.key[:]...)
		data = binary.BigEndian.AppendUint32(data, uint32(known.n))
		data = binary.BigEndian.AppendUint64(data, uint64(known.since.Unix()))
	}
	return data
}

// decode reads counts; what is malformed or from the future counts as nothing.
func decode(data []byte, now time.Time) map[key]count {
	counts := make(map[key]count)
	for len(data) >= entrySize && len(counts) < maxShared {
		var k key
		copy(k[:], data)
		n := binary.BigEndian.Uint32(data[len(k):])
		since := time.Unix(int64(binary.BigEndian.Uint64(data[len(k)+4:])), 0)
		if !since.After(now.Add(time.Minute)) && n < 1<<30 {
			counts[k] = count{int(n), since}
		}
		data = data[entrySize:]
	}
	return counts
}
