package lndtest

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"gopkg.in/macaroon.v2"

	"github.com/caddy-l402/caddy-l402/wallets/lnd/rpc"
)

// InvoiceRights are those of LND's invoice.macaroon.
var InvoiceRights = []string{
	"invoices:read", "invoices:write", "address:read", "address:write", "onchain:read",
}

// PayerRights are what paying takes.
var PayerRights = []string{"offchain:read", "offchain:write"}

// needs is the right that LND asks for each method.
var needs = map[string]string{
	rpc.MethodAddInvoice:        "invoices:write",
	rpc.MethodLookupInvoice:     "invoices:read",
	rpc.MethodLookupInvoiceV2:   "invoices:write",
	rpc.MethodListInvoices:      "invoices:read",
	rpc.MethodSubscribeInvoices: "invoices:read",
	rpc.MethodAddHoldInvoice:    "invoices:write",
	rpc.MethodSettleInvoice:     "invoices:write",
	rpc.MethodCancelInvoice:     "invoices:write",
	rpc.MethodSendPayment:       "offchain:write",
	rpc.MethodTrackPayment:      "offchain:read",
}

// Bake makes a macaroon with the rights, each of the form "entity:action", and the caveats.
func (n *Node) Bake(t testing.TB, rights []string, caveats ...string) []byte {
	t.Helper()
	id := &rpc.MacaroonId{}
	for _, r := range rights {
		entity, action, _ := strings.Cut(r, ":")
		id.Ops = append(id.Ops, &rpc.MacaroonOp{Entity: entity, Actions: []string{action}})
	}
	b, err := proto.Marshal(id)
	if err != nil {
		t.Fatal(err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	m, err := macaroon.New(n.rootKey, append([]byte{3}, b...), "lnd", macaroon.V2)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range caveats {
		if err := m.AddFirstPartyCaveat([]byte(c)); err != nil {
			t.Fatal(err)
		}
	}
	out, err := m.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// allow checks the macaroon of a call, with LND's words for each refusal.
func (n *Node) allow(ctx context.Context, method string) error {
	if method == rpc.MethodGetState {
		return nil
	}
	md, _ := metadata.FromIncomingContext(ctx)
	if got := md["macaroon"]; len(got) != 1 {
		return fmt.Errorf("expected 1 macaroon, got %d", len(got))
	}
	b, err := hex.DecodeString(md["macaroon"][0])
	if err != nil {
		return err
	}
	m := new(macaroon.Macaroon)
	if err := m.UnmarshalBinary(b); err != nil {
		return err
	}
	n.mu.Lock()
	key := n.rootKey
	n.mu.Unlock()
	check := func(caveat string) error { return fmt.Errorf("caveat %q not satisfied", caveat) }
	if err := m.Verify(key, check, nil); err != nil {
		return fmt.Errorf("verification failed: %w", err)
	}
	var id rpc.MacaroonId
	if err := proto.Unmarshal(m.Id()[1:], &id); err != nil {
		return err
	}
	entity, action, _ := strings.Cut(needs[method], ":")
	for _, op := range id.Ops {
		if op.Entity == entity && slices.Contains(op.Actions, action) {
			return nil
		}
	}
	return errors.New("permission denied")
}
