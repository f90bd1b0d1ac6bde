package wallets_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

const offer = "lno1pqps7sjqpgtyzm3qv4uxzmtsd3jjqer9wd3hy6tsw35k7msjzfpy7nz5yqcnygrfdej82um5wf5k2uckyypwa3eyt44h6txtxquqh7lz5djge4afgfjn7k4rgrkuag0jsd5xvxg"

func TestCheckInvoice(t *testing.T) {
	for _, bolt12 := range []bool{false, true} {
		n := wallettest.NewNode(t, wallets.Signet)
		want := wallets.InvoiceRequest{Amount: 21_001, Memo: "m", Expiry: 10 * time.Minute}
		in := issue(t, n, wallettest.Terms{Amount: want.Amount, Timestamp: epoch, Expiry: want.Expiry, Bolt12: bolt12})
		inv := &wallets.Invoice{
			PaymentRequest: strings.ToUpper(in.Invoice), PaymentHash: in.Hash, Offer: strings.ToUpper(offer),
		}
		payee := n.Payee()
		if err := wallets.CheckInvoice(wallets.Signet, want, inv, epoch, &payee); err != nil {
			t.Fatal(err)
		}
		if inv.PaymentRequest != in.Invoice || inv.Offer != offer || inv.Amount != want.Amount ||
			!inv.ExpiresAt.Equal(epoch.Add(want.Expiry)) {
			t.Errorf("filled in as %+v", inv)
		}
		if err := wallets.CheckInvoice(wallets.Signet, want, inv, epoch, nil); err != nil {
			t.Errorf("a second time: %v", err)
		}
	}
}

func TestCheckInvoiceMainnetByDefault(t *testing.T) {
	want := wallets.InvoiceRequest{Amount: 1000, Expiry: time.Minute}
	in := issue(t, wallettest.NewNode(t, wallets.Mainnet), wallettest.Terms{Amount: 1000, Timestamp: epoch, Expiry: time.Minute})
	inv := &wallets.Invoice{PaymentRequest: in.Invoice, PaymentHash: in.Hash}
	if err := wallets.CheckInvoice("", want, inv, epoch, nil); err != nil {
		t.Error(err)
	}
}

func TestCheckInvoiceRefuses(t *testing.T) {
	type call struct {
		network wallets.Network
		want    wallets.InvoiceRequest
		inv     *wallets.Invoice
		now     time.Time
		payee   [33]byte
	}
	for name, c := range map[string]struct {
		change func(*call)
		says   string
	}{
		"no invoice":             {func(c *call) { c.inv = nil }, "gave none"},
		"no text":                {func(c *call) { c.inv.PaymentRequest = "" }, "text"},
		"URI scheme":             {func(c *call) { c.inv.PaymentRequest = "lightning:" + c.inv.PaymentRequest }, "text"},
		"header injection":       {func(c *call) { c.inv.PaymentRequest += "\r\nX: y" }, "text"},
		"white space":            {func(c *call) { c.inv.PaymentRequest += " " }, "text"},
		"join":                   {func(c *call) { c.inv.PaymentRequest = c.inv.PaymentRequest[:50] + "+" + c.inv.PaymentRequest[50:] }, "text"},
		"too long":               {func(c *call) { c.inv.PaymentRequest = strings.Repeat("l", wallets.MaxPaymentRequest+1) }, "4096"},
		"other network":          {func(c *call) { c.network = wallets.Mainnet }, "network"},
		"network by default":     {func(c *call) { c.network = "" }, "network"},
		"testnet is not signet":  {func(c *call) { c.network = wallets.Testnet }, "network"},
		"unknown network":        {func(c *call) { c.network = "liquid" }, "network"},
		"one msat more asked":    {func(c *call) { c.want.Amount++ }, "amount"},
		"one msat less asked":    {func(c *call) { c.want.Amount-- }, "amount"},
		"nothing asked":          {func(c *call) { c.want.Amount = 0 }, "amount"},
		"wallet claims more":     {func(c *call) { c.inv.Amount = c.want.Amount + 1 }, "amount"},
		"other hash":             {func(c *call) { c.inv.PaymentHash[31] ^= 1 }, "payment hash"},
		"no hash":                {func(c *call) { c.inv.PaymentHash = lntypes.Hash{} }, "payment hash"},
		"just expired":           {func(c *call) { c.now = epoch.Add(10 * time.Minute) }, "expired"},
		"long expired":           {func(c *call) { c.now = epoch.Add(1000 * time.Hour) }, "expired"},
		"less than half is left": {func(c *call) { c.now = epoch.Add(5*time.Minute + 2*time.Second) }, "expiry"},
		"longer asked":           {func(c *call) { c.want.Expiry = 21 * time.Minute }, "expiry"},
		"other payee":            {func(c *call) { c.payee[32] ^= 1 }, "payee"},
		"offer with a quote":     {func(c *call) { c.inv.Offer = offer + `"` }, "offer"},
		"offer, not one":         {func(c *call) { c.inv.Offer = c.inv.PaymentRequest }, "offer"},
		"offer, not bech32":      {func(c *call) { c.inv.Offer = "lno1bbb" }, "offer"},
		"offer, cut":             {func(c *call) { c.inv.Offer = offer[:len(offer)-8] }, "offer"},
		"offer, too long":        {func(c *call) { c.inv.Offer = offer + strings.Repeat("q", 5000) }, "offer"},
	} {
		for format, bolt12 := range map[string]bool{"BOLT 11": false, "BOLT 12": true} {
			t.Run(name+"/"+format, func(t *testing.T) {
				n := wallettest.NewNode(t, wallets.Signet)
				in := issue(t, n, wallettest.Terms{Amount: 21_001, Timestamp: epoch, Expiry: 10 * time.Minute, Bolt12: bolt12})
				k := &call{
					network: wallets.Signet,
					want:    wallets.InvoiceRequest{Amount: 21_001, Expiry: 10 * time.Minute},
					inv:     &wallets.Invoice{PaymentRequest: in.Invoice, PaymentHash: in.Hash},
					now:     epoch, payee: n.Payee(),
				}
				c.change(k)
				var before wallets.Invoice
				if k.inv != nil {
					before = *k.inv
				}
				err := wallets.CheckInvoice(k.network, k.want, k.inv, k.now, &k.payee)
				if !errors.Is(err, wallets.ErrBadInvoice) || !strings.Contains(err.Error(), c.says) {
					t.Fatalf("error %v, want one that names %q", err, c.says)
				}
				if k.inv != nil && !reflect.DeepEqual(*k.inv, before) {
					t.Error("the refused invoice was changed")
				}
			})
		}
	}
}

func TestCheckInvoiceWithoutAmount(t *testing.T) {
	in := issue(t, wallettest.NewNode(t, wallets.Signet), wallettest.Terms{Timestamp: epoch})
	inv := &wallets.Invoice{PaymentRequest: in.Invoice, PaymentHash: in.Hash}
	err := wallets.CheckInvoice(wallets.Signet, wallets.InvoiceRequest{Amount: 1, Expiry: 1}, inv, epoch, nil)
	if !errors.Is(err, wallets.ErrBadInvoice) || !strings.Contains(err.Error(), "amount") {
		t.Errorf("error %v", err)
	}
}

func TestCheckInvoiceLongerThanAsked(t *testing.T) {
	in := issue(t, wallettest.NewNode(t, wallets.Signet), wallettest.Terms{Amount: 1, Timestamp: epoch, Expiry: 9000 * time.Hour})
	inv := &wallets.Invoice{PaymentRequest: in.Invoice, PaymentHash: in.Hash}
	want := wallets.InvoiceRequest{Amount: 1, Expiry: time.Minute}
	if err := wallets.CheckInvoice(wallets.Signet, want, inv, epoch, nil); err != nil {
		t.Error(err)
	}
}

func TestDuplicates(t *testing.T) {
	var d wallets.Duplicates
	hash := func(i int) (h lntypes.Hash) {
		h[0], h[1], h[2] = byte(i), byte(i>>8), byte(i>>16)
		return h
	}
	for i := range wallets.MaxDuplicates {
		if !d.Add(hash(i)) {
			t.Fatalf("hash %d is said to be known", i)
		}
	}
	if d.Add(hash(0)) {
		t.Error("a hash was forgotten within the promised number")
	}
	for i := range 2 * wallets.MaxDuplicates {
		d.Add(hash(1<<22 | i))
	}
	if !d.Add(hash(0)) {
		t.Error("nothing is ever forgotten")
	}
}
