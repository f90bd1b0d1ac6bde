package caddyl402

import (
	"errors"
	"net/http"
	"strings"

	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/caddy-l402/caddy-l402/l402"
)

// credential finds a token of the payment among the request's credentials. It says whether the
// preimage is shown, and else that is up to the wallet. Of several refusals it returns the first.
func (d *desk) credential(r *http.Request, hash lntypes.Hash) (id l402.Identifier, paid bool, first error) {
	var c l402.Credential
	var unproven *l402.Identifier
	find := gate{keys: d.app.keys}
	reader := l402.NewReader(credentialHeaders(r), l402.FormAll)
	for {
		more, err := reader.Next(&c)
		if !more && err == nil {
			break
		}
		if err == nil {
			id, err = l402.Authenticate(d.app.keys, &c)
			if errors.Is(err, l402.ErrUnknownKey) && find.find(r.Context(), &c) {
				id, err = l402.Authenticate(d.app.keys, &c)
			}
		}
		if err == nil || errors.Is(err, l402.ErrPreimageMissing) {
			switch {
			case id.PaymentHash != hash:
				err = errOtherPayment
			case !boundTo(c.Macaroon(), hostOf(r)):
				err = l402.ErrWrongHost
			case err == nil:
				return id, true, nil
			case unproven == nil:
				found := id
				unproven = &found
			}
		}
		if first == nil {
			first = err
		}
		if !more {
			break
		}
	}
	switch {
	case unproven != nil:
		return *unproven, false, nil
	case first == nil:
		first = l402.ErrNoCredential
	}
	return l402.Identifier{}, false, first
}

// boundTo tells whether every host that a token is bound to is this one: a receipt names the host,
// and must not say that somebody was paid at another one.
func boundTo(mac []byte, host string) bool {
	description, err := l402.Describe(mac)
	if err != nil {
		return false
	}
	for _, caveat := range description.Caveats {
		c, err := l402.ParseCaveat(caveat.Text)
		if err == nil && strings.HasSuffix(c.Condition, l402.SuffixHost) && !strings.EqualFold(c.Value, host) {
			return false
		}
	}
	return true
}
