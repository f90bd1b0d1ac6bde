package nwc

import (
	"context"
	"slices"
	"strings"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// spending are the methods by which money leaves the wallet.
var spending = []string{methodPay, "pay_keysend", "multi_pay_invoice", "multi_pay_keysend", "pay_offer", "pay_onchain"}

// Permissions lists the methods and notifications that the wallet allows on this connection, by
// get_info, or where the connection may not call that, those of the wallet's info event. Lines that
// begin with "warning: " say what is missing, and that whoever holds the URI can spend.
func (w *Wallet) Permissions(ctx context.Context) ([]string, error) {
	const step = "asking for permissions"
	if err := ctx.Err(); err != nil {
		return nil, w.fail(step, err)
	}
	var result struct {
		Methods       []string `json:"methods"`
		Notifications []string `json:"notifications"`
	}
	_, err := w.call(ctx, methodGetInfo, struct{}{}, &result)
	i := w.s.currentInfo()
	if err != nil && (!hasCode(err, codeNotImplemented, codeRestricted) || i == nil) {
		return nil, w.fail(step, err)
	}
	methods, notifications := words(result.Methods...), words(result.Notifications...)
	if i != nil && len(methods) == 0 {
		methods = i.methods
	}
	if i != nil && len(notifications) == 0 {
		notifications = i.notifications
	}
	return describe(methods, notifications), nil
}

// describe puts words to methods and notifications.
func describe(methods, notifications []string) []string {
	out := slices.Sorted(slices.Values(methods))
	for _, n := range slices.Sorted(slices.Values(notifications)) {
		out = append(out, "notification "+n)
	}
	for _, need := range []struct{ method, why string }{
		{methodMake, "no invoice can be made"},
		{methodLookup, "payments without a preimage cannot be verified"},
	} {
		if !slices.Contains(methods, need.method) {
			out = append(out, "warning: "+need.method+" is not allowed: "+need.why)
		}
	}
	var spends []string
	for _, m := range spending {
		if slices.Contains(methods, m) {
			spends = append(spends, m)
		}
	}
	if len(spends) > 0 {
		out = append(out, "warning: "+strings.Join(spends, ", ")+
			" allowed: the gate never pays, so make a connection that can only receive")
	}
	return out
}

// Interface guards.
var _ wallets.Describer = (*Wallet)(nil)
