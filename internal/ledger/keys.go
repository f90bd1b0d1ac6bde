package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// Every object's name is built and read here and nowhere else. All names are lower-case hex and
// a suffix of our own, so that temporary files, lock files and the objects of others are told
// apart, and so that the guard before each write and delete can be strict.

// The areas are the folders directly below the prefix.
const (
	areaLedger    = "ledger"
	areaUses      = "uses"
	areaInstances = "instances"
	areaWants     = "wants"
	areaRevoked   = "revoked"
	areaRevGen    = "revgen"
	areaDurable   = "durable"
)

// incLen is the length of an incarnation's name: 8 digits of its label's hash, 16 random ones.
const incLen = 24

// keyspace builds and reads the names below one prefix.
type keyspace struct{ prefix string }

func validPrefix(p string) bool {
	for part := range strings.SplitSeq(p, "/") {
		if part == "" || len(part) > 64 {
			return false
		}
		for _, c := range []byte(part) {
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
	}
	return len(p) <= 200
}

func isHex(s string, n int) bool {
	if len(s) != n {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func isKind(s string) bool {
	if s == "" || len(s) > 32 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

func isDate(s string) bool {
	if len(s) != 8 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

func hex64(s string) uint64 {
	v, _ := strconv.ParseUint(s, 16, 64) // callers checked the digits
	return v
}

func parseHash(s string) (h [32]byte, ok bool) {
	if !isHex(s, 64) {
		return h, false
	}
	_, err := hex.Decode(h[:], []byte(s))
	return h, err == nil
}

// area is the folder of an area.
func (k keyspace) area(name string) string { return k.prefix + "/" + name }

// rel strips prefix and area; ok is false for keys elsewhere.
func (k keyspace) rel(area, key string) (string, bool) {
	return strings.CutPrefix(key, k.prefix+"/"+area+"/")
}

// The suffixes of files in the ledger's folders.
const (
	sufSegment     = ".seg" // one group commit
	sufSettlements = ".set" // merged: settlements and notes
	sufUses        = ".use" // merged: uses
)

// segName is a file of records: a group commit (from = to) or the merge of a range of them.
type segName struct {
	inc      string
	date     string // yyyymmdd, UTC
	from, to uint64
	suffix   string
}

func (k keyspace) segment(n segName) string {
	base := fmt.Sprintf("%s/%s/%s/%s/%016x", k.prefix, areaLedger, n.inc, n.date, n.from)
	if n.suffix != sufSegment {
		base += fmt.Sprintf("-%016x", n.to)
	}
	return base + n.suffix
}

func (k keyspace) parseSegment(key string) (n segName, ok bool) {
	rel, ok := k.rel(areaLedger, key)
	if !ok {
		return n, false
	}
	parts := strings.Split(rel, "/")
	if len(parts) != 3 || !isHex(parts[0], incLen) || !isDate(parts[1]) || len(parts[2]) < 4 {
		return n, false
	}
	n.inc, n.date = parts[0], parts[1]
	base := parts[2][:len(parts[2])-4]
	n.suffix = parts[2][len(parts[2])-4:]
	switch n.suffix {
	case sufSegment:
		if !isHex(base, 16) {
			return n, false
		}
		n.from = hex64(base)
		n.to = n.from
	case sufSettlements, sufUses:
		if len(base) != 33 || base[16] != '-' || !isHex(base[:16], 16) || !isHex(base[17:], 16) {
			return n, false
		}
		n.from, n.to = hex64(base[:16]), hex64(base[17:])
		if n.from > n.to {
			return n, false
		}
	default:
		return n, false
	}
	return n, true
}

// The suffixes of the objects of a token.
const (
	sufClaim = ".claim"
	sufBack  = ".back"
)

// claimName is a claim on a token's uses, or what an instance gave back of them. All that is to
// know stands in the name, so that a listing is enough.
type claimName struct {
	hash   [32]byte
	inc    string
	seq    uint32
	until  int64 // unix seconds after which the token is void, 0 unknown
	amount Amount
	back   bool
}

func (k keyspace) usesShard(hash [32]byte) string {
	return fmt.Sprintf("%s/%s/%02x/%02x", k.prefix, areaUses, hash[0], hash[1])
}

func (k keyspace) claim(c claimName) string {
	suffix := sufClaim
	if c.back {
		suffix = sufBack
	}
	return fmt.Sprintf("%s/%x-%s-%08x-%016x-%016x-%016x%s", k.usesShard(c.hash), c.hash, c.inc, c.seq,
		uint64(max(c.until, 0)), uint64(max(c.amount.Uses, 0)), uint64(max(c.amount.Bytes, 0)), suffix)
}

func (k keyspace) parseClaim(key string) (c claimName, ok bool) {
	rel, ok := k.rel(areaUses, key)
	if !ok {
		return c, false
	}
	if rel, ok = strings.CutSuffix(rel, sufClaim); !ok {
		if rel, ok = strings.CutSuffix(rel, sufBack); !ok {
			return c, false
		}
		c.back = true
	}
	if len(rel) < 6 || rel[2] != '/' || rel[5] != '/' {
		return c, false
	}
	shard, name := rel[:2]+rel[3:5], rel[6:]
	p := strings.Split(name, "-")
	if len(p) != 6 || !isHex(p[1], incLen) || !isHex(p[2], 8) || !isHex(p[3], 16) || !isHex(p[4], 16) || !isHex(p[5], 16) {
		return c, false
	}
	if c.hash, ok = parseHash(p[0]); !ok || shard != p[0][:4] {
		return c, false
	}
	c.inc, c.seq = p[1], uint32(hex64(p[2]))
	until, uses, bytes := hex64(p[3]), hex64(p[4]), hex64(p[5])
	if until>>62|uses>>62|bytes>>62 != 0 {
		return c, false
	}
	c.until, c.amount = int64(until), Amount{Uses: int64(uses), Bytes: int64(bytes)}
	return c, true
}

func (k keyspace) beat(inc string, n uint64) string {
	return fmt.Sprintf("%s/%s/%s-%016x.beat", k.prefix, areaInstances, inc, n)
}

func (k keyspace) parseBeat(key string) (inc string, n uint64, ok bool) {
	rel, ok := k.rel(areaInstances, key)
	if !ok {
		return "", 0, false
	}
	rel, ok = strings.CutSuffix(rel, ".beat")
	if !ok || len(rel) != incLen+17 || rel[incLen] != '-' || !isHex(rel[:incLen], incLen) || !isHex(rel[incLen+1:], 16) {
		return "", 0, false
	}
	return rel[:incLen], hex64(rel[incLen+1:]), true
}

// A tombstone ends an incarnation for good. A grave only announces one: it gives the incarnation a
// last chance to show that it lives.
const (
	sufTombstone = ".dead"
	sufGrave     = ".grave"
)

func (k keyspace) tombstone(dead, by, suffix string) string {
	return fmt.Sprintf("%s/%s/%s-%s%s", k.prefix, areaInstances, dead, by, suffix)
}

func (k keyspace) parseTombstone(key string) (dead, by, suffix string, ok bool) {
	rel, ok := k.rel(areaInstances, key)
	if !ok {
		return "", "", "", false
	}
	suffix = sufTombstone
	base, ok := strings.CutSuffix(rel, suffix)
	if !ok {
		suffix = sufGrave
		if base, ok = strings.CutSuffix(rel, suffix); !ok {
			return "", "", "", false
		}
	}
	if len(base) != 2*incLen+1 || base[incLen] != '-' || !isHex(base[:incLen], incLen) || !isHex(base[incLen+1:], incLen) {
		return "", "", "", false
	}
	return base[:incLen], base[incLen+1:], suffix, true
}

func (k keyspace) want(hash [32]byte, inc string, unix int64) string {
	return fmt.Sprintf("%s/%s/%x-%s-%016x.want", k.prefix, areaWants, hash, inc, uint64(max(unix, 0)))
}

func (k keyspace) parseWant(key string) (hash [32]byte, inc string, unix int64, ok bool) {
	rel, ok := k.rel(areaWants, key)
	if !ok {
		return hash, "", 0, false
	}
	rel, ok = strings.CutSuffix(rel, ".want")
	p := strings.Split(rel, "-")
	if !ok || len(p) != 3 || !isHex(p[1], incLen) || !isHex(p[2], 16) || hex64(p[2])>>62 != 0 {
		return hash, "", 0, false
	}
	hash, ok = parseHash(p[0])
	return hash, p[1], int64(hex64(p[2])), ok
}

// revName is a revocation. value is the id or payment hash, or the SHA-256 of the service's name.
type revName struct {
	kind  Kind
	value [32]byte
	at    int64 // unix nanoseconds
	inc   string
}

func (k keyspace) revocation(r revName) string {
	return fmt.Sprintf("%s/%s/%s-%x-%016x-%s.rev", k.prefix, areaRevoked, r.kind, r.value, uint64(max(r.at, 0)), r.inc)
}

func (k keyspace) parseRevocation(key string) (r revName, ok bool) {
	rel, ok := k.rel(areaRevoked, key)
	if !ok {
		return r, false
	}
	rel, ok = strings.CutSuffix(rel, ".rev")
	p := strings.Split(rel, "-")
	if !ok || len(p) != 4 || !Kind(p[0]).valid() || !isHex(p[2], 16) || !isHex(p[3], incLen) {
		return r, false
	}
	r.kind, r.at, r.inc = Kind(p[0]), int64(hex64(p[2])&(1<<63-1)), p[3]
	r.value, ok = parseHash(p[1])
	return r, ok
}

func (k keyspace) revGen(inc string, n uint64) string {
	return fmt.Sprintf("%s/%s/%s-%016x.gen", k.prefix, areaRevGen, inc, n)
}

func (k keyspace) parseRevGen(key string) (inc string, n uint64, ok bool) {
	rel, ok := k.rel(areaRevGen, key)
	if !ok {
		return "", 0, false
	}
	rel, ok = strings.CutSuffix(rel, ".gen")
	if !ok || len(rel) != incLen+17 || rel[incLen] != '-' || !isHex(rel[:incLen], incLen) || !isHex(rel[incLen+1:], 16) {
		return "", 0, false
	}
	return rel[:incLen], hex64(rel[incLen+1:]), true
}

// maxDurableID is the length of a durable value's id, so that its name stays below 255 bytes.
const maxDurableID = 80

type durableName struct {
	kind, id string
	version  uint64
	inc      string
}

func (k keyspace) durableShard(kind, id string) string {
	sum := sha256.Sum256([]byte(id))
	return fmt.Sprintf("%s/%s/%s/%02x", k.prefix, areaDurable, kind, sum[0])
}

func (k keyspace) durable(d durableName) string {
	return fmt.Sprintf("%s/%x-%016x-%s.kv", k.durableShard(d.kind, d.id), d.id, d.version, d.inc)
}

func (k keyspace) parseDurable(key string) (d durableName, ok bool) {
	rel, ok := k.rel(areaDurable, key)
	if !ok {
		return d, false
	}
	rel, ok = strings.CutSuffix(rel, ".kv")
	p := strings.Split(rel, "/")
	if !ok || len(p) != 3 || !isKind(p[0]) || !isHex(p[1], 2) {
		return d, false
	}
	q := strings.Split(p[2], "-")
	if len(q) != 3 || len(q[0]) == 0 || len(q[0]) > 2*maxDurableID || len(q[0])%2 != 0 || !isHex(q[0], len(q[0])) ||
		!isHex(q[1], 16) || !isHex(q[2], incLen) {
		return d, false
	}
	id, err := hex.DecodeString(q[0])
	if err != nil {
		return d, false
	}
	d = durableName{kind: p[0], id: string(id), version: hex64(q[1]), inc: q[2]}
	return d, k.durableShard(d.kind, d.id) == k.prefix+"/"+areaDurable+"/"+p[0]+"/"+p[1]
}

// mark is an object that only makes a folder exist, for back ends that call the listing of an
// empty one an error.
func (k keyspace) mark(area string) string { return k.prefix + "/" + area + "/0.mark" }

func (k keyspace) isMark(key string) bool {
	for _, a := range []string{areaLedger, areaUses, areaInstances, areaWants, areaRevoked, areaRevGen, areaDurable} {
		if key == k.mark(a) {
			return true
		}
	}
	return false
}

// owns tells whether key is the full name of an object of this ledger. Nothing else is ever
// written or deleted: in a certmagic storage, deleting the empty key wipes all certificates, and
// deleting a folder takes everything below it.
func (k keyspace) owns(key string) bool {
	if !validPrefix(k.prefix) || strings.Contains(key, "..") {
		return false
	}
	if _, ok := k.parseSegment(key); ok {
		return true
	}
	if _, ok := k.parseClaim(key); ok {
		return true
	}
	if _, _, ok := k.parseBeat(key); ok {
		return true
	}
	if _, _, _, ok := k.parseTombstone(key); ok {
		return true
	}
	if _, _, _, ok := k.parseWant(key); ok {
		return true
	}
	if _, ok := k.parseRevocation(key); ok {
		return true
	}
	if _, _, ok := k.parseRevGen(key); ok {
		return true
	}
	if _, ok := k.parseDurable(key); ok {
		return true
	}
	return k.isMark(key)
}
