package caddyl402

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"
)

func init() {
	caddy.RegisterModule(new(adminAPI))
}

// adminAPI is the part of Caddy's admin API below /l402/. Caddy makes it before the apps and
// keeps it through failed reloads, so it holds no configuration: each request asks for the one
// that is active.
type adminAPI struct{}

// maxAdminBody bounds what an admin request may send.
const maxAdminBody = 64 << 10

// CaddyModule returns the Caddy module information.
func (*adminAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.l402",
		New: func() caddy.Module { return new(adminAPI) },
	}
}

// Routes returns the endpoints.
func (a *adminAPI) Routes() []caddy.AdminRoute {
	var routes []caddy.AdminRoute
	for pattern, handle := range map[string]func(*App, *http.Request) (any, error){
		"POST /l402/sandbox/pay": (*App).adminSandboxPay,
		"GET /l402/keys":         (*App).adminKeys,
		"POST /l402/keys/rotate": (*App).adminRotate,
		"POST /l402/keys/retire": (*App).adminRetire,
		"GET /l402/status":       (*App).adminStatus,
		"GET /l402/payments/":    (*App).adminPayment,
		"GET /l402/settlements":  (*App).adminSettlements,
		"GET /l402/report":       (*App).adminReport,
		"GET /l402/revocations":  (*App).adminRevocations,
		"POST /l402/revoke":      (*App).adminRevoke,

		"GET /l402/cashu/balance":  (*App).adminEcash,
		"POST /l402/cashu/send":    (*App).adminSend,
		"POST /l402/cashu/redeem":  (*App).adminRedeem,
		"POST /l402/cashu/restore": (*App).adminRestore,
		"POST /l402/cashu/seed":    (*App).adminSeed,
	} {
		var method, path string
		if _, err := fmt.Sscan(pattern, &method, &path); err != nil {
			panic(err) // the patterns are those above
		}
		routes = append(routes, caddy.AdminRoute{Pattern: path, Handler: adminHandler(method, handle)})
	}
	return routes
}

// adminHandler checks the method, finds the active app and writes the answer as JSON.
func adminHandler(method string, handle func(*App, *http.Request) (any, error)) caddy.AdminHandler {
	return caddy.AdminHandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		if r.Method != method {
			w.Header().Set("Allow", method)
			return adminError(http.StatusMethodNotAllowed, fmt.Errorf("method %s: use %s", r.Method, method))
		}
		app, err := activeApp()
		if err != nil {
			return err
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxAdminBody)
		answer, err := handle(app, r)
		if err != nil {
			return err
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		return json.NewEncoder(w).Encode(answer)
	})
}

// activeApp is the l402 app of the configuration that is running.
func activeApp() (*App, error) {
	ctx := caddy.ActiveContext()
	app, err := ctx.AppIfConfigured("l402")
	if err != nil || app == nil {
		return nil, adminError(http.StatusNotFound, errors.New("the running configuration has no l402 app"))
	}
	return app.(*App), nil
}

func adminError(status int, err error) error {
	return caddy.APIError{HTTPStatus: status, Err: err}
}

// readJSON reads a request's body into v.
func readJSON(r *http.Request, v any) error {
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(v); err != nil {
		return adminError(http.StatusBadRequest, fmt.Errorf("reading the request's JSON: %w", err))
	}
	return nil
}

// Guards.
var (
	_ caddy.Module      = (*adminAPI)(nil)
	_ caddy.AdminRouter = (*adminAPI)(nil)
)
