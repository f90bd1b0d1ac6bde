// Package lnurl is a wallet behind a Lightning address or an LNURL: somebody else's server makes
// the invoices, by LNURL-pay, and no node and no credential is needed here.
//
// What it speaks: LUD-06 (the pay request and its callback), LUD-01, LUD-16 and LUD-17 (the forms
// in which a payee is named), LUD-12 (comments) and LUD-21 (telling whether an invoice was paid).
// What LUD-09 wants to be shown after a payment is for people with a wallet app and is ignored.
//
// A challenge costs one round trip: what the payee's server accepts is asked for once a minute.
// The invoice's description is the payee's own, so that a memo cannot be set, and so is its
// expiry.
//
// # Looking payments up
//
// A payer who has the preimage needs no look-up. For the others there is LUD-21: beside each
// invoice the server gives an address that tells whether it was paid. LNURL has no call that takes
// a payment hash, and nobody reports payments, so the wallet subscribes to nothing and has to
// remember these addresses:
//
//   - In memory, for the latest invoices.
//   - As a pattern. Most servers put the payment hash into the address. When two invoices of a
//     payee show the same address but for the hash, the address for any other hash is known too:
//     after a restart, and on an instance that did not make the invoice.
//   - In storage, since other servers put a random word there. An unpaid request must write
//     nothing, so nothing is written when an invoice is made, but only when the address was used:
//     somebody came back with the token and the server gave a valid answer. That is a pattern
//     once for each payee, or else the address itself. Addresses of payments are always written;
//     those of unpaid invoices at a bounded rate, and all of them in a bounded number of objects.
//
// What is lost with a restart is the address of an invoice that nobody asked for before, at a
// server without a pattern. Its payer needs the preimage then.
//
// # Foreign addresses
//
// The payee's server names further addresses, and a request may name the payee. All of them are
// followed only over https and only to hosts on the public internet. That is checked on the IP
// address of each connection that is made, after names were resolved and redirects followed, so
// that neither can lead into the operator's network.
package lnurl
