package caddyl402

import (
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-l402/caddy-l402/internal/paywall"
)

// refusedVar is the request variable that holds the error that error routes were given, so that a
// gate in them does not make a second invoice.
const refusedVar = "l402.refused"

// handOver makes an error of a problem where error routes of the site write an answer to it, and
// returns nil where the gate has to. One server serves many sites, and the routes of a site may be
// about other errors.
func handOver(r *http.Request, p *paywall.Problem) error {
	server, _ := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if server == nil || server.Errors == nil || len(server.Errors.Routes) == 0 || paywall.IsGRPC(r) {
		return nil
	}
	err := caddyhttp.Error(p.Status, fmt.Errorf("%s: %s", p.Code, p.Detail))
	if !answers(server.Errors.Routes, server.Errors.WithError(r, err)) {
		return nil
	}
	caddyhttp.SetVar(r.Context(), refusedVar, err)
	return err
}

// answers tells whether any of the routes has a handler for the request.
func answers(routes caddyhttp.RouteList, r *http.Request) bool {
	for _, route := range routes {
		if matched, err := route.MatcherSets.AnyMatchWithError(r); err != nil || !matched {
			continue
		}
		for _, handler := range route.Handlers {
			sub, ok := handler.(*caddyhttp.Subroute)
			if !ok || answers(sub.Routes, r) {
				return true
			}
		}
	}
	return false
}

// refusedBefore is the error that a gate refused the request with before its error routes began.
func refusedBefore(r *http.Request) error {
	err, _ := caddyhttp.GetVar(r.Context(), refusedVar).(error)
	return err
}
