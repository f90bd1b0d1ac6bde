package nwc

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nbd-wtf/go-nostr"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// Methods and notifications of NIP-47 that are used here.
const (
	methodGetInfo    = "get_info"
	methodMake       = "make_invoice"
	methodLookup     = "lookup_invoice"
	methodList       = "list_transactions"
	methodPay        = "pay_invoice"
	methodMakeHold   = "make_hold_invoice"
	methodSettleHold = "settle_hold_invoice"
	methodCancelHold = "cancel_hold_invoice"

	paymentReceived = "payment_received"
)

// maxWords bounds the words that are read of an info event or of get_info.
const maxWords = 64

// info is what a wallet service says of itself in its info event (kind 13194).
type info struct {
	at            nostr.Timestamp
	methods       []string
	notifications []string
	// encryptions is nil where the event has no such tag.
	encryptions []string
}

// readInfo reads an info event whose signature was verified.
func readInfo(ev *nostr.Event) *info {
	i := &info{at: ev.CreatedAt, methods: words(ev.Content)}
	for _, tag := range ev.Tags {
		if len(tag) == 0 {
			continue
		}
		switch tag[0] {
		case "encryption":
			i.encryptions = append([]string{}, words(tag[1:]...)...)
		case "notifications":
			i.notifications = words(tag[1:]...)
		}
	}
	return i
}

// words splits at blanks, as the specification writes lists, and at commas, as some wallets do. It
// drops what is no plain word, since the words reach logs and terminals.
func words(texts ...string) []string {
	var out []string
	for _, text := range texts {
		for _, w := range strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == ',' }) {
			if len(out) < maxWords && plainWord(w) && !slices.Contains(out, w) {
				out = append(out, w)
			}
		}
	}
	return out
}

func plainWord(w string) bool {
	if w == "" || len(w) > 40 {
		return false
	}
	for _, c := range []byte(w) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-', c == '.':
		default:
			return false
		}
	}
	return true
}

// scheme picks the encryption: NIP-44 wherever it is offered, in whatever place, NIP-04 where it is
// or where the wallet says nothing, as NIP-47 wants for wallets older than the tag.
func (i *info) scheme() (scheme, error) {
	switch {
	case i == nil || i.encryptions == nil:
		return schemeNIP04, nil
	case slices.Contains(i.encryptions, string(schemeNIP44)):
		return schemeNIP44, nil
	case slices.Contains(i.encryptions, string(schemeNIP04)):
		return schemeNIP04, nil
	}
	return "", fmt.Errorf("%w: it offers neither nip44_v2 nor nip04 for encryption but %q",
		wallets.ErrUnavailable, i.encryptions)
}

// notifies tells whether the wallet sends this kind of notification.
func (i *info) notifies(kind string) bool {
	return i != nil && slices.Contains(i.notifications, kind)
}
