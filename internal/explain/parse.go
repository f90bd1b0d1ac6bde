package explain

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/lightningnetwork/lnd/lntypes"
	"gopkg.in/macaroon.v2"

	"github.com/caddy-l402/caddy-l402/l402"
	"github.com/caddy-l402/caddy-l402/l402/payment"
	"github.com/caddy-l402/caddy-l402/wallets"
)

// Text explains a text: a token in base64 or hex; a challenge or a credential, as the value of a
// header or as a line with its name; an invoice; or whole HTTP headers as `curl -i` prints them.
// Errors wrap ErrUnknown or ErrTooLong, or say what is wrong with what was recognized; they do not
// repeat the text.
func (e *Explainer) Text(text string) (*Explanation, error) {
	if len(text) > MaxInput {
		return nil, fmt.Errorf("%w: %d bytes at most", ErrTooLong, MaxInput)
	}
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, fmt.Errorf("%w: the text is empty", ErrUnknown)
	}
	if h := headers(text); h != nil {
		return e.header(h)
	}
	if isInvoice(text) {
		invoice, err := e.invoice(text)
		if err != nil {
			return nil, err
		}
		return &Explanation{Kind: "invoice", Items: []Item{{Invoice: invoice}}}, nil
	}
	word, _, _ := strings.Cut(text, " ")
	switch {
	case isEcash(text):
		return nil, fmt.Errorf("%w: it is Cashu ecash or a request for it, which wallets for ecash show", ErrUnknown)
	case isScheme(word) && strings.Contains(strings.ToLower(text), "invoice="):
		return e.challenges(http.Header{"Www-Authenticate": {text}})
	case isPayment(word) && strings.Contains(strings.ToLower(text), "request="):
		return e.challenges(http.Header{"Www-Authenticate": {text}})
	case isScheme(word), isPayment(word), strings.EqualFold(word, "Bearer"), strings.EqualFold(word, "Basic"):
		return e.credentials(http.Header{"Authorization": {text}})
	case strings.Contains(text, ":") && !strings.ContainsAny(text, " \n"):
		return e.credentials(http.Header{"Authorization": {"L402 " + text}})
	}
	return e.token(text)
}

func isScheme(word string) bool {
	return strings.EqualFold(word, "L402") || strings.EqualFold(word, "LSAT")
}

// isEcash tells tokens of ecash (cashuA, cashuB) and requests for it (creqA, creqB) by how they begin.
func isEcash(text string) bool {
	return strings.HasPrefix(text, "cashu") || strings.HasPrefix(strings.ToLower(text), "creq")
}

func isInvoice(text string) bool {
	lower := strings.ToLower(text)
	for _, prefix := range []string{"lightning:", "lnbc", "lntb", "lni1", "lno1"} {
		if strings.HasPrefix(lower, prefix) {
			return true
		}
	}
	return false
}

// telling are the headers that can hold what this package explains.
var telling = map[string]bool{
	"Www-Authenticate": true, "Authorization": true, "Cookie": true,
	"Macaroon": true, "Grpc-Metadata-Macaroon": true, payment.HeaderAuthorization: true,
}

// headers reads header lines, with a status or request line before them and a body behind them or
// without. It returns nil if none of the lines can hold anything.
func headers(text string) http.Header {
	found := http.Header{}
	for line := range strings.Lines(text) {
		line = strings.Trim(line, "\r\n")
		if line == "" {
			break
		}
		name, value, ok := strings.Cut(line, ":")
		// curl -v marks lines by what they are.
		name = http.CanonicalHeaderKey(strings.TrimLeft(name, "<> "))
		if ok && telling[name] {
			found.Add(name, strings.TrimSpace(value))
		}
	}
	if len(found) == 0 {
		return nil
	}
	return found
}

func (e *Explainer) header(h http.Header) (*Explanation, error) {
	if h.Get("Www-Authenticate") != "" {
		return e.challenges(h)
	}
	return e.credentials(h)
}

func (e *Explainer) challenges(h http.Header) (*Explanation, error) {
	challenges, err := l402.ParseChallenges(h)
	if err != nil {
		if out := e.payments(h); out != nil {
			return out, nil
		}
		return nil, err
	}
	out := &Explanation{Kind: "challenge"}
	for _, challenge := range challenges {
		item, err := e.describe(challenge.Macaroon)
		if err != nil {
			item.Problems = append(item.Problems, "the token cannot be read: "+err.Error())
		}
		if item.Invoice, err = e.invoice(challenge.Invoice); err != nil {
			item.Problems = append(item.Problems, err.Error())
		}
		if item.Token != nil && item.Invoice != nil && item.Token.PaymentHash != item.Invoice.PaymentHash {
			item.Problems = append(item.Problems, "token and invoice name different payment hashes: paying would buy nothing")
		}
		out.Items = append(out.Items, item)
	}
	return out, nil
}

func (e *Explainer) credentials(h http.Header) (*Explanation, error) {
	out := &Explanation{Kind: "credential"}
	reader := l402.NewReader(h, l402.FormAll)
	var problems []error
	for {
		var c l402.Credential
		ok, err := reader.Next(&c)
		if err != nil {
			problems = append(problems, err)
			if errors.Is(err, l402.ErrTokenTooLong) {
				break
			}
			continue
		}
		if !ok {
			break
		}
		item, err := e.describe(c.Macaroon())
		if err != nil {
			problems = append(problems, err)
			continue
		}
		item.Form = c.Form.String()
		if c.HasPreimage {
			item.Preimage = e.preimage(c.Preimage, item.Token.PaymentHash)
		}
		e.judge(&item)
		out.Items = append(out.Items, item)
	}
	if len(out.Items) > 0 {
		return out, nil
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return nil, fmt.Errorf("%w: there is no L402 credential in it, and none of the Payment scheme", ErrUnknown)
}

func (e *Explainer) token(text string) (*Explanation, error) {
	mac, err := l402.DecodeMacaroon(text)
	if errors.Is(err, l402.ErrTokenTooLong) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%w: it is neither base64 nor hex of a token, and begins with none of L402, LSAT, Payment, "+
			"Bearer, Basic, lnbc, lntb and a header's name", ErrUnknown)
	}
	item, err := e.describe(mac)
	if err != nil {
		return nil, err
	}
	if item.Preimage != nil {
		e.judge(&item)
	}
	return &Explanation{Kind: "token", Items: []Item{item}}, nil
}

// judge says whether the proof of payment is there and fits.
func (e *Explainer) judge(item *Item) {
	switch {
	case item.Preimage == nil:
		item.Problems = append(item.Problems, "there is no preimage, so nothing proves the payment")
	case !item.Preimage.Fits:
		item.Problems = append(item.Problems, "the preimage does not belong to the token's payment hash")
	}
}

// describe explains a token and the preimage inside it.
func (e *Explainer) describe(mac []byte) (Item, error) {
	token, err := l402.Describe(mac)
	if err != nil {
		return Item{}, err
	}
	item := Item{Token: token, Expired: !token.ValidUntil.IsZero() && !e.now().Before(token.ValidUntil)}
	if token.HasPreimage {
		if p, ok := insidePreimage(mac); ok {
			item.Preimage = e.preimage(p, token.PaymentHash)
		}
	}
	return item, nil
}

func insidePreimage(mac []byte) (p lntypes.Preimage, ok bool) {
	m := new(macaroon.Macaroon)
	if m.UnmarshalBinary(mac) != nil {
		return p, false
	}
	for _, raw := range m.Caveats() {
		caveat, err := l402.ParseCaveat(string(raw.Id))
		if err != nil || caveat.Condition != l402.ConditionPreimage {
			continue
		}
		if n, err := hex.Decode(p[:], []byte(caveat.Value[:min(len(caveat.Value), 2*len(p))])); err == nil && n == len(p) {
			return p, true
		}
	}
	return p, false
}

func (e *Explainer) invoice(text string) (*Invoice, error) {
	if strings.HasPrefix(strings.ToLower(text), "lno1") {
		return nil, fmt.Errorf("%w: it is a BOLT 12 offer, from which a wallet fetches an invoice", ErrUnknown)
	}
	d, err := wallets.DecodeInvoice(text)
	if err != nil {
		return nil, err
	}
	format := "BOLT 11"
	if d.Bolt12 {
		format = "BOLT 12"
	}
	return &Invoice{
		Format: format, Network: d.Network, AmountMsat: uint64(d.Amount), PaymentHash: d.PaymentHash.String(),
		Memo: d.Memo, Created: d.CreatedAt.UTC(), Expires: d.ExpiresAt.UTC(),
		Expired: !e.now().Before(d.ExpiresAt), Payee: hex.EncodeToString(d.Payee[:]),
	}, nil
}
