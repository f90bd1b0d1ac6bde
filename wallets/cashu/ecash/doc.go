// Package ecash is the cryptography of Cashu: blind signatures over secp256k1 (NUT-00), the ids of
// keysets (NUT-02), secrets and blinding factors that a seed gives (NUT-13), and the proofs that a
// mint signed with the key it published (NUT-12).
//
// A wallet hashes a secret to a point Y, hides it as B_ = Y + rG and has the mint sign that as
// C_ = kB_. From this it computes C = C_ - rK = kY. Whoever knows the secret and C has the money,
// and the mint cannot tell which of its signatures C comes from.
//
// The package knows no mint, no amounts beyond those that name keys, and does no I/O. Scalar
// multiplication is not of constant time, which is right for a wallet, whose blinding factors are
// used once, and for doubles of mints in tests; it is not made for a mint that others can time.
package ecash
