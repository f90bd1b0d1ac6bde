package nwc

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/nbd-wtf/go-nostr"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// pair gives both sides' keys.
func pair(t testing.TB) (client, wallet *keys) {
	t.Helper()
	clientSecret, walletSecret := someSecret, strings.Repeat("1", 64)
	walletPub, err := nostr.GetPublicKey(walletSecret)
	if err != nil {
		t.Fatal(err)
	}
	if client, err = newKeys(clientSecret, walletPub); err != nil {
		t.Fatal(err)
	}
	if wallet, err = newKeys(walletSecret, client.public); err != nil {
		t.Fatal(err)
	}
	return client, wallet
}

func TestEncryptions(t *testing.T) {
	client, wallet := pair(t)
	for _, enc := range []scheme{schemeNIP04, schemeNIP44} {
		for _, text := range []string{"{}", `{"a":"` + strings.Repeat("é", 15_000) + `"}`} {
			sealed, err := client.encrypt(enc, text)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := wallet.decrypt(sealed); err != nil || got != text {
				t.Errorf("%s: got %.20q, error %v", enc, got, err)
			}
			// NIP-04 has no checksum of its own: the event's signature covers the content.
			if got, err := wallet.decrypt(flipAt(sealed, len(sealed)/2)); enc == schemeNIP44 && err == nil {
				t.Errorf("%s: a changed text was opened: %.20q", enc, got)
			}
		}
	}
}

func flipAt(s string, i int) string {
	b := []byte(s)
	if b[i] == 'A' {
		b[i] = 'B'
	} else {
		b[i] = 'A'
	}
	return string(b)
}

func TestInfo(t *testing.T) {
	for name, c := range map[string]struct {
		tags   nostr.Tags
		scheme scheme
		refuse bool
	}{
		"no tag":             {nil, schemeNIP04, false},
		"NIP-44 first":       {nostr.Tags{{"encryption", "nip44_v2 nip04"}}, schemeNIP44, false},
		"NIP-44 last":        {nostr.Tags{{"encryption", "nip04 nip44_v2"}}, schemeNIP44, false},
		"NIP-44 only":        {nostr.Tags{{"encryption", "nip44_v2"}}, schemeNIP44, false},
		"NIP-04 only":        {nostr.Tags{{"encryption", "nip04"}}, schemeNIP04, false},
		"in parts":           {nostr.Tags{{"encryption", "nip04", "nip44_v2"}}, schemeNIP44, false},
		"with commas":        {nostr.Tags{{"encryption", "nip04,nip44_v2"}}, schemeNIP44, false},
		"something else too": {nostr.Tags{{"x"}, {}, {"encryption", "nip99 nip44_v2"}}, schemeNIP44, false},
		"something else":     {nostr.Tags{{"encryption", "nip99"}}, "", true},
		"an empty tag":       {nostr.Tags{{"encryption", ""}}, "", true},
		"a bare tag":         {nostr.Tags{{"encryption"}}, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readInfo(&nostr.Event{Tags: c.tags}).scheme()
			if c.refuse != (err != nil) || got != c.scheme {
				t.Errorf("got %q, error %v; want %q", got, err, c.scheme)
			}
			if err != nil && !errors.Is(err, wallets.ErrUnavailable) {
				t.Errorf("got %v, want ErrUnavailable", err)
			}
		})
	}
	i := readInfo(&nostr.Event{
		Content: "pay_invoice make_invoice,make_invoice \x1b[31mred <b> " + strings.Repeat("x", 100) + strings.Repeat(" y1 y2", 200),
		Tags:    nostr.Tags{{"notifications", "payment_received payment_sent"}},
	})
	if got := strings.Join(i.methods, " "); got != "pay_invoice make_invoice y1 y2" {
		t.Errorf("methods are %q", got)
	}
	if !i.notifies(paymentReceived) || i.notifies("x") || (*info)(nil).notifies(paymentReceived) {
		t.Error("notifications are read wrongly")
	}
}

func TestStatus(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	preimage := lntypes.Preimage{1}
	hash := preimage.Hash()
	for name, c := range map[string]struct {
		text string
		want wallets.State
		paid uint64
		pre  bool
	}{
		"pending":                {`"state":"pending","preimage":"","settled_at":0`, wallets.StatePending, 0, false},
		"pending, preimage told": {`"state":"pending","preimage":"` + preimage.String() + `"`, wallets.StatePending, 0, false},
		"settled":                {`"state":"settled","preimage":"` + preimage.String() + `","settled_at":1699999999`, wallets.StateSettled, 5000, true},
		"SETTLED":                {`"state":"SETTLED","settled_at":1699999999`, wallets.StateSettled, 5000, false},
		"settled, no preimage":   {`"state":"settled","preimage":null`, wallets.StateSettled, 5000, false},
		"accepted":               {`"state":"accepted","preimage":"` + preimage.String() + `"`, wallets.StateAccepted, 5000, false},
		"expired":                {`"state":"expired"`, wallets.StateExpired, 0, false},
		"failed":                 {`"state":"failed","expires_at":1700000600`, wallets.StateCanceled, 0, false},
		"failed by expiry":       {`"state":"failed","expires_at":1699999999`, wallets.StateExpired, 0, false},
		"no state, settled":      {`"settled_at":1699999999`, wallets.StateSettled, 5000, false},
		"no state, null":         {`"settled_at":null,"expires_at":null`, wallets.StatePending, 0, false},
		"no state, just over":    {`"expires_at":1699999990`, wallets.StatePending, 0, false},
		"no state, long over":    {`"expires_at":1699999000`, wallets.StateExpired, 0, false},
		"pending, long over":     {`"state":"pending","expires_at":1699999000`, wallets.StateExpired, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			var tx transaction
			text := `{"type":"incoming","payment_hash":"` + hash.String() + `","amount":5000,` + c.text + `}`
			if err := json.Unmarshal([]byte(text), &tx); err != nil {
				t.Fatal(err)
			}
			st, err := tx.status(hash, now)
			if err != nil {
				t.Fatal(err)
			}
			if st.State != c.want || uint64(st.AmountPaid) != c.paid || (st.Preimage != nil) != c.pre {
				t.Errorf("got %+v", st)
			}
		})
	}
}

func TestErrorCodes(t *testing.T) {
	for _, c := range []struct {
		method, code string
		want         error
	}{
		{methodMake, "RATE_LIMITED", wallets.ErrRateLimited},
		{methodMake, "NOT_IMPLEMENTED", wallets.ErrUnauthorized},
		{methodLookup, "NOT_IMPLEMENTED", wallets.ErrLookupUnsupported},
		{methodMake, "RESTRICTED", wallets.ErrUnauthorized},
		{methodLookup, "UNAUTHORIZED", wallets.ErrUnauthorized},
		{methodLookup, "NOT_FOUND", wallets.ErrNotFound},
		{methodMake, "INTERNAL", wallets.ErrUnavailable},
		{methodMake, "UNSUPPORTED_ENCRYPTION", wallets.ErrUnavailable},
		{methodPay, "PAYMENT_FAILED", wallets.ErrPaymentFailed},
		{methodPay, "INSUFFICIENT_BALANCE", wallets.ErrPaymentFailed},
		{methodPay, "QUOTA_EXCEEDED", wallets.ErrPaymentFailed},
		{methodPay, "OTHER", errRefused},
		{methodMake, "QUOTA_EXCEEDED", errRefused},
		{methodMake, "", errRefused},
		{methodMake, "SOMETHING_NEW", errRefused},
	} {
		e := &walletError{method: c.method, code: c.code, message: "key " + someSecret + "\x1b[0m"}
		if !errors.Is(e, c.want) {
			t.Errorf("%s of %s: got %v, want %v", c.code, c.method, e.Unwrap(), c.want)
		}
		if text := e.Error(); strings.Contains(text, someSecret) || strings.Contains(text, "\x1b") {
			t.Errorf("%s: the error is not clean: %q", c.code, text)
		}
		for _, s := range []error{wallets.ErrPaymentFailed, wallets.ErrNotFound} {
			if errors.Is(e, s) && c.want != s {
				t.Errorf("%s of %s must not be %v", c.code, c.method, s)
			}
		}
	}
}

func FuzzParseMessage(f *testing.F) {
	client, wallet := pair(f)
	ev := nostr.Event{Kind: kindResponse, CreatedAt: 1_700_000_000, Tags: nostr.Tags{{"p", client.public}, {"e", "x"}}, Content: "c"}
	if err := ev.Sign(wallet.secret); err != nil {
		f.Fatal(err)
	}
	line, err := json.Marshal([]any{"EVENT", subWallet, ev})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(line)
	for _, s := range []string{`["OK","id",false,"blocked: x"]`, `["EOSE","info"]`, `["CLOSED","info","auth-required: x"]`, `["AUTH","c"]`, `["NOTICE","n"]`, `[[[[`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		m, err := parseMessage(line)
		if err != nil || m.event == nil {
			return
		}
		onlyTag(m.event, "e")
		timely(m.event, time.Unix(0, 0), time.Now())
		readInfo(m.event)
		if verify(m.event, wallet.public) == nil && m.event.GetID() != ev.ID {
			t.Errorf("an event that was never signed is verified: %s", line)
		}
	})
}

func FuzzReadResponse(f *testing.F) {
	preimage := lntypes.Preimage{1}
	hash := preimage.Hash()
	f.Add(`{"result_type":"lookup_invoice","result":{"type":"incoming","state":"settled","payment_hash":"` + hash.String() + `","preimage":"` + preimage.String() + `","amount":1,"settled_at":1}}`)
	f.Add(`{"result_type":"lookup_invoice","error":{"code":"NOT_FOUND","message":"x"},"result":null}`)
	f.Add(`{"notification_type":"payment_received","notification":{"type":"incoming","payment_hash":"` + hash.String() + `","amount":1}}`)
	now := time.Unix(1_700_000_000, 0)
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := readNotification(text); err == nil && s != nil && s.AmountPaid > 1<<63-1 {
			t.Errorf("a negative amount: %+v", s)
		}
		a, err := readResponse(methodLookup, text)
		if err != nil {
			return
		}
		if a.err != nil {
			if len(a.err.Error()) > 1000 {
				t.Error("a long error")
			}
			return
		}
		var tx transaction
		if a.read(methodLookup, &tx) != nil {
			return
		}
		if st, err := tx.status(hash, now); err == nil {
			if st.Preimage != nil && (st.State != wallets.StateSettled || !st.Preimage.Matches(hash)) {
				t.Errorf("a preimage where none may be: %+v", st)
			}
		}
		_, _ = tx.settlement()
		_, _ = tx.invoice(ask(), nil)
	})
}

func FuzzDecrypt(f *testing.F) {
	client, wallet := pair(f)
	for _, enc := range []scheme{schemeNIP04, schemeNIP44} {
		sealed, err := client.encrypt(enc, `{"result":null}`)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(sealed)
	}
	f.Add("AAAA?iv=AAAA")
	f.Add(strings.Repeat("\n", 140))
	f.Fuzz(func(_ *testing.T, content string) {
		_, _ = wallet.decrypt(content) // it must not panic
	})
}
