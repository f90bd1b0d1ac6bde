package lightning

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
)

// Received adds up, in millisatoshi, what was paid to the node with a memo, and counts the payments.
func (n *Node) Received(ctx context.Context, memo string) (msat int64, count int, err error) {
	var list struct {
		Invoices []struct {
			Memo  string `json:"memo"`
			State string `json:"state"`
			Paid  string `json:"amt_paid_msat"`
		} `json:"invoices"`
	}
	if err := n.do(ctx, http.MethodGet, "/v1/invoices?num_max_invoices=100000", nil, &list); err != nil {
		return 0, 0, err
	}
	for _, inv := range list.Invoices {
		if inv.Memo != memo || inv.State != "SETTLED" {
			continue
		}
		paid, err := strconv.ParseInt(inv.Paid, 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("reading what an invoice of %s was paid with: %w", n.Name, err)
		}
		msat += paid
		count++
	}
	return msat, count, nil
}
