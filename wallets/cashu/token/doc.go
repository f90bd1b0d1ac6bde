// Package token reads and writes what Cashu wallets send one another: tokens (NUT-00, versions A
// and B), requests for payment (NUT-18 and NUT-26), and the conditions that ecash may be locked
// with (NUT-10, NUT-11, NUT-14).
//
// Everything here comes from strangers. Texts are bounded before they are decoded, amounts cannot
// overflow, no secret appears twice, and a lock is examined for who else than the receiver could
// spend the money. The package does no I/O and never uses the address of a mint that a token names:
// the caller compares it with the mints that it trusts.
//
// Proofs are money. No error and no String method of this package tells a secret, a signature or a
// preimage.
package token
