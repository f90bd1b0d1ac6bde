// Package mint is a client of one Cashu mint over HTTP: keysets (NUT-01, NUT-02), swaps (NUT-03),
// minting and melting with BOLT 11 (NUT-04, NUT-05, NUT-08, NUT-23), the states of proofs (NUT-07),
// restoring (NUT-09) and the mint's information (NUT-06).
//
// The mint holds the money, but is not trusted beyond that. Keys must give the id of their keyset,
// signatures must be over the amounts and by the keysets that were asked for, DLEQ proofs (NUT-12)
// are verified where there are any, and answers are bounded in size and time. No redirect is
// followed: what goes to a mint is money.
//
// A Refusal says that the mint answered, but not that nothing happened: implementations use error
// codes differently, and a request that was repeated by something on the way may have succeeded the
// first time. Who must know asks with Restore and CheckState.
package mint
