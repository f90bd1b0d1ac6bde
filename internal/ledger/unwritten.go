package ledger

import "slices"

// unwritten tells names with nothing behind them from those that a merge or a newer version took
// away. Some back ends list a name before they store what belongs to it, as one on Redis does with
// its index: a writer that dies in between leaves a name that is listed for ever and never found.
// What it stands for was not stored, so nobody was told that it was, and what it was to replace is
// still there. A name that is taken away is gone from the next listing.
//
// The zero value is not ready; make one for each reading. It is not safe for concurrent use.
type unwritten[N comparable] map[N]int

// believeUnwritten is in how many listings in a row a name must be, without being found, until it
// counts as never stored: a live writer may be about to store it.
const believeUnwritten = 3

// missing notes that a listed name was not found.
func (u unwritten[N]) missing(n N) { u[n]++ }

// leaveOut gives a new listing without the names that were never stored. It works in place.
func (u unwritten[N]) leaveOut(names []N) []N {
	if len(u) == 0 {
		return names
	}
	return slices.DeleteFunc(names, func(n N) bool { return u[n] >= believeUnwritten })
}
