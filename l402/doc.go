// Package l402 is the protocol core of L402: tokens that are bought with a Lightning payment and
// checked without asking anybody.
//
// A token is a macaroon in the binary V2 encoding. Its identifier names the payment hash of the
// invoice that buys it, its caveats name what was sold. The holder proves the payment with the
// preimage of that hash. The package mints tokens (Mint), writes and reads challenges (Challenge,
// ParseChallenges), reads credentials from HTTP headers in the many spellings that clients use
// (Reader) and verifies them (Verify).
//
// The package imports no web server and does no I/O; it can be used by any Go program. The way of
// a paid request, Reader and Verify, touches memory only, takes no lock and allocates nothing.
//
// # Two deliberate limits
//
// A token has one spelling in bytes. Verify accepts exactly the bytes that Mint and Attenuate
// write: location "lsat", a 66-byte identifier of version 0, first-party caveats only, minimal
// lengths, nothing behind the signature. Whoever wants to recognize a token again still goes by its
// payment hash, because header text (base64, hex) spells the same bytes in several ways.
//
// A caveat that Verify does not know refuses the token, because a holder who narrows a token before
// handing it on must be able to rely on it. Want.SkipUnknown gives the L402 specification's literal
// reading, which ignores such caveats.
package l402
