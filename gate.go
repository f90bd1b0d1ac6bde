package caddyl402

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/caddy-l402/caddy-l402/internal/keyring"
	"github.com/caddy-l402/caddy-l402/l402"
)

// gate checks credentials for one product. The handler and the matcher share it.
type gate struct {
	keys  *keyring.Keyring
	forms l402.Form
	want  l402.Want // all but what the request says
}

// keyTimeout bounds the look-up in storage for a key that another instance may just have made.
const keyTimeout = 2 * time.Second

// check looks for a credential that opens the product. The error is nil only for a paid one.
// ErrPreimageMissing means that there is a good token without proof of payment: grant describes
// it and unproven holds it in binary. Of several refusals it returns the first. A binding that is
// not empty is what the token must be bound to besides.
func (g *gate) check(r *http.Request, binding string, grant *l402.Grant) (unproven []byte, err error) {
	return g.checkIn(r, credentialHeaders(r), binding, grant)
}

// checkIn is check with the credentials of other headers than the request's.
func (g *gate) checkIn(r *http.Request, header http.Header, binding string, grant *l402.Grant) (unproven []byte, err error) {
	var (
		credential l402.Credential // 4 KiB, on the stack
		want       = g.want
		first      error
		unpaid     l402.Grant
	)
	want.Host = hostOf(r)
	want.Path = pathOf(r)
	want.Request, want.RequireRequest = binding, binding != ""
	want.Now = time.Now().Unix()

	reader := l402.NewReader(header, g.forms)
	for {
		more, err := reader.Next(&credential)
		if !more && err == nil {
			break
		}
		if err == nil {
			err = l402.Verify(g.keys, &credential, &want, grant)
			if errors.Is(err, l402.ErrUnknownKey) && g.find(r.Context(), &credential) {
				err = l402.Verify(g.keys, &credential, &want, grant)
			}
		}
		switch {
		case err == nil:
			return nil, nil
		case errors.Is(err, l402.ErrPreimageMissing) && unproven == nil:
			unpaid, unproven = *grant, append([]byte(nil), credential.Macaroon()...)
		case first == nil:
			first = err
		}
		if !more {
			break
		}
	}
	if unproven != nil {
		*grant = unpaid
		return unproven, l402.ErrPreimageMissing
	}
	*grant = l402.Grant{}
	if first == nil {
		return nil, l402.ErrNoCredential
	}
	return nil, first
}

// find looks in storage for the key of a credential.
func (g *gate) find(ctx context.Context, c *l402.Credential) bool {
	id, ok := c.Identifier()
	if !ok {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, keyTimeout)
	defer cancel()
	return g.keys.Find(ctx, id.TokenID.KeyID())
}

// hostOf is the host that a token is bound to: lower case, without port and final dot.
func hostOf(r *http.Request) string {
	host := r.Host
	if i := strings.LastIndexByte(host, ':'); i >= 0 && strings.IndexByte(host[i:], ']') < 0 {
		host = host[:i]
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// pathOf is the path that a token is bound to. An empty one is the root (RFC 9110, section 4.2.3).
func pathOf(r *http.Request) string {
	if path := r.URL.EscapedPath(); path != "" {
		return path
	}
	return "/"
}
