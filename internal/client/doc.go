// Package client buys what lies behind L402 challenges: it asks, reads the challenge, checks the
// invoice, has it paid, and asks again with the token.
//
// It is careful with money. An invoice is paid only after it was decoded and found to be no dearer
// than allowed, for the wallet's network, still alive, and over the very payment hash that the
// token names. Nothing is paid twice: one exchange pays at most once, stored tokens are tried
// first, and a payment whose end is not known is taken up again rather than repeated. A token goes
// to the origin that sold it and to no other.
package client
