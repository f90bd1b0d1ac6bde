// Package bolt11 makes signed BOLT 11 invoices with a key that is at hand. The sandbox wallet
// and the doubles of the test suite share it; real wallets sign on their own side.
package bolt11

import (
	"fmt"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/zpay32"
)

// finalCLTV is the number of blocks that the last hop must leave; 18 is BOLT 11's default.
const finalCLTV = 18

// Terms are the contents of an invoice.
type Terms struct {
	// Params is the chain.
	Params *chaincfg.Params
	// Amount is in millisatoshi; zero leaves the amount to the payer.
	Amount lnwire.MilliSatoshi
	// PaymentHash is the SHA-256 of the preimage.
	PaymentHash [32]byte
	// PaymentAddr is the payment secret, which payers of today insist on.
	PaymentAddr [32]byte
	// Memo is the description; DescriptionHash stands in its place where it is not nil.
	Memo            string
	DescriptionHash *[32]byte
	// Timestamp is when the invoice was made, in whole seconds.
	Timestamp time.Time
	// Expiry is how long it can be paid, in whole seconds; zero means BOLT 11's default of
	// one hour.
	Expiry time.Duration
}

// Sign encodes the terms and signs them with key, whose public half becomes the payee. It
// announces the features that current payers ask for: variable-length onions and payment
// secrets as required, multi-part payments as supported.
func Sign(key *btcec.PrivateKey, t Terms) (string, error) {
	features := lnwire.NewFeatureVector(lnwire.NewRawFeatureVector(
		lnwire.TLVOnionPayloadRequired,
		lnwire.PaymentAddrRequired,
		lnwire.MPPOptional,
	), lnwire.Features)
	options := []func(*zpay32.Invoice){
		zpay32.CLTVExpiry(finalCLTV),
		zpay32.Features(features),
		zpay32.PaymentAddr(t.PaymentAddr),
	}
	if t.Amount != 0 {
		options = append(options, zpay32.Amount(t.Amount))
	}
	if t.Expiry != 0 {
		options = append(options, zpay32.Expiry(t.Expiry))
	}
	if t.DescriptionHash != nil {
		options = append(options, zpay32.DescriptionHash(*t.DescriptionHash))
	} else {
		options = append(options, zpay32.Description(t.Memo))
	}
	inv, err := zpay32.NewInvoice(t.Params, t.PaymentHash, t.Timestamp, options...)
	if err != nil {
		return "", fmt.Errorf("composing invoice: %w", err)
	}
	text, err := inv.Encode(zpay32.MessageSigner{SignCompact: func(msg []byte) ([]byte, error) {
		return ecdsa.SignCompact(key, chainhash.HashB(msg), true), nil
	}})
	if err != nil {
		return "", fmt.Errorf("encoding invoice: %w", err)
	}
	return text, nil
}
