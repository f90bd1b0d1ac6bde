// Package cashu is a wallet at a Cashu mint: the mint makes the invoices (NUT-04) and what is paid
// becomes ecash in a purse of this server's. It gives Lightning payments with no node at all; the
// price is that the mint holds the money until the ecash is spent or melted.
//
// An invoice is a mint quote. Quote and payment hash are in storage before the invoice is shown, and
// so are the secrets of the ecash before it is asked for; see package purse. Who pays gets a
// preimage as with any invoice; the mint does not tell it to the wallet, so that a look-up tells of a
// payment without it.
//
// # What unpaid invoices cost
//
// One unpaid invoice is one object in storage and one record in memory, until it has expired and the
// mint was asked a last time. It is asked for at ages that double, a dozen times in an hour, one
// invoice after the other; where the mint has websockets (NUT-17) it tells of payments by itself. The
// limit on clients bounds how many invoices are made, and purse.DefaultMaxBills how many can be
// unpaid at a time: above that no more are made.
//
// # Several servers on one storage
//
// Each server has records of its own, told apart by wallets.Vault's Instance, and the ecash that its
// invoices bring. Any of them can look up the invoices of all. The seed is common, with counters that
// are claimed under a lock.
package cashu
