// Package payment speaks the Payment HTTP authentication scheme (the drafts
// draft-httpauth-payment and draft-lightning-charge): challenges, credentials and receipts whose
// JSON is canonical (RFC 8785) and travels in base64url.
//
// It reads and writes, and it checks that a credential echoes a challenge that the holder of a
// secret made. What a payment buys is not its matter. It imports no web server and does no I/O.
// Everything in it may be used by many goroutines at a time.
package payment
