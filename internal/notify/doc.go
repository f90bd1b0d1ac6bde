// Package notify tells a web server of events: one signed POST for each, tried again until the
// server takes it or a day has passed. Whoever has something to tell waits for nothing.
//
// Each request carries the header
//
//	L402-Signature: t=<Unix time in seconds>,v1=<hex>
//
// in which v1 is HMAC-SHA256 with the shared secret over the time, a dot and the body. A receiver
// computes it again, compares in constant time, and refuses times that lie far back.
//
// An event is told at least once: a receiver that answers too late, and a restart in a bad moment,
// make it come again, so receivers go by its id. Events come in no order.
//
// What is not delivered when the last configuration is unloaded is kept in the ledger and taken up
// again by the next process that starts with the same target. What a crash costs: events that were
// never kept, which are those since the process began. The payments themselves are in the ledger.
package notify
