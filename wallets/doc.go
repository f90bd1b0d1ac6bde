// Package wallets is the vocabulary that the gate and the wallet adapters share: what a wallet
// must be able to do (Wallet), what it may be able to do besides (the small optional interfaces)
// and how it is configured (Guest). It imports no Caddy.
//
// # The way of an invoice
//
// The gate asks a Wallet for an invoice with CreateInvoice, under a deadline. What comes back is
// checked with CheckInvoice: the text is decoded and must be for the right network, amount,
// payment hash and payee, and payable for long enough. Duplicates notices a payment hash that a
// wallet gives twice. Only then does the text reach a client.
//
// The client pays and learns the preimage, which is the proof of payment. The wallet is asked
// again only for those who cannot show one: by LookupInvoice, or by SubscribeSettlements where
// the wallet is a Subscriber.
//
// # Amounts, times and hashes
//
// Amounts are in millisatoshi everywhere, as lnwire.MilliSatoshi; a wallet that can only do
// whole satoshis says ErrAmount and never rounds. Lifetimes are whole seconds. A payment hash is
// the SHA-256 of a preimage; both are 32 bytes, and their text is lower-case hex in the order of
// the bytes.
//
// # Invoice texts
//
// DecodeInvoice reads BOLT 11 ("lnbc…", "lntb…", "lntbs…", "lnbcrt…") and BOLT 12 ("lni…") and
// finds the network by itself. It verifies checksum and signature and is as strict as a payer
// must be: an amount that overflows, a mixed case or an unknown even field of BOLT 12 is
// refused. It is made for input from anyone.
//
// # Errors
//
// The sentinels in this package are what callers look for with errors.Is; adapters wrap them and
// add the peer and the step. An error is a sentence for the operator and holds no secret.
//
// # Writing an adapter
//
// An adapter is one package below this one with a type that implements Guest and is a Caddy
// module in the namespace l402.wallets. Open dials nothing: the first call does, and every later
// one dials again where it must. The suite in wallettest says in tests what this package says in
// prose; every adapter runs it against a double of its peer. Package sandbox is the smallest
// adapter to start from.
package wallets
