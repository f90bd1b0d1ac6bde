package ledger

import (
	"hash/maphash"
	"time"
)

// Idempotency keys live in the memory of one instance, with the token. A retry that reaches
// another instance, or the same one after a restart, is charged.

const (
	// maxKeys is how many keys a token remembers; the oldest goes first.
	maxKeys = 16
	// maxReplays is how often one charge can be repeated, so that a key is not a free pass.
	maxReplays = 3
)

type idempotencyKey struct {
	digest   uint64
	underWay bool
	at       time.Time // when it was charged, or reserved
	replays  int
}

var keySeed = maphash.MakeSeed()

// key finds a key that is under way or was charged within the window. Callers hold the shard's
// lock.
func (t *token) key(text string, now time.Time, window time.Duration) *idempotencyKey {
	digest := keyDigest(text)
	for i := range t.keys {
		k := &t.keys[i]
		if k.digest == digest && (k.underWay || now.Sub(k.at) < window) {
			return k
		}
	}
	return nil
}

func keyDigest(text string) uint64 { return max(maphash.String(keySeed, text), 1) }

// addKey remembers a key under way and returns its digest. Callers hold the shard's lock.
func (t *token) addKey(text string, now time.Time) uint64 {
	digest := keyDigest(text)
	t.endKey(digest, false, now) // one that ran out
	if len(t.keys) >= maxKeys {
		t.keys = append(t.keys[:0], t.keys[1:]...)
	}
	t.keys = append(t.keys, idempotencyKey{digest: digest, underWay: true, at: now})
	return digest
}

// endKey marks a key as charged, or drops it. Callers hold the shard's lock.
func (t *token) endKey(digest uint64, charged bool, now time.Time) {
	if digest == 0 {
		return
	}
	for i := range t.keys {
		if t.keys[i].digest != digest {
			continue
		}
		if charged {
			t.keys[i].underWay, t.keys[i].at = false, now
		} else {
			t.keys = append(t.keys[:i], t.keys[i+1:]...)
		}
		return
	}
}
