package token

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/btcsuite/btcd/btcutil/bech32"
	"github.com/nbd-wtf/go-nostr"
	"github.com/nbd-wtf/go-nostr/nip19"
)

// Types of the fields of NUT-26.
const (
	fieldID = iota + 1
	fieldAmount
	fieldUnit
	fieldSingleUse
	fieldMint
	fieldDescription
	fieldTransport
	fieldLock
)

// Types of the fields within a transport or lock.
const (
	subKind = iota + 1
	subTarget
	subTag
)

const (
	transportNostr = "nostr"
	transportPost  = "post"
	tagRelay       = "r"
)

var (
	transportKinds = []string{transportNostr, transportPost}
	lockKinds      = []string{KindP2PK, KindHTLC}
)

type tlv struct {
	kind  byte
	value []byte
}

// readTLV splits fields of a type of one byte and a length of two (NUT-26).
func readTLV(b []byte) ([]tlv, error) {
	var out []tlv
	for len(b) > 0 {
		if len(b) < 3 {
			return nil, fmt.Errorf("a field is cut off")
		}
		n := int(binary.BigEndian.Uint16(b[1:]))
		if len(b) < 3+n {
			return nil, fmt.Errorf("field %d is cut off", b[0])
		}
		out = append(out, tlv{b[0], b[3 : 3+n]})
		b = b[3+n:]
	}
	return out, nil
}

func appendTLV(b []byte, kind byte, value []byte) ([]byte, error) {
	if len(value) > math.MaxUint16 {
		return nil, fmt.Errorf("%w: field %d is too long", ErrRequest, kind)
	}
	b = binary.BigEndian.AppendUint16(append(b, kind), uint16(len(value)))
	return append(b, value...), nil
}

func parseRequestB(text string) (*Request, error) {
	hrp, words, version, err := bech32.DecodeNoLimitWithVersion(text)
	if err != nil || version != bech32.VersionM || hrp+"1" != requestB {
		return nil, fmt.Errorf("it is not bech32m, or its checksum is wrong")
	}
	b, err := bech32.ConvertBits(words, 5, 8, false)
	if err != nil {
		return nil, fmt.Errorf("it is not bech32m")
	}
	fields, err := readTLV(b)
	if err != nil {
		return nil, err
	}
	r := new(Request)
	seen := make(map[byte]bool)
	for _, f := range fields {
		if seen[f.kind] && f.kind <= fieldLock && f.kind != fieldMint && f.kind != fieldTransport {
			return nil, fmt.Errorf("field %d appears twice", f.kind)
		}
		seen[f.kind] = true
		if err := r.setField(f); err != nil {
			return nil, fmt.Errorf("field %d: %w", f.kind, err)
		}
	}
	return r, nil
}

func (r *Request) setField(f tlv) (err error) {
	switch f.kind {
	case fieldID:
		r.ID, err = utf8Text(f.value)
	case fieldAmount:
		if len(f.value) != 8 {
			return fmt.Errorf("%d bytes where 8 are needed", len(f.value))
		}
		r.Amount = binary.BigEndian.Uint64(f.value)
	case fieldUnit:
		if len(f.value) == 1 && f.value[0] == 0 {
			r.Unit = "sat"
			return nil
		}
		r.Unit, err = utf8Text(f.value)
	case fieldSingleUse:
		if len(f.value) != 1 || f.value[0] > 1 {
			return fmt.Errorf("it is neither 0 nor 1")
		}
		single := f.value[0] == 1
		r.SingleUse = &single
	case fieldMint:
		var mint string
		mint, err = utf8Text(f.value)
		r.Mints = append(r.Mints, mint)
	case fieldDescription:
		r.Description, err = utf8Text(f.value)
	case fieldTransport:
		var t Transport
		t, err = parseTransport(f.value)
		r.Transports = append(r.Transports, t)
	case fieldLock:
		r.Lock, err = parseLockOption(f.value)
	}
	return err // fields of other types are for later versions
}

func utf8Text(b []byte) (string, error) {
	if !utf8.Valid(b) {
		return "", fmt.Errorf("it is not UTF-8")
	}
	return string(b), nil
}

// sub is what transports and locks have in common.
type sub struct {
	kind   byte
	target []byte
	tags   [][]string
}

func parseSub(b []byte) (sub, error) {
	fields, err := readTLV(b)
	if err != nil {
		return sub{}, err
	}
	var out sub
	seen := make(map[byte]bool)
	for _, f := range fields {
		if seen[f.kind] && (f.kind == subKind || f.kind == subTarget) {
			return sub{}, fmt.Errorf("a part appears twice")
		}
		seen[f.kind] = true
		switch f.kind {
		case subKind:
			if len(f.value) != 1 {
				return sub{}, fmt.Errorf("its kind is not of one byte")
			}
			out.kind = f.value[0]
		case subTarget:
			out.target = f.value
		case subTag:
			tag, err := parseTag(f.value)
			if err != nil {
				return sub{}, err
			}
			out.tags = append(out.tags, tag)
		}
	}
	if !seen[subKind] || !seen[subTarget] {
		return sub{}, fmt.Errorf("its kind or target is missing")
	}
	return out, nil
}

func parseTag(b []byte) ([]string, error) {
	var out []string
	for len(b) > 0 {
		n := int(b[0])
		if len(b) < 1+n {
			return nil, fmt.Errorf("a tag is cut off")
		}
		s, err := utf8Text(b[1 : 1+n])
		if err != nil {
			return nil, fmt.Errorf("a tag: %w", err)
		}
		out = append(out, s)
		b = b[1+n:]
	}
	return out, nil
}

func parseTransport(b []byte) (Transport, error) {
	s, err := parseSub(b)
	if err != nil {
		return Transport{}, err
	}
	switch {
	case int(s.kind) >= len(transportKinds):
		return Transport{}, fmt.Errorf("unknown transport %d", s.kind)
	case transportKinds[s.kind] == transportPost:
		target, err := utf8Text(s.target)
		return Transport{Type: transportPost, Target: target, Tags: s.tags}, err
	case len(s.target) != 32:
		return Transport{}, fmt.Errorf("a key of %d bytes where 32 are needed", len(s.target))
	}
	out := Transport{Type: transportNostr}
	var relays []string
	for _, tag := range s.tags {
		if len(tag) > 0 && tag[0] == tagRelay {
			relays = append(relays, tag[1:]...)
		} else {
			out.Tags = append(out.Tags, tag)
		}
	}
	key := hex.EncodeToString(s.target)
	if len(relays) > 0 {
		out.Target, err = nip19.EncodeProfile(key, relays)
	} else {
		out.Target, err = nip19.EncodePublicKey(key)
	}
	return out, err
}

func parseLockOption(b []byte) (*LockOption, error) {
	s, err := parseSub(b)
	if err != nil {
		return nil, err
	}
	if int(s.kind) >= len(lockKinds) {
		return nil, fmt.Errorf("unknown kind of condition %d", s.kind)
	}
	data, err := utf8Text(s.target)
	if err != nil {
		return nil, err
	}
	return &LockOption{Kind: lockKinds[s.kind], Data: data, Tags: s.tags}, nil
}

// EncodeB writes the request in version B (NUT-26), in upper case for QR codes. Errors wrap
// ErrRequest.
func (r *Request) EncodeB() (string, error) {
	if err := r.check(); err != nil {
		return "", err
	}
	b, err := r.tlv()
	if err != nil {
		return "", err
	}
	words, err := bech32.ConvertBits(b, 8, 5, true)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrRequest, err)
	}
	out, err := bech32.EncodeM(strings.TrimSuffix(requestB, "1"), words)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrRequest, err)
	}
	if len(out) > MaxSize {
		return "", fmt.Errorf("%w: %d characters where %d are the most", ErrRequest, len(out), MaxSize)
	}
	return strings.ToUpper(out), nil
}

func (r *Request) tlv() ([]byte, error) {
	var fields []tlv
	add := func(kind byte, value []byte) {
		fields = append(fields, tlv{kind, value})
	}
	if r.ID != "" {
		add(fieldID, []byte(r.ID))
	}
	if r.Amount > 0 {
		add(fieldAmount, binary.BigEndian.AppendUint64(nil, r.Amount))
	}
	switch r.Unit {
	case "":
	case "sat":
		add(fieldUnit, []byte{0})
	default:
		add(fieldUnit, []byte(r.Unit))
	}
	if r.SingleUse != nil {
		flag := byte(0)
		if *r.SingleUse {
			flag = 1
		}
		add(fieldSingleUse, []byte{flag})
	}
	for _, m := range r.Mints {
		add(fieldMint, []byte(m))
	}
	if r.Description != "" {
		add(fieldDescription, []byte(r.Description))
	}
	for _, t := range r.Transports {
		value, err := t.tlv()
		if err != nil {
			return nil, err
		}
		add(fieldTransport, value)
	}
	if r.Lock != nil {
		value, err := sub{target: []byte(r.Lock.Data), tags: r.Lock.Tags}.encode(lockKinds, r.Lock.Kind)
		if err != nil {
			return nil, err
		}
		add(fieldLock, value)
	}
	var out []byte
	for _, f := range fields {
		var err error
		if out, err = appendTLV(out, f.kind, f.value); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (t Transport) tlv() ([]byte, error) {
	s := sub{target: []byte(t.Target), tags: t.Tags}
	if t.Type == transportNostr {
		kind, value, err := nip19.Decode(t.Target)
		if err != nil {
			return nil, fmt.Errorf("%w: the transport's target is neither npub nor nprofile", ErrRequest)
		}
		var key string
		switch v := value.(type) {
		case string:
			if kind != "npub" {
				return nil, fmt.Errorf("%w: the transport's target is neither npub nor nprofile", ErrRequest)
			}
			key = v
		case nostr.ProfilePointer:
			key = v.PublicKey
			s.tags = append([][]string(nil), t.Tags...)
			for _, relay := range v.Relays {
				s.tags = append(s.tags, []string{tagRelay, relay})
			}
		}
		if s.target, err = hex.DecodeString(key); err != nil || len(s.target) != 32 {
			return nil, fmt.Errorf("%w: the transport's target is neither npub nor nprofile", ErrRequest)
		}
	}
	return s.encode(transportKinds, t.Type)
}

func (s sub) encode(kinds []string, name string) ([]byte, error) {
	for i, k := range kinds {
		if k == name {
			return s.encodeKind(byte(i))
		}
	}
	return nil, fmt.Errorf("%w: %q cannot be written in version B", ErrRequest, cut(name))
}

func (s sub) encodeKind(kind byte) ([]byte, error) {
	out, err := appendTLV(nil, subKind, []byte{kind})
	if err != nil {
		return nil, err
	}
	if out, err = appendTLV(out, subTarget, s.target); err != nil {
		return nil, err
	}
	for _, tag := range s.tags {
		var value []byte
		for _, part := range tag {
			if len(part) > math.MaxUint8 {
				return nil, fmt.Errorf("%w: a tag is too long for version B", ErrRequest)
			}
			value = append(append(value, byte(len(part))), part...)
		}
		if out, err = appendTLV(out, subTag, value); err != nil {
			return nil, err
		}
	}
	return out, nil
}
