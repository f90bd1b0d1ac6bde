package lnd

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// told is what a sequence told: the index, which the tests put into the amount, and the cursor.
type told struct{ index, cursor uint64 }

func feed(last uint64, indexes ...uint64) (*sequence, *[]told) {
	out := new([]told)
	q := &sequence{last: last, tell: func(s wallets.Settlement) {
		cursor, err := strconv.ParseUint(s.Cursor, 10, 64)
		if err != nil {
			panic(err)
		}
		*out = append(*out, told{uint64(s.AmountPaid), cursor})
	}}
	for _, i := range indexes {
		q.add(i, wallets.Settlement{AmountPaid: lnwire.MilliSatoshi(i)})
	}
	return q, out
}

func TestSequence(t *testing.T) {
	for _, c := range []struct {
		name    string
		last    uint64
		in      []uint64
		want    []told
		flushed []told
	}{
		{"in order", 4, []uint64{5, 6}, []told{{5, 5}, {6, 6}}, nil},
		{"the first starts the line", 0, []uint64{9, 10}, []told{{9, 9}, {10, 10}}, nil},
		{"overtaken", 4, []uint64{6, 7, 5}, []told{{5, 5}, {6, 6}, {7, 7}}, nil},
		{"a gap for good", 4, []uint64{7, 6}, nil, []told{{6, 6}, {7, 7}}},
		{"a gap after some", 4, []uint64{5, 8}, []told{{5, 5}}, []told{{8, 8}}},
		{"told before", 4, []uint64{5, 3}, []told{{5, 5}, {3, 5}}, nil},
		{"twice while held", 4, []uint64{6, 6, 5}, []told{{5, 5}, {6, 6}, {6, 6}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			q, out := feed(c.last, c.in...)
			if !slices.Equal(*out, c.want) {
				t.Errorf("told %v, want %v", *out, c.want)
			}
			*out = nil
			q.flush()
			if !slices.Equal(*out, c.flushed) {
				t.Errorf("flush told %v, want %v", *out, c.flushed)
			}
		})
	}
}

// TestSequenceOfAnyOrder checks for random orders that all is told, in order, and that no cursor
// runs ahead of what was told.
func TestSequenceOfAnyOrder(t *testing.T) {
	for range 200 {
		in := rand.Perm(50)
		indexes := make([]uint64, len(in))
		for i, v := range in {
			indexes[i] = uint64(v) + 11
		}
		q, out := feed(10, indexes...)
		if len(q.held) != 0 {
			t.Fatalf("%d are still held", len(q.held))
		}
		for i, got := range *out {
			if want := uint64(i) + 11; got.index != want || got.cursor != want {
				t.Fatalf("told %v as number %d, want index and cursor %d", got, i+1, want)
			}
		}
		if len(*out) != len(in) {
			t.Fatalf("told %d of %d", len(*out), len(in))
		}
	}
}

func TestSequenceIsBounded(t *testing.T) {
	q, out := feed(1)
	for i := range uint64(maxHeld + 10) {
		q.add(i+100, wallets.Settlement{})
	}
	if len(q.held) > maxHeld {
		t.Errorf("%d are held, more than %d", len(q.held), maxHeld)
	}
	if len(*out) < maxHeld {
		t.Errorf("only %d were told", len(*out))
	}
}

func TestSequenceForgets(t *testing.T) {
	q, out := feed(1, 5, 6)
	q.forget()
	q.flush()
	if len(*out) != 0 || q.last != 1 {
		t.Errorf("told %v, last %d after forgetting; want nothing and 1", *out, q.last)
	}
}
