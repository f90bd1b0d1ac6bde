package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// userAgent is sent where the user names none.
const userAgent = "caddy-l402"

// harmless are the user's headers that another origin may see as well. The others may hold keys,
// cookies or the like; a list of what is secret would never be complete.
var harmless = []string{"Accept", "Accept-Language", "Content-Type", "Range", "User-Agent"}

// credentialHeaders are where tokens of this protocol travel.
var credentialHeaders = []string{"Authorization", "Macaroon", "Grpc-Metadata-Macaroon", "Payment-Authorization"}

func (r *Request) check() error {
	switch {
	case r.URL == nil || r.URL.Host == "" || r.URL.Scheme != "http" && r.URL.Scheme != "https":
		return errors.New("the URL must begin with http:// or https:// and name a host")
	case r.URL.User != nil:
		return errors.New("the URL holds a user or password, but the header they need is the token's place")
	}
	for _, name := range credentialHeaders {
		if len(r.Header.Values(name)) > 0 {
			return fmt.Errorf("the header %s is the token's place: leave it out", name)
		}
	}
	if method := r.Method; method != "" && !httpguts.ValidHeaderFieldName(method) {
		return fmt.Errorf("%q is no method", method)
	}
	for name, values := range r.Header {
		if !httpguts.ValidHeaderFieldName(name) || slices.ContainsFunc(values, func(v string) bool {
			return !httpguts.ValidHeaderFieldValue(v)
		}) {
			return fmt.Errorf("the header %q has a name or value that cannot be sent", name)
		}
	}
	return nil
}

// build makes the HTTP request, with a credential in the named header if there is one.
func (r *Request) build(name, credential string) (*http.Request, error) {
	request, err := http.NewRequestWithContext(context.Background(), r.Method, r.URL.String(), bytes.NewReader(r.Body))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	if len(r.Body) == 0 {
		request.Body, request.GetBody, request.ContentLength = http.NoBody, nil, 0
	}
	request.Header = r.Header.Clone()
	if request.Header == nil {
		request.Header = make(http.Header)
	}
	if host := request.Header.Get("Host"); host != "" {
		request.Host = host
		request.Header.Del("Host")
	}
	if request.Header.Get("User-Agent") == "" {
		request.Header.Set("User-Agent", userAgent)
	}
	if credential != "" {
		request.Header.Set(name, credential)
	}
	return request, nil
}

// origin is who gets to see a token: scheme, host and port. A Host header of the user's own makes
// it another one, since the URL's host alone does not tell who answers then.
func (r *Request) origin() string {
	port := r.URL.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[r.URL.Scheme]
	}
	origin := r.URL.Scheme + "://" + net.JoinHostPort(strings.ToLower(r.URL.Hostname()), port)
	if host := r.Header.Get("Host"); host != "" {
		origin += " as " + strings.ToLower(host)
	}
	return origin
}

// host is who is paid, as a budget names it: without the usual port.
func (r *Request) host() string { return HostOf(r.URL) }

// HostOf names the host of a URL as budgets do: in lower case, without the scheme's usual port.
func HostOf(u *url.URL) string {
	host, port := strings.ToLower(u.Hostname()), u.Port()
	if port == "" || u.Scheme == "http" && port == "80" || u.Scheme == "https" && port == "443" {
		return host
	}
	return net.JoinHostPort(host, port)
}

// redirected makes the request that a redirect asks for, or nil where the answer is none.
func (r *Request) redirected(resp *http.Response) (*Request, error) {
	location := resp.Header.Get("Location")
	keep := false
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther:
	case http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		keep = true
	default:
		return nil, nil
	}
	if location == "" {
		return nil, nil
	}
	target, err := url.Parse(location)
	if err != nil {
		return nil, fmt.Errorf("following a redirect: %w: its Location cannot be read", ErrRedirect)
	}
	next := &Request{Method: r.Method, URL: r.URL.ResolveReference(target), Header: r.Header.Clone(), Body: r.Body}
	if next.URL.Fragment == "" {
		next.URL.Fragment = r.URL.Fragment
	}
	if !keep {
		if next.Method != http.MethodHead {
			next.Method = http.MethodGet
		}
		next.Body = nil
		next.Header.Del("Content-Type")
	}
	if next.origin() != r.origin() {
		next.Header = make(http.Header)
		for _, name := range harmless {
			if values := r.Header.Values(name); len(values) > 0 && (keep || name != "Content-Type") {
				next.Header[name] = slices.Clone(values)
			}
		}
	}
	if err := next.check(); err != nil {
		return nil, fmt.Errorf("following a redirect: %w: %w", ErrRedirect, err)
	}
	return next, nil
}
