package bolt12

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Record is one field of a TLV stream.
type Record struct {
	// Type is the field's number.
	Type uint64
	// Value is its content.
	Value []byte
	// raw is the record as it stood in the stream, type and length included, because the
	// Merkle tree is built over those bytes.
	raw []byte
	// typeLen is the number of bytes of the type within raw.
	typeLen int
}

// Parse reads a TLV stream (BOLT 1): types strictly ascending, types and lengths in minimal
// BigSize form, nothing left over. The records point into data.
func Parse(data []byte) ([]Record, error) {
	var records []Record
	for rest := data; len(rest) > 0; {
		typ, n, err := bigSize(rest)
		if err != nil {
			return nil, fmt.Errorf("reading a field's type: %w", err)
		}
		if len(records) > 0 && typ <= records[len(records)-1].Type {
			return nil, fmt.Errorf("field %d is out of order", typ)
		}
		length, m, err := bigSize(rest[n:])
		if err != nil {
			return nil, fmt.Errorf("reading the length of field %d: %w", typ, err)
		}
		if length > uint64(len(rest)-n-m) {
			return nil, fmt.Errorf("field %d is longer than what is left", typ)
		}
		end := n + m + int(length)
		records = append(records, Record{
			Type: typ, Value: rest[n+m : end], raw: rest[:end], typeLen: n,
		})
		rest = rest[end:]
	}
	return records, nil
}

// Serialize writes the records as a TLV stream in ascending order of their types.
func Serialize(records []Record) []byte {
	sorted := slices.Clone(records)
	slices.SortFunc(sorted, func(a, b Record) int {
		switch {
		case a.Type < b.Type:
			return -1
		case a.Type > b.Type:
			return 1
		}
		return 0
	})
	var out []byte
	for _, r := range sorted {
		out = appendBigSize(out, r.Type)
		out = appendBigSize(out, uint64(len(r.Value)))
		out = append(out, r.Value...)
	}
	return out
}

// Find returns the value of the field, and whether it is there.
func Find(records []Record, typ uint64) ([]byte, bool) {
	for _, r := range records {
		if r.Type == typ {
			return r.Value, true
		}
	}
	return nil, false
}

// Uint reads a truncated integer (tu32, tu64): big-endian, without leading zero bytes, at most
// width bytes.
func Uint(b []byte, width int) (uint64, error) {
	if len(b) > width {
		return 0, fmt.Errorf("integer of %d bytes, at most %d are allowed", len(b), width)
	}
	if len(b) > 0 && b[0] == 0 {
		return 0, errors.New("integer with a leading zero byte")
	}
	var v uint64
	for _, c := range b {
		v = v<<8 | uint64(c)
	}
	return v, nil
}

// AppendUint is the inverse of Uint.
func AppendUint(out []byte, v uint64) []byte {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], v)
	i := 0
	for i < len(b) && b[i] == 0 {
		i++
	}
	return append(out, b[i:]...)
}

var errShort = errors.New("the stream ends too early")

func bigSize(b []byte) (v uint64, n int, err error) {
	if len(b) == 0 {
		return 0, 0, errShort
	}
	var least uint64
	switch b[0] {
	case 0xfd:
		n, least = 3, 0xfd
	case 0xfe:
		n, least = 5, math.MaxUint16+1
	case 0xff:
		n, least = 9, math.MaxUint32+1
	default:
		return uint64(b[0]), 1, nil
	}
	if len(b) < n {
		return 0, 0, errShort
	}
	for _, c := range b[1:n] {
		v = v<<8 | uint64(c)
	}
	if v < least {
		return 0, 0, errors.New("number is not in its shortest form")
	}
	return v, n, nil
}

func appendBigSize(out []byte, v uint64) []byte {
	switch {
	case v < 0xfd:
		return append(out, byte(v))
	case v <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(out, 0xfd), uint16(v))
	case v <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(out, 0xfe), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(out, 0xff), v)
}
