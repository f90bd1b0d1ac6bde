package lnd

import (
	"slices"
	"strconv"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// maxHeld bounds the settlements that wait for an earlier one.
const maxHeld = 1 << 14

// sequence brings settlements into the order of their settle index before it tells them. An LND
// on an SQL database sends those of the past in the order in which the invoices were made, and a
// cursor that ran ahead would lose the rest when the stream breaks.
//
// It is used by one goroutine.
type sequence struct {
	tell func(wallets.Settlement)
	// last is the index up to which all was told; zero where none is known.
	last uint64
	held []heldSettlement
}

type heldSettlement struct {
	index uint64
	s     wallets.Settlement
}

// add takes a settlement and tells what is next in line. The first one of all starts the line.
func (q *sequence) add(index uint64, s wallets.Settlement) {
	switch {
	case q.last == 0 || index == q.last+1:
		q.last = index
		q.report(s)
		q.drain()
	case index <= q.last:
		// One that flush gave up. Telling it again costs nothing; the cursor stays.
		q.report(s)
	default:
		q.held = append(q.held, heldSettlement{index, s})
		if len(q.held) > maxHeld {
			q.flush()
		}
	}
}

// drain tells the held ones that follow without a gap.
func (q *sequence) drain() {
	if len(q.held) == 0 {
		return
	}
	q.sort()
	n := 0
	for ; n < len(q.held) && q.held[n].index <= q.last+1; n++ {
		q.last = max(q.last, q.held[n].index)
		q.report(q.held[n].s)
	}
	q.held = slices.Delete(q.held, 0, n)
}

// flush tells all held ones and gives up the gaps between them.
func (q *sequence) flush() {
	q.sort()
	for _, h := range q.held {
		q.last = max(q.last, h.index)
		q.report(h.s)
	}
	q.held = nil
}

// forget drops the held ones; a new stream brings them again.
func (q *sequence) forget() { q.held = nil }

func (q *sequence) sort() {
	slices.SortStableFunc(q.held, func(a, b heldSettlement) int {
		if a.index < b.index {
			return -1
		}
		if a.index > b.index {
			return 1
		}
		return 0
	})
}

func (q *sequence) report(s wallets.Settlement) {
	s.Cursor = strconv.FormatUint(q.last, 10)
	q.tell(s)
}
