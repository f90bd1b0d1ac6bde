package mint

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
	"github.com/caddy-l402/caddy-l402/wallets/internal/httpjson"
)

// The units that Lightning payments can be made in.
const (
	// UnitSat is the satoshi.
	UnitSat = "sat"
	// UnitMsat is the thousandth of a satoshi.
	UnitMsat = "msat"
)

// QuoteState is how far a quote is (NUT-23).
type QuoteState string

// The states of quotes.
const (
	// QuoteUnpaid says that nothing has been paid.
	QuoteUnpaid QuoteState = "UNPAID"
	// QuotePending says that a melt's payment is in flight.
	QuotePending QuoteState = "PENDING"
	// QuotePaid says that the invoice is paid.
	QuotePaid QuoteState = "PAID"
	// QuoteIssued says that the ecash of a mint quote has been made.
	QuoteIssued QuoteState = "ISSUED"
)

// maxQuoteID bounds the id of a quote, which becomes a part of addresses.
const maxQuoteID = 256

// MintQuote is an invoice of the mint whose payment buys ecash (NUT-04).
type MintQuote struct {
	// ID is known to nobody else: who knows it can take the ecash.
	ID string
	// Request is the invoice (BOLT 11).
	Request string
	// Amount is in Unit.
	Amount uint64
	// Unit is the unit of the ecash.
	Unit string
	// State is how far the quote is.
	State QuoteState
	// Expiry is when the invoice can no longer be paid; zero where the mint does not say.
	Expiry time.Time
}

// MeltQuote is the mint's offer to pay an invoice (NUT-05).
type MeltQuote struct {
	// ID names the quote.
	ID string
	// Request is the invoice (BOLT 11).
	Request string
	// Hash is the invoice's payment hash.
	Hash [32]byte
	// Amount is what the invoice is over, in Unit, rounded up.
	Amount uint64
	// FeeReserve is the most that Lightning may cost besides, in Unit.
	FeeReserve uint64
	// Unit is the unit of the ecash.
	Unit string
	// State is how far the payment is.
	State QuoteState
	// Expiry is when the mint no longer pays for this; zero where the mint does not say.
	Expiry time.Time
}

type quoteJSON struct {
	Quote      string          `json:"quote"`
	Request    string          `json:"request"`
	Amount     *uint64         `json:"amount"`
	Unit       string          `json:"unit"`
	FeeReserve uint64          `json:"fee_reserve"`
	State      QuoteState      `json:"state"`
	Paid       *bool           `json:"paid"` // the state of old
	Expiry     *float64        `json:"expiry"`
	Preimage   string          `json:"payment_preimage"`
	Change     []signatureJSON `json:"change"`
}

func (q quoteJSON) state() (QuoteState, error) {
	switch q.State {
	case QuoteUnpaid, QuotePending, QuotePaid, QuoteIssued:
		return q.State, nil
	case "":
		if q.Paid != nil && *q.Paid {
			return QuotePaid, nil
		}
		if q.Paid != nil {
			return QuoteUnpaid, nil
		}
	}
	return "", cheated("a quote of unknown state")
}

func (q quoteJSON) expiry() time.Time {
	if q.Expiry == nil || *q.Expiry <= 0 || *q.Expiry > math.MaxInt32*16.0 {
		return time.Time{}
	}
	return time.Unix(int64(*q.Expiry), 0)
}

func checkQuoteID(id string) error {
	if id == "" || len(id) > maxQuoteID || strings.ContainsAny(id, "/?#%\\") || strings.Trim(id, ".") == "" {
		return cheated("a quote whose id cannot be a part of an address")
	}
	return nil
}

// msat is an amount in millisatoshi.
func msat(amount uint64, unit string) (lnwire.MilliSatoshi, error) {
	const most = 21_000_000 * 100_000_000 // sat
	switch {
	case unit == UnitSat && amount <= most:
		return lnwire.MilliSatoshi(amount * 1000), nil
	case unit == UnitMsat && amount <= most*1000:
		return lnwire.MilliSatoshi(amount), nil
	case unit != UnitSat && unit != UnitMsat:
		return 0, fmt.Errorf("%w: %q: Lightning payments need sat or msat", ErrUnit, unit)
	}
	return 0, fmt.Errorf("%w: more than there is", token.ErrAmount)
}

// RequestMint asks for an invoice whose payment buys ecash (NUT-04, NUT-23). The invoice is checked
// to be over the amount; that it is for the right chain is for the caller to check.
func (c *Client) RequestMint(ctx context.Context, amount uint64, unit, description string) (MintQuote, error) {
	want, err := msat(amount, unit)
	if err != nil {
		return MintQuote{}, fmt.Errorf("requesting a mint quote at %s: %w", c.url, err)
	}
	in := struct {
		Amount      uint64 `json:"amount"`
		Unit        string `json:"unit"`
		Description string `json:"description,omitempty"`
	}{amount, unit, description}
	var answer quoteJSON
	err = c.post(ctx, "v1/mint/quote/bolt11", in, &answer)
	var q MintQuote
	if err == nil {
		q, err = answer.mintQuote(amount, unit)
	}
	if err == nil {
		var d *wallets.Decoded
		if d, err = wallets.DecodeInvoice(q.Request); err == nil && d.Amount != want {
			err = cheated("an invoice over %d msat where %d were asked for", d.Amount, want)
		}
	}
	if err != nil {
		return MintQuote{}, fmt.Errorf("requesting a mint quote at %s: %w", c.url, err)
	}
	return q, nil
}

// mintQuote takes quotes with and without amount and unit: not all mints repeat them.
func (q quoteJSON) mintQuote(amount uint64, unit string) (MintQuote, error) {
	state, err := q.state()
	switch {
	case err != nil:
		return MintQuote{}, err
	case q.Amount != nil && *q.Amount != amount:
		return MintQuote{}, cheated("a quote over %d where %d was asked for", *q.Amount, amount)
	case q.Unit != "" && q.Unit != unit:
		return MintQuote{}, cheated("a quote of %.16q where %s was asked for", q.Unit, unit)
	}
	if err := checkQuoteID(q.Quote); err != nil {
		return MintQuote{}, err
	}
	return MintQuote{ID: q.Quote, Request: q.Request, Amount: amount, Unit: unit, State: state, Expiry: q.expiry()}, nil
}

// LookupMint asks how far a quote is; the amount and unit are those that it was requested with.
func (c *Client) LookupMint(ctx context.Context, id string, amount uint64, unit string) (MintQuote, error) {
	var answer quoteJSON
	err := checkQuoteID(id)
	if err == nil {
		err = c.get(ctx, "v1/mint/quote/bolt11/"+url.PathEscape(id), &answer)
	}
	var q MintQuote
	if err == nil {
		q, err = answer.mintQuote(amount, unit)
	}
	if err == nil && q.ID != id {
		err = cheated("another quote than the one that was asked for")
	}
	if err != nil {
		return MintQuote{}, fmt.Errorf("looking up a mint quote at %s: %w", c.url, err)
	}
	return q, nil
}

// Mint makes the ecash of a paid quote (NUT-04). The outputs must be worth the quote's amount, and
// in storage before the call, as with Swap.
func (c *Client) Mint(ctx context.Context, id string, outputs []Output) ([]token.Proof, error) {
	blinded, keysets, err := c.prepare(ctx, outputs)
	if err != nil {
		return nil, fmt.Errorf("minting at %s: %w", c.url, err)
	}
	in := struct {
		Quote   string          `json:"quote"`
		Outputs []token.Blinded `json:"outputs"`
	}{id, blinded}
	var answer struct {
		Signatures []signatureJSON `json:"signatures"`
	}
	err = c.post(ctx, "v1/mint/bolt11", in, &answer)
	var out []token.Proof
	if err == nil {
		out, err = c.proofs(outputs, blinded, keysets, answer.Signatures, false)
	}
	if err != nil {
		return nil, fmt.Errorf("minting at %s: %w", c.url, err)
	}
	return out, nil
}

// RequestMelt asks what it costs to have an invoice (BOLT 11) paid (NUT-05, NUT-23). An invoice
// without amount is refused, and a quote over another amount than the invoice's is ErrCheated.
func (c *Client) RequestMelt(ctx context.Context, invoice, unit string) (MeltQuote, error) {
	d, err := wallets.DecodeInvoice(invoice)
	if err != nil {
		return MeltQuote{}, fmt.Errorf("requesting a melt quote at %s: %w", c.url, err)
	}
	want := uint64(d.Amount)
	switch {
	case unit == UnitSat:
		want = (want + 999) / 1000
	case unit != UnitMsat:
		return MeltQuote{}, fmt.Errorf("requesting a melt quote at %s: %w: Lightning payments need sat or msat", c.url, ErrUnit)
	}
	if d.Amount == 0 || d.Bolt12 {
		return MeltQuote{}, fmt.Errorf("requesting a melt quote at %s: %w: use a BOLT 11 invoice with an amount",
			c.url, wallets.ErrBadInvoice)
	}
	in := struct {
		Request string `json:"request"`
		Unit    string `json:"unit"`
	}{d.PaymentRequest, unit}
	var answer quoteJSON
	if err = c.post(ctx, "v1/melt/quote/bolt11", in, &answer); err == nil {
		err = checkQuoteID(answer.Quote)
	}
	var state QuoteState
	if err == nil {
		state, err = answer.state()
	}
	if err == nil && (answer.Amount == nil || *answer.Amount != want) {
		err = cheated("a quote over another amount than the invoice's %d", want)
	}
	if err == nil && answer.Unit != "" && answer.Unit != unit {
		err = cheated("a quote of another unit than %s", unit)
	}
	if err != nil {
		return MeltQuote{}, fmt.Errorf("requesting a melt quote at %s: %w", c.url, err)
	}
	return MeltQuote{
		ID: answer.Quote, Request: d.PaymentRequest, Hash: d.PaymentHash, Amount: want,
		FeeReserve: answer.FeeReserve, Unit: unit, State: state, Expiry: answer.expiry(),
	}, nil
}

// MeltResult is how far the payment of a melt is.
type MeltResult struct {
	// State is QuotePaid, QuotePending, or QuoteUnpaid where the payment failed or was not
	// begun.
	State QuoteState
	// Preimage proves the payment. It is nil where the mint tells none that is the invoice's;
	// the mint's word is then all there is.
	Preimage *[32]byte
	// Change is what the mint gives back of the fee reserve (NUT-08).
	Change []token.Proof
}

// Melt has the mint pay the invoice of a quote (NUT-05). The inputs must be worth the quote's amount
// and fee reserve and their Fee; blanks are blank outputs, in storage before the call, which the
// mint signs over what is left. An error other than NotSent says nothing about the payment: ask
// LookupMelt.
func (c *Client) Melt(ctx context.Context, q MeltQuote, inputs []token.Proof, blanks []Output) (MeltResult, error) {
	in := struct {
		Quote   string          `json:"quote"`
		Inputs  []token.Proof   `json:"inputs"`
		Outputs []token.Blinded `json:"outputs,omitempty"`
	}{Quote: q.ID, Inputs: forMint(inputs)}
	r, err := c.melt(ctx, q, blanks, func(blinded []token.Blinded) httpjson.Request {
		in.Outputs = blinded
		return httpjson.Request{Method: http.MethodPost, Path: "v1/melt/bolt11", JSON: in, Timeout: c.cfg.MeltTimeout}
	})
	if err != nil {
		return MeltResult{}, fmt.Errorf("melting at %s: %w", c.url, err)
	}
	return r, nil
}

// LookupMelt asks how far the payment of a melt is; the blanks are those that it was begun with.
func (c *Client) LookupMelt(ctx context.Context, q MeltQuote, blanks []Output) (MeltResult, error) {
	if err := checkQuoteID(q.ID); err != nil {
		return MeltResult{}, err
	}
	r, err := c.melt(ctx, q, blanks, func([]token.Blinded) httpjson.Request {
		return httpjson.Request{Method: http.MethodGet, Path: "v1/melt/quote/bolt11/" + url.PathEscape(q.ID)}
	})
	if err != nil {
		return MeltResult{}, fmt.Errorf("looking up a melt at %s: %w", c.url, err)
	}
	return r, nil
}

func (c *Client) melt(ctx context.Context, q MeltQuote, blanks []Output, request func([]token.Blinded) httpjson.Request) (MeltResult, error) {
	blinded, keysets, err := c.prepare(ctx, blanks)
	if err != nil {
		return MeltResult{}, err
	}
	var answer quoteJSON
	if err := c.call(ctx, request(blinded), &answer); err != nil {
		return MeltResult{}, err
	}
	if answer.Quote != "" && answer.Quote != q.ID {
		return MeltResult{}, cheated("another quote than the one that was asked for")
	}
	out := MeltResult{}
	if out.State, err = answer.state(); err != nil {
		return MeltResult{}, err
	}
	if out.State == QuoteIssued {
		return MeltResult{}, cheated("a melt quote that is issued")
	}
	if out.State != QuotePaid {
		return out, nil
	}
	out.Preimage = preimage(answer.Preimage, q.Hash)
	out.Change, err = c.proofs(blanks, blinded, keysets, answer.Change, true)
	return out, err
}

// preimage takes a preimage that fits. A mint that pays itself may have none, and one that lies has
// spent the inputs all the same: what change it gives must not be lost over it.
func preimage(text string, hash [32]byte) *[32]byte {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != 32 {
		return nil
	}
	out := [32]byte(b)
	if sha256.Sum256(out[:]) != hash {
		return nil
	}
	return &out
}
