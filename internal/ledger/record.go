package ledger

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// The layout of a file of records, all numbers little-endian:
//
//	"l402led1"
//	{ length u32 | type u8 | time i64, unix nanoseconds | CRC-32C u32 | payload }
//	  … the last record has type recEnd and tells how many stand before it
//
// The checksum covers length, type, time and payload.

const (
	segMagic   = "l402led1"
	recHeader  = 4 + 1 + 8 + 4
	maxPayload = 1<<20 + 1<<10
)

// The types of records.
const (
	recSettlement byte = 1
	recUse        byte = 2
	recNote       byte = 3
	recValue      byte = 4 // a durable value or a revocation, alone in its object
	recEnd        byte = 0xff
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// record is one entry as it was read. payload points into the file's bytes.
type record struct {
	typ     byte
	time    int64
	payload []byte
}

func checksum(head, payload []byte) uint32 {
	return crc32.Update(crc32.Checksum(head, castagnoli), castagnoli, payload)
}

func appendRecord(dst []byte, typ byte, at int64, payload []byte) []byte {
	start := len(dst)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(payload)))
	dst = append(dst, typ)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(at))
	dst = binary.LittleEndian.AppendUint32(dst, checksum(dst[start:], payload))
	return append(dst, payload...)
}

// sealSegment puts magic and end around count encoded records.
func sealSegment(records []byte, count int, at int64) []byte {
	out := make([]byte, 0, len(segMagic)+len(records)+recHeader+4)
	out = append(out, segMagic...)
	out = append(out, records...)
	return appendRecord(out, recEnd, at, binary.LittleEndian.AppendUint32(nil, uint32(count)))
}

// readSegment calls found for each good record up to the first bad one. The error wraps
// ErrCorrupt when the file was cut short or is damaged; what found has got by then is good.
func readSegment(file []byte, found func(record) error) error {
	if len(file) < len(segMagic) || string(file[:len(segMagic)]) != segMagic {
		return fmt.Errorf("%w: no ledger file", ErrCorrupt)
	}
	for off, n := len(segMagic), 0; ; n++ {
		rest := file[off:]
		if len(rest) < recHeader {
			return fmt.Errorf("%w: cut at byte %d after %d records", ErrCorrupt, off, n)
		}
		length := binary.LittleEndian.Uint32(rest)
		if length > maxPayload || int(length) > len(rest)-recHeader {
			return fmt.Errorf("%w: cut at byte %d after %d records", ErrCorrupt, off, n)
		}
		payload := rest[recHeader : recHeader+int(length)]
		if checksum(rest[:13], payload) != binary.LittleEndian.Uint32(rest[13:]) {
			return fmt.Errorf("%w: checksum differs at byte %d after %d records", ErrCorrupt, off, n)
		}
		r := record{typ: rest[4], time: int64(binary.LittleEndian.Uint64(rest[5:])), payload: payload}
		off += recHeader + int(length)
		if r.typ == recEnd {
			if len(payload) != 4 || int(binary.LittleEndian.Uint32(payload)) != n || off != len(file) {
				return fmt.Errorf("%w: end does not fit after %d records", ErrCorrupt, n)
			}
			return nil
		}
		if err := found(r); err != nil {
			return err
		}
	}
}

// sealValue makes an object of a single value.
func sealValue(payload []byte, at int64) []byte {
	return sealSegment(appendRecord(nil, recValue, at, payload), 1, at)
}

// openValue reads an object of a single value.
func openValue(file []byte) (payload []byte, at int64, err error) {
	n := 0
	err = readSegment(file, func(r record) error {
		if r.typ != recValue {
			return fmt.Errorf("%w: record of type %d where a value was due", ErrCorrupt, r.typ)
		}
		n++
		payload, at = r.payload, r.time
		return nil
	})
	if err == nil && n != 1 {
		err = fmt.Errorf("%w: %d values in one object", ErrCorrupt, n)
	}
	return payload, at, err
}

// decoder takes a payload apart; after the first fault all is zero and bad is set.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) take(n int) []byte {
	if d.bad || n < 0 || n > len(d.b) {
		d.bad = true
		return nil
	}
	out := d.b[:n]
	d.b = d.b[n:]
	return out
}

func (d *decoder) hash() (h [32]byte) {
	copy(h[:], d.take(32))
	return h
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if d.bad || n <= 0 {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if d.bad || n <= 0 {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

// bytes reads a length and so many bytes, which point into the payload.
func (d *decoder) bytes() []byte {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.bad = true
		return nil
	}
	return d.take(int(n))
}

// done returns an error unless all was there and nothing is left.
func (d *decoder) done(what string) error {
	if d.bad || len(d.b) != 0 {
		return fmt.Errorf("%w: %s of a wrong form", ErrCorrupt, what)
	}
	return nil
}

func appendBytes[T string | []byte](dst []byte, s T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}
