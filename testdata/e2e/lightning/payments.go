package lightning

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
)

// Pay pays a BOLT 11 invoice and returns the preimage in hex.
func (n *Node) Pay(ctx context.Context, invoice string) (string, error) {
	resp, err := n.send(ctx, http.MethodPost, "/v2/router/send", map[string]any{
		"payment_request": invoice, "timeout_seconds": 20, "fee_limit_sat": "100", "no_inflight_updates": true,
	})
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	// The answer is a stream of updates, one JSON object a line; the last one decides.
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var update struct {
			Result struct {
				Status   string `json:"status"`
				Preimage string `json:"payment_preimage"`
				Reason   string `json:"failure_reason"`
			}
			Error *struct{ Message string }
		}
		if err := json.Unmarshal(lines.Bytes(), &update); err != nil {
			return "", fmt.Errorf("decoding a payment update of %s: %w", n.Name, err)
		}
		switch {
		case update.Error != nil:
			return "", fmt.Errorf("%s cannot pay: %s", n.Name, update.Error.Message)
		case update.Result.Status == "SUCCEEDED":
			return update.Result.Preimage, nil
		case update.Result.Status == "FAILED":
			return "", fmt.Errorf("%s cannot pay: %s", n.Name, update.Result.Reason)
		}
	}
	if err := lines.Err(); err != nil {
		return "", fmt.Errorf("reading payment updates of %s: %w", n.Name, err)
	}
	return "", fmt.Errorf("%s ended the payment without a result", n.Name)
}

// Invoice is what the node says of one of its invoices.
type Invoice struct {
	// State is OPEN, SETTLED, CANCELED or ACCEPTED.
	State string
	// Memo is the description.
	Memo string
	// AmountMsat is the price in millisatoshi.
	AmountMsat int64
	// Expiry is in seconds from the creation.
	Expiry int64
	// Request is the BOLT 11 text.
	Request string
}

// wireInvoice is LND's form of an invoice: 64-bit numbers travel as strings.
type wireInvoice struct {
	State   string `json:"state"`
	Memo    string `json:"memo"`
	Msat    string `json:"value_msat"`
	Expiry  string `json:"expiry"`
	Request string `json:"payment_request"`
}

// LookUp finds one of the node's invoices by its payment hash in hex.
func (n *Node) LookUp(ctx context.Context, hash string) (*Invoice, error) {
	var w wireInvoice
	if err := n.do(ctx, http.MethodGet, "/v1/invoice/"+hash, nil, &w); err != nil {
		return nil, err
	}
	return w.invoice()
}

func (w wireInvoice) invoice() (*Invoice, error) {
	msat, err := strconv.ParseInt(w.Msat, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("reading an invoice's amount: %w", err)
	}
	expiry, err := strconv.ParseInt(w.Expiry, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("reading an invoice's expiry: %w", err)
	}
	return &Invoice{State: w.State, Memo: w.Memo, AmountMsat: msat, Expiry: expiry, Request: w.Request}, nil
}

// Invoices counts the invoices that the node ever made.
func (n *Node) Invoices(ctx context.Context) (int, error) {
	var list struct {
		Last string `json:"last_index_offset"`
	}
	if err := n.do(ctx, http.MethodGet, "/v1/invoices?reversed=true&num_max_invoices=1", nil, &list); err != nil {
		return 0, err
	}
	count, err := strconv.Atoi(list.Last)
	if err != nil {
		return 0, fmt.Errorf("reading the number of invoices: %w", err)
	}
	return count, nil
}

// AddInvoice makes an invoice over whole satoshis and returns its text and payment hash in hex.
func (n *Node) AddInvoice(ctx context.Context, sat int64, memo string) (request, hash string, err error) {
	return n.addInvoice(ctx, map[string]any{"value": strconv.FormatInt(sat, 10), "memo": memo, "expiry": "600"})
}

func (n *Node) addInvoice(ctx context.Context, in map[string]any) (request, hash string, err error) {
	var w struct {
		Request string `json:"payment_request"`
		Hash    string `json:"r_hash"`
	}
	if err := n.do(ctx, http.MethodPost, "/v1/invoices", in, &w); err != nil {
		return "", "", err
	}
	raw, err := base64.StdEncoding.DecodeString(w.Hash)
	if err != nil {
		return "", "", fmt.Errorf("reading an invoice's payment hash: %w", err)
	}
	return w.Request, hex.EncodeToString(raw), nil
}

// AddInvoiceFor makes an invoice over millisatoshis whose description is known by its SHA-256 alone,
// as LNURL-pay wants it, and returns its text and payment hash in hex.
func (n *Node) AddInvoiceFor(ctx context.Context, msat int64, description [32]byte) (request, hash string, err error) {
	return n.addInvoice(ctx, map[string]any{
		"value_msat": strconv.FormatInt(msat, 10), "expiry": "600",
		"description_hash": base64.StdEncoding.EncodeToString(description[:]),
	})
}
