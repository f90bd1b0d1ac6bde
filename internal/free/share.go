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
)

// Share writes what this instance counted, if anything changed, and reads what the others did.
// Instance and service are names of letters, digits and '-'; only this process uses the instance.
func (c *Counter) Share(ctx context.Context, storage certmagic.Storage, instance, service string, now time.Time) error {
	own := path.Join(folder, service, instance+suffix)
	if data := c.encode(); data != nil {
		if err := storage.Store(ctx, own, data); err != nil {
			return fmt.Errorf("telling other instances of free requests: %w", err)
		}
	}
	names, err := storage.List(ctx, path.Join(folder, service), false)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("listing other instances' free requests: %w", err)
	}
	others := make(map[string]map[key]count)
	for _, name := range names {
		if name == own || !strings.HasSuffix(name, suffix) || len(others) == maxInstances {
			continue
		}
		data, err := storage.Load(ctx, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("reading other instances' free requests: %w", err)
		}
		others[name] = decode(data, now)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.others = others
	return nil
}

// Withdraw removes what this instance told. Others stop counting it; the clients of the window
// begin anew.
func Withdraw(ctx context.Context, storage certmagic.Storage, instance, service string) error {
	if instance == "" || service == "" {
		return nil // never a folder: deleting one may take everything below it
	}
	err := storage.Delete(ctx, path.Join(folder, service, instance+suffix))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
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
