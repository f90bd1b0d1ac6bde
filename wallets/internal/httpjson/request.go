package httpjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Request is one call. At most one of JSON and Form is set.
type Request struct {
	// Method is the HTTP method; empty is GET.
	Method string
	// Path is joined to the base as it stands; the caller escapes what it puts in. A '?' in
	// it is an error: Query is for that.
	Path string
	// URL is the whole address, for a Client without base, in place of Path.
	URL string
	// Query is added to the address.
	Query url.Values
	// Header is added to the headers.
	Header http.Header
	// JSON is sent as the body, where it is not nil.
	JSON any
	// Form is sent as the body in the form of HTML forms, where it is not nil.
	Form url.Values
	// Timeout bounds this call instead of the client's time-out; less than zero leaves it to
	// the context.
	Timeout time.Duration
}

func (c *Client) build(r Request) (*http.Request, error) {
	target, err := c.target(r)
	if err != nil {
		return nil, err
	}
	var content io.Reader
	var contentType string
	switch {
	case r.JSON != nil && r.Form != nil:
		return nil, errors.New("a request has one body: JSON or form")
	case r.JSON != nil:
		b, err := json.Marshal(r.JSON)
		if err != nil {
			return nil, fmt.Errorf("encoding request: %w", err)
		}
		content, contentType = bytes.NewReader(b), "application/json"
	case r.Form != nil:
		content, contentType = strings.NewReader(r.Form.Encode()), "application/x-www-form-urlencoded"
	}
	req, err := http.NewRequest(r.Method, target, content)
	if err != nil {
		// The error would repeat the address, which may be a secret.
		return nil, errors.New("the address or the method of the request is invalid")
	}
	req.Header.Set("User-Agent", "caddy-l402")
	req.Header.Set("Accept", "application/json")
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for name, values := range r.Header {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	if c.cfg.Authorize != nil {
		if err := c.cfg.Authorize(req.Header); err != nil {
			return nil, err
		}
	}
	return req, nil
}

func (c *Client) target(r Request) (string, error) {
	var u *url.URL
	switch {
	case c.cfg.Base == nil:
		parsed, err := url.Parse(r.URL)
		if err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Host == "" {
			return "", errors.New("the request's address is not a URL")
		}
		u = parsed
	case r.URL != "":
		return "", errors.New("the client is for one host, so the request gives a path only")
	case strings.ContainsAny(r.Path, "?#") || strings.Contains("/"+r.Path+"/", "/../"):
		return "", errors.New("the request's path holds what is no path")
	default:
		u = c.cfg.Base.JoinPath(r.Path)
	}
	if len(r.Query) > 0 {
		q := r.Query.Encode()
		if u.RawQuery != "" {
			// What was there stays as it was written: the peer may want it so.
			q = u.RawQuery + "&" + q
		}
		u.RawQuery = q
	}
	return u.String(), nil
}

// ParseBase reads the address of a peer as it stands in the configuration: http or https, a host,
// perhaps a port and a path. setting names it in errors, which do not repeat the address because
// it may hold a password.
func ParseBase(setting, text string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(text))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s is not a URL such as https://host:port", setting)
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("%s must begin with http:// or https://", setting)
	case u.User != nil:
		return nil, fmt.Errorf("%s holds a user name or password: take it out and use the setting for it", setting)
	case u.Hostname() == "":
		return nil, fmt.Errorf("%s names no host", setting)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, fmt.Errorf("%s must end with its path, without '?' and '#'", setting)
	}
	return u, nil
}
