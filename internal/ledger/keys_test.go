package ledger

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
)

const (
	incA = "0123456789abcdef01234567"
	incB = "fedcba987654321001234567"
)

// everyKey builds one name of each form.
func everyKey(k keyspace) map[string]string {
	hash := [32]byte{0xab, 0xcd, 31: 1}
	return map[string]string{
		"segment":     k.segment(segName{incA, "20260301", 7, 7, sufSegment}),
		"settlements": k.segment(segName{incA, "20260301", 7, 9, sufSettlements}),
		"uses":        k.segment(segName{incA, "20260301", 7, 9, sufUses}),
		"claim":       k.claim(claimName{hash: hash, inc: incA, seq: 3, until: 1 << 31, amount: Amount{5, 6}}),
		"back":        k.claim(claimName{hash: hash, inc: incA, seq: 3, amount: Amount{5, 0}, back: true}),
		"beat":        k.beat(incA, 12),
		"tombstone":   k.tombstone(incA, incB, sufTombstone),
		"grave":       k.tombstone(incA, incB, sufGrave),
		"want":        k.want(hash, incA, 1<<31),
		"revocation":  k.revocation(revName{KindToken, hash, 1 << 60, incA}),
		"generation":  k.revGen(incA, 2),
		"durable":     k.durable(durableName{"quote", "id/ü", 4, incA}),
		"mark":        k.mark(areaUses),
	}
}

func TestKeysAreOwn(t *testing.T) {
	k := keyspace{prefix: "a/l402"}
	for name, key := range everyKey(k) {
		if !k.owns(key) {
			t.Errorf("%s: %s is not owned", name, key)
		}
		if base := key[strings.LastIndexByte(key, '/')+1:]; len(base) > 200 {
			t.Errorf("%s: name of %d bytes", name, len(base))
		}
		if (keyspace{prefix: "l402"}).owns(key) {
			t.Errorf("%s is owned under another prefix", key)
		}
		for _, changed := range []string{
			"", "/", ".", "..", k.prefix, k.prefix + "/", key + "/", key + "/x", "/" + key, key + " ", " " + key, key[1:], key + ".tmp",
			strings.ToUpper(key), strings.Replace(key, "a/l402", "a/l402/..", 1), strings.Replace(key, "/", "//", 1),
			key[:strings.LastIndexByte(key, '/')], key[:strings.LastIndexByte(key, '.')], key[:len(key)-1],
			key[:strings.LastIndexByte(key, '/')+1] + "../" + key[strings.LastIndexByte(key, '/')+1:],
		} {
			if k.owns(changed) {
				t.Errorf("%s: %q is owned", name, changed)
			}
		}
	}
}

// refuser is a storage that must not be called.
type refuser struct {
	certmagic.Storage
	t *testing.T
}

func (r refuser) Store(_ context.Context, key string, _ []byte) error {
	r.t.Errorf("Store(%q)", key)
	return nil
}

func (r refuser) Delete(_ context.Context, key string) error {
	r.t.Errorf("Delete(%q)", key)
	return nil
}

func TestForeignKeysAreNeverTouched(t *testing.T) {
	o := newObjects(refuser{t: t}, "l402", time.Second)
	for _, key := range []string{
		"", "/", ".", "..", "*", "l402", "l402/", "l402/uses", "l402/ledger/" + incA, "l402/instances", "l402/uses/ab/cd",
		"certificates", "certificates/acme/example.com/example.com.key", "l402/../certificates/x.claim",
		"l402/durable/quote/00/zz.kv", "l402/durable/quote", "l4020/" + areaUses + "/0.mark",
	} {
		if err := o.remove(t.Context(), key); !errors.Is(err, errForeignKey) {
			t.Errorf("remove(%q): %v", key, err)
		}
		if err := o.store(t.Context(), key, nil); !errors.Is(err, errForeignKey) {
			t.Errorf("store(%q): %v", key, err)
		}
	}
	bare := &objects{timeout: time.Second}
	if err := bare.remove(t.Context(), "/"+areaUses+"/0.mark"); !errors.Is(err, errForeignKey) {
		t.Errorf("a ledger without a prefix deletes: %v", err)
	}
}

func TestNamesRoundTrip(t *testing.T) {
	k := keyspace{prefix: "l402"}
	hash := [32]byte{1, 2, 3}
	c := claimName{hash: hash, inc: incB, seq: 1<<32 - 1, until: 99, amount: Amount{1 << 60, 1 << 61}, back: true}
	if got, ok := k.parseClaim(k.claim(c)); !ok || got != c {
		t.Errorf("claim %+v came back as %+v", c, got)
	}
	for _, n := range []segName{{incA, "20260301", 1, 1, sufSegment}, {incA, "20261231", 1, 1 << 40, sufUses}} {
		if got, ok := k.parseSegment(k.segment(n)); !ok || got != n {
			t.Errorf("segment %+v came back as %+v", n, got)
		}
	}
	d := durableName{"quote", strings.Repeat("ÿ", maxDurableID/2), 1 << 63, incA}
	if got, ok := k.parseDurable(k.durable(d)); !ok || got != d {
		t.Errorf("durable %+v came back as %+v", d, got)
	}
	r := revName{KindService, hash, 5, incA}
	if got, ok := k.parseRevocation(k.revocation(r)); !ok || got != r {
		t.Errorf("revocation %+v came back as %+v", r, got)
	}
	if h, inc, at, ok := k.parseWant(k.want(hash, incA, 77)); !ok || h != hash || inc != incA || at != 77 {
		t.Error("want does not come back")
	}
}

func TestBadOptions(t *testing.T) {
	s := &certmagic.FileStorage{Path: t.TempDir()}
	for name, o := range map[string]Options{
		"Storage":           {},
		"Prefix":            {Storage: s, Prefix: "../x"},
		"Prefix ":           {Storage: s, Prefix: "/x"},
		"Prefix  ":          {Storage: s, Prefix: "L402"},
		"CommitEvery":       {Storage: s, CommitEvery: time.Second},
		"PollEvery":         {Storage: s, PollEvery: time.Minute},
		"IdempotencyWindow": {Storage: s, IdempotencyWindow: time.Hour},
		"time-out":          {Storage: s, LeaseTTL: -1},
		"CompactAfter":      {Storage: s, CompactAfter: 1},
		"MaxPending":        {Storage: s, MaxPending: 1 << 30},
	} {
		l, err := Open(t.Context(), o)
		if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), strings.TrimSpace(name)) {
			t.Errorf("%s: %v", name, err)
		}
		if l != nil {
			t.Errorf("%s: a ledger came with the error", name)
		}
	}
}

// FuzzKeys looks for keys that are taken for the ledger's own and are not written as it writes.
func FuzzKeys(f *testing.F) {
	k := keyspace{prefix: "l402"}
	for _, key := range everyKey(k) {
		f.Add(key)
	}
	f.Add("l402/uses/0.mark")
	f.Fuzz(func(t *testing.T, key string) {
		if !k.owns(key) {
			return
		}
		if strings.Contains(key, "..") || strings.Contains(key, "//") || !strings.HasPrefix(key, "l402/") || strings.HasSuffix(key, "/") {
			t.Fatalf("owns %q", key)
		}
		if c, ok := k.parseClaim(key); ok && k.claim(c) != key {
			t.Fatalf("claim %q is written %q", key, k.claim(c))
		}
		if n, ok := k.parseSegment(key); ok && k.segment(n) != key {
			t.Fatalf("segment %q is written %q", key, k.segment(n))
		}
		if d, ok := k.parseDurable(key); ok && k.durable(d) != key {
			t.Fatalf("durable %q is written %q", key, k.durable(d))
		}
	})
}
