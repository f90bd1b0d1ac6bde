package ledger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

func sampleSettlement(i byte) Settlement {
	return Settlement{PaymentHash: [32]byte{i, 1}, TokenID: [32]byte{i, 2}, Time: time.Unix(1700000000, int64(i)).UTC(), Service: "svc",
		Tier: i, AmountMsat: 1 << (i % 60), Wallet: "node", Scheme: "L402", Tenant: "tenant"}
}

func sampleSegment(n int) []byte {
	var records []byte
	for i := range n {
		s := sampleSettlement(byte(i))
		records = appendRecord(records, recSettlement, s.Time.UnixNano(), s.appendTo(nil))
	}
	return sealSegment(records, n, 42)
}

func readAll(file []byte) (out []Settlement, err error) {
	err = readSegment(file, func(r record) error {
		s, err := decodeSettlement(r, &interner{})
		if err == nil {
			out = append(out, s)
		}
		return err
	})
	return out, err
}

func TestSegmentRoundTrip(t *testing.T) {
	got, err := readAll(sampleSegment(5))
	if err != nil || len(got) != 5 {
		t.Fatalf("%d, %v", len(got), err)
	}
	for i, s := range got {
		if want := sampleSettlement(byte(i)); !reflect.DeepEqual(s, want) {
			t.Errorf("%+v, want %+v", s, want)
		}
	}
	if got, err := readAll(sampleSegment(0)); err != nil || len(got) != 0 {
		t.Errorf("an empty segment: %d, %v", len(got), err)
	}
}

// TestTornSegment cuts a segment at every byte: what stands before the cut is read, and the cut is
// always noticed.
func TestTornSegment(t *testing.T) {
	file := sampleSegment(4)
	size := (len(file) - len(segMagic) - recHeader - 4) / 4
	for cut := range file {
		got, err := readAll(file[:cut])
		if !errors.Is(err, ErrCorrupt) {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		want := min(max(cut-len(segMagic), 0)/size, 4)
		if cut >= len(segMagic) && len(got) != want {
			t.Fatalf("cut at %d: %d records, want %d", cut, len(got), want)
		}
	}
}

// TestFlippedSegment flips every bit: the damage is noticed and no wrong record comes out.
func TestFlippedSegment(t *testing.T) {
	file := sampleSegment(3)
	for i := range len(file) * 8 {
		bad := bytes.Clone(file)
		bad[i/8] ^= 1 << (i % 8)
		got, err := readAll(bad)
		if !errors.Is(err, ErrCorrupt) {
			t.Fatalf("bit %d: %v", i, err)
		}
		for n, s := range got {
			if !reflect.DeepEqual(s, sampleSettlement(byte(n))) {
				t.Fatalf("bit %d: record %d is wrong", i, n)
			}
		}
	}
	if _, err := readAll(append(bytes.Clone(file), 0)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("trailing byte: %v", err)
	}
}

func TestSealedValue(t *testing.T) {
	payload, at, err := openValue(sealValue([]byte("x"), 7))
	if err != nil || string(payload) != "x" || at != 7 {
		t.Fatalf("%q, %d, %v", payload, at, err)
	}
	two := appendRecord(appendRecord(nil, recValue, 1, nil), recValue, 1, nil)
	for name, file := range map[string][]byte{"none": sealSegment(nil, 0, 1), "two": sealSegment(two, 2, 1), "other type": sampleSegment(1)} {
		if _, _, err := openValue(file); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSettlementLimits(t *testing.T) {
	long := strings.Repeat("x", maxName+1)
	for name, s := range map[string]Settlement{
		"service": {PaymentHash: [32]byte{1}, Service: long}, "wallet": {PaymentHash: [32]byte{1}, Wallet: long},
		"scheme": {PaymentHash: [32]byte{1}, Scheme: long}, "tenant": {PaymentHash: [32]byte{1}, Tenant: long},
	} {
		if err := s.check(); !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := (&Settlement{}).check(); !errors.Is(err, ErrInvalid) {
		t.Errorf("no hash: %v", err)
	}
}

func FuzzSegment(f *testing.F) {
	f.Add(sampleSegment(2))
	f.Add([]byte(segMagic))
	use := useEntry{hash: [32]byte{9}, period: 3, delta: Amount{-1, 5}, until: 77}
	f.Add(sealSegment(appendRecord(nil, recUse, 1, use.appendTo(nil)), 1, 1))
	f.Fuzz(func(t *testing.T, file []byte) {
		var again []byte
		n := 0
		err := readSegment(file, func(r record) error {
			n++
			again = appendRecord(again, r.typ, r.time, r.payload)
			if s, err := decodeSettlement(r, &interner{}); err == nil {
				back, err := decodeSettlement(record{time: r.time, payload: s.appendTo(nil)}, &interner{})
				if err != nil || back != s {
					t.Fatalf("settlement %+v came back as %+v, %v", s, back, err)
				}
			}
			if u, err := decodeUse(r); err == nil {
				if back, err := decodeUse(record{payload: u.appendTo(nil)}); err != nil || back != u {
					t.Fatalf("use %+v came back as %+v, %v", u, back, err)
				}
			}
			return nil
		})
		if err == nil {
			end := binary.LittleEndian.Uint64(file[len(file)-recHeader-4+5:])
			if !bytes.Equal(sealSegment(again, n, int64(end)), file) {
				t.Fatal("a good segment is not what it would be written as")
			}
		} else if !errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
	})
}

func FuzzRevocation(f *testing.F) {
	r := Revocation{Kind: KindService, Value: "gold", At: time.Unix(5, 0), Until: time.Unix(6, 0)}
	f.Add(r.encode())
	f.Fuzz(func(t *testing.T, payload []byte) {
		r, err := decodeRevocation(payload)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		back, err := decodeRevocation(r.encode())
		if err != nil || back.Value != r.Value || !back.At.Equal(r.At) || !back.Until.Equal(r.Until) {
			t.Fatalf("%+v came back as %+v, %v", r, back, err)
		}
	})
}
