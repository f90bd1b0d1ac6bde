package caddyl402

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// admin calls an endpoint of the admin API as Caddy does.
func admin(t *testing.T, method, target, body string) (int, string) {
	t.Helper()
	path, _, _ := strings.Cut(target, "?")
	for _, route := range new(adminAPI).Routes() {
		if route.Pattern != path && !(strings.HasSuffix(route.Pattern, "/") && strings.HasPrefix(path, route.Pattern)) {
			continue
		}
		w := httptest.NewRecorder()
		err := route.Handler.ServeHTTP(w, httptest.NewRequest(method, target, bytes.NewBufferString(body)))
		if err != nil {
			failed, ok := err.(caddy.APIError)
			if !ok {
				t.Fatalf("%s %s: %v is no APIError", method, target, err)
			}
			return failed.HTTPStatus, failed.Err.Error()
		}
		return w.Code, w.Body.String()
	}
	t.Fatalf("no endpoint %s", path)
	return 0, ""
}

func TestAdminAPI(t *testing.T) {
	s := serve(t, "wallet play sandbox", "l402 /premium/* 10 sat {\n\tuses 3\n}\ntest_upstream")
	challenge := s.challenge(s.want(402, "GET", "/premium/x"))
	status, body := admin(t, "POST", "/l402/sandbox/pay", `{"invoice":"`+challenge.Invoice+`"}`)
	if status != 200 {
		t.Fatal(status, body)
	}
	var paid struct{ Preimage string }
	if err := json.Unmarshal([]byte(body), &paid); err != nil || len(paid.Preimage) != 64 {
		t.Fatal(body, err)
	}
	p := purchase{Challenge: challenge, preimage: s.pay(challenge.Invoice)}
	s.want(200, "GET", "/premium/x", "Authorization", p.authorization())
	hash := p.preimage.Hash().String()
	if err := s.app().books.Ledger().Flush(t.Context()); err != nil {
		t.Fatal(err)
	}

	for _, tc := range []struct {
		name, method, target, body string
		status                     int
		contains                   string
	}{
		{"status", "GET", "/l402/status", "", 200, `"adapter":"sandbox"`},
		{"status offers", "GET", "/l402/status", "", 200, `"price_msat":10000`},
		{"payment by hash", "GET", "/l402/payments/" + hash, "", 200, `"uses_left":2`},
		{"payment unknown", "GET", "/l402/payments/" + strings.Repeat("0", 64), "", 404, "no payment"},
		{"payment malformed", "GET", "/l402/payments/xyz", "", 400, "64 hex digits"},
		{"settlements", "GET", "/l402/settlements?since=1h&service=premium", "", 200, hash},
		{"settlements of another service", "GET", "/l402/settlements?service=other", "", 200, `"settlements":[]`},
		{"settlements limit", "GET", "/l402/settlements?limit=0", "", 400, "from 1 to 1000"},
		{"report", "GET", "/l402/report?by=service", "", 200, `"key":"premium","payments":1,"amount_msat":10000`},
		{"report by day", "GET", "/l402/report", "", 200, time.Now().UTC().Format(time.DateOnly)},
		{"report by nonsense", "GET", "/l402/report?by=color", "", 400, "use day, service"},
		{"report since nonsense", "GET", "/l402/report?since=yore", "", 400, "use a time such as"},
		{"wrong method", "POST", "/l402/report", "", 405, "use GET"},
		{"keys", "GET", "/l402/keys", "", 200, `"minting":true`},
		{"retire the minting one", "POST", "/l402/keys/retire", `{"id":"` + s.app().keys.Keys()[0].ID.String() + `"}`, 409, "rotate first"},
		{"retire unknown", "POST", "/l402/keys/retire", `{"id":"0000000000000000"}`, 404, "no master key"},
		{"retire malformed", "POST", "/l402/keys/retire", `{"id":"zz"}`, 400, "hex"},
		{"unknown field", "POST", "/l402/keys/retire", `{"color":"red"}`, 400, "color"},
		{"rotate", "POST", "/l402/keys/rotate", "", 200, `"id":"`},
		{"pay nonsense", "POST", "/l402/sandbox/pay", `{"invoice":"lnbc1"}`, 400, ""},
		{"pay no JSON", "POST", "/l402/sandbox/pay", `invoice`, 400, "JSON"},
		{"huge body", "POST", "/l402/sandbox/pay", `{"invoice":"` + strings.Repeat("x", 1<<20) + `"}`, 400, "too large"},
		{"revoke nothing", "POST", "/l402/revoke", `{}`, 400, "no kind"},
		{"revoke nonsense", "POST", "/l402/revoke", `{"kind":"token","value":"x"}`, 400, "64 hex digits"},
		{"revoke", "POST", "/l402/revoke", `{"kind":"payment","value":"` + hash + `"}`, 200, hash},
		{"revocations", "GET", "/l402/revocations", "", 200, hash},
		{"undo", "POST", "/l402/revoke", `{"kind":"payment","value":"` + hash + `","undo":true}`, 200, `"removed":1`},
	} {
		status, body := admin(t, tc.method, tc.target, tc.body)
		if status != tc.status || !strings.Contains(body, tc.contains) {
			t.Errorf("%s: got %d %s, want %d with %q", tc.name, status, body, tc.status, tc.contains)
		}
		if strings.Contains(body, p.preimage.String()) {
			t.Errorf("%s shows a preimage: %s", tc.name, body)
		}
	}
	s.want(200, "GET", "/premium/x", "Authorization", p.authorization())
}

func TestAdminWithoutApp(t *testing.T) {
	config, err := adapt("{\n\tadmin off\n\tpersist_config off\n}\n")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	if err := load(config); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = caddy.Stop() }()
	if status, body := admin(t, http.MethodGet, "/l402/status", ""); status != 404 || !strings.Contains(body, "no l402 app") {
		t.Error(status, body)
	}
}
