package caddyl402

import (
	"bytes"
	"io"
	"net/http"
	"strconv"

	"github.com/caddy-l402/caddy-l402/internal/buyer"
	"github.com/caddy-l402/caddy-l402/internal/paywall"
)

// headerUpstream tells why an upstream was not paid, for handle_response and for clients.
const headerUpstream = "X-L402-Upstream"

// notBought is the 502 in place of an upstream's answer that would have cost too much. It names no
// amounts: what the server spends is the operator's affair, who finds it in the log.
func notBought(req *http.Request, refusal *buyer.Refusal) *http.Response {
	p := &paywall.Problem{
		Status: http.StatusBadGateway, Code: refusal.Code, Title: "Upstream Not Paid", Detail: refusal.Detail,
		RetryAfter: refusal.RetryAfter,
	}
	if refusal.RetryAfter > 0 {
		p.Cure = cureLater
	}
	body := p.JSON()
	header := http.Header{}
	header.Set("Content-Type", "application/problem+json")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	header.Set("Cache-Control", "no-store")
	header.Set(headerUpstream, refusal.Code)
	if seconds := p.RetrySeconds(); seconds > 0 {
		header.Set("Retry-After", strconv.FormatInt(seconds, 10))
	}
	return &http.Response{
		Status: "502 Bad Gateway", StatusCode: http.StatusBadGateway,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: req,
	}
}
