// Package purse keeps ecash of one mint and unit: it takes tokens, makes change, buys ecash with
// Lightning, pays invoices, and loses nothing when the process or the mint dies in between.
//
// Each operation is one record in the store. It is written before the mint is asked for anything,
// with the inputs and with the counters (NUT-13) of the outputs, and written once more with the
// proofs that came out. What the purse holds follows from the records alone: a proof is there when an
// operation that is done has made it, and gone when an operation that was begun spends it. So one
// write moves the money, and there is no state between two records that could tear.
//
// After a crash or a lost answer the mint is asked what it signed (NUT-09) and what is spent
// (NUT-07); its error codes are never taken for that. Counters are claimed in blocks, durably, before
// they are used, and never used again.
package purse
