package command_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

const (
	aPayment = "aa00000000000000000000000000000000000000000000000000000000000001"
	aToken   = "bb00000000000000000000000000000000000000000000000000000000000002"
	aNumber  = "cc00000000000000000000000000000000000000000000000000000000000003"
)

// office is an admin API that knows one payment and one service.
type office struct {
	*httptest.Server
	revoked []string // kind:value, with "undo:" before
	removed int
	query   string
	report  string
	status  string
	broken  bool
}

func newOffice(t *testing.T) *office {
	o := &office{
		removed: 1,
		report: `{"by":"service","rows":[{"key":"premium","payments":3,"amount_msat":30000,` +
			`"first":"2026-01-02T03:04:05Z","last":"2026-01-03T03:04:05Z"},` +
			`{"key":"x\u001b[31m,\"y","payments":1,"amount_msat":500,"first":"2026-01-02T03:04:05Z","last":"2026-01-02T03:04:05Z"}]}`,
		status: `{"wallets":[{"name":"main","adapter":"lnd","network":"mainnet","default":true,"healthy":false,"premade":4},` +
			`{"name":"many","adapter":"lnurl","network":"mainnet","default":false,"premade":0}],"open_tenant_wallets":7,` +
			`"offers":[{"service":"premium","tier":2,"price_msat":10500,"wallet":"main","terms":"valid for 24h","scope":"host"}],` +
			`"keys":[{"id":"00000000000000aa","minting":true,"age_seconds":3600}],` +
			`"ledger":{"instance":"abc","pending_bytes":12,"lag":1500000,"degraded":true,"failing":"commit","last_error":"disk full",` +
			`"failing_since":"2026-01-02T03:04:05Z","commits":5,"commit_latency":2000000,"lost":1}}`,
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /l402/payments/{id}", func(w http.ResponseWriter, r *http.Request) {
		if id := r.PathValue("id"); o.broken {
			w.WriteHeader(503)
			_, _ = io.WriteString(w, `{"error":"the ledger is not open"}`)
		} else if id == aPayment || id == aToken {
			_, _ = io.WriteString(w, `{"payment_hash":"`+aPayment+`","settlement":{"token_id":"`+aToken+`"},"revoked":false}`)
		} else {
			w.WriteHeader(404)
			_, _ = io.WriteString(w, `{"error":"no payment with this payment hash or token id is recorded"}`)
		}
	})
	mux.HandleFunc("POST /l402/revoke", func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Kind, Value string
			Undo        bool
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		entry := body.Kind + ":" + body.Value
		if body.Undo {
			entry = "undo:" + entry
			_ = json.NewEncoder(w).Encode(map[string]int{"removed": o.removed})
		} else {
			_ = json.NewEncoder(w).Encode(map[string]string{"kind": body.Kind, "value": body.Value})
		}
		o.revoked = append(o.revoked, entry)
	})
	mux.HandleFunc("GET /l402/report", func(w http.ResponseWriter, r *http.Request) {
		if o.query = r.URL.RawQuery; r.URL.Query().Get("since") == "yore" {
			w.WriteHeader(400)
			_, _ = io.WriteString(w, `{"error":"since \"yore\": use a time such as 7d"}`)
			return
		}
		_, _ = io.WriteString(w, o.report)
	})
	mux.HandleFunc("GET /l402/status", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, o.status) })
	o.Server = httptest.NewServer(mux)
	t.Cleanup(o.Close)
	return o
}

func (o *office) run(t *testing.T, args ...string) outcome {
	return run(t.Context(), "", append(args, "--address", strings.TrimPrefix(o.URL, "http://"))...)
}

func TestRevoke(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want []string
		says string
	}{
		"payment":           {[]string{aPayment}, []string{"payment:" + aPayment}, "all tokens of the payment"},
		"token":             {[]string{aToken}, []string{"token:" + aToken}, "the token " + aToken},
		"upper case":        {[]string{strings.ToUpper(aToken)}, []string{"token:" + aToken}, aToken},
		"unknown number":    {[]string{aNumber}, []string{"token:" + aNumber, "payment:" + aNumber}, "no payment with this number is recorded"},
		"kind token":        {[]string{"--kind", "token", aNumber}, []string{"token:" + aNumber}, "the token"},
		"kind payment":      {[]string{"--kind", "payment", aToken}, []string{"payment:" + aToken}, "payment"},
		"service":           {[]string{"premium"}, []string{"service:premium"}, "exist now"},
		"unsold service":    {[]string{"--kind", "service", "old"}, []string{"service:old"}, "old"},
		"undo of a number":  {[]string{"--undo", aPayment}, []string{"undo:token:" + aPayment, "undo:payment:" + aPayment}, "took back 2"},
		"undo of a service": {[]string{"--undo", "gone"}, []string{"undo:service:gone"}, "took back the revocation of gone"},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t)
			got := o.run(t, append([]string{"revoke"}, test.args...)...)
			if got.err != nil || !slices.Equal(o.revoked, test.want) || !strings.Contains(got.stdout, test.says) {
				t.Errorf("%+v; revoked %q", got, o.revoked)
			}
		})
	}
}

func TestRevokeRefusals(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		code int
		says string
	}{
		"nothing":        {nil, 2, "not 0"},
		"two":            {[]string{"a", "b"}, 2, "not 2"},
		"a slip":         {[]string{"premum"}, 2, `does not sell a service "premum", but premium`},
		"a digit less":   {[]string{aToken[1:]}, 2, "does not sell"},
		"bad kind":       {[]string{"--kind", "thing", "x"}, 2, "use token, payment or service"},
		"no number":      {[]string{"--kind", "token", "premium"}, 2, "64 hex digits"},
		"no name at all": {[]string{"a b"}, 2, "no name of a service"},
		"nothing undone": {[]string{"--undo", "none"}, 1, "nothing to take back"},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t)
			o.removed = 0
			got := o.run(t, append([]string{"revoke"}, test.args...)...)
			if got.code(t) != test.code || !strings.Contains(got.stderr, test.says) || got.stdout != "" {
				t.Errorf("%d %+v", got.code(t), got)
			}
			if len(o.revoked) > 0 && !strings.HasPrefix(o.revoked[0], "undo:") {
				t.Error("revoked", o.revoked)
			}
		})
	}
	o := newOffice(t)
	o.broken = true // whether it is a token or a payment cannot be said: nothing is revoked
	if got := o.run(t, "revoke", aToken); got.code(t) != 1 || len(o.revoked) > 0 || !strings.Contains(got.stderr, "ledger is not open") {
		t.Errorf("%+v", got)
	}
	o.Close()
	if got := o.run(t, "revoke", "premium"); got.code(t) != 1 || !strings.Contains(got.stderr, "not reachable") {
		t.Errorf("%+v", got)
	}
}

func TestRevokeJSON(t *testing.T) {
	o := newOffice(t)
	got := o.run(t, "revoke", "--json", aNumber)
	var answer struct {
		Kinds []string
		Known bool
	}
	if err := json.Unmarshal([]byte(got.stdout), &answer); err != nil || len(answer.Kinds) != 2 || answer.Known {
		t.Errorf("%v %+v", err, got)
	}
}

func TestReport(t *testing.T) {
	o := newOffice(t)
	got := o.run(t, "report", "--by", "service", "--since", "7d", "--until", "2026-02-01", "--service", "a&b")
	if o.query != "by=service&service=a%26b&since=7d&until=2026-02-01" {
		t.Error(o.query)
	}
	lines := strings.Split(got.stdout, "\n")
	if got.err != nil || len(lines) != 5 || !strings.HasPrefix(lines[0], "SERVICE") || strings.ContainsRune(got.stdout, 0x1b) ||
		!strings.Contains(lines[1], "30 sat") || !strings.HasPrefix(lines[3], "total") || !strings.Contains(lines[3], "30500 msat") {
		t.Errorf("%+v", got)
	}
	got = o.run(t, "report", "--by", "service", "--format", "csv")
	if want := "service,payments,amount_msat,first,last\npremium,3,30000,2026-01-02T03:04:05Z,2026-01-03T03:04:05Z\n"; !strings.HasPrefix(got.stdout, want) {
		t.Errorf("%q", got.stdout)
	}
	got = o.run(t, "report", "--format", "json")
	var report struct{ Rows []struct{ Key string } }
	if err := json.Unmarshal([]byte(got.stdout), &report); err != nil || len(report.Rows) != 2 || o.query != "by=day" {
		t.Error(err, o.query, got)
	}
	o.report = `{"by":"day","rows":[]}`
	if got = o.run(t, "report"); got.stdout != "no payment in this time\n" {
		t.Errorf("%+v", got)
	}
}

func TestReportOfManyRows(t *testing.T) {
	o := newOffice(t)
	row := `{"key":"` + strings.Repeat("k", 200) + `","payments":1,"amount_msat":1,"first":"2026-01-02T03:04:05Z","last":"2026-01-02T03:04:05Z"}`
	o.report = `{"by":"tenant","rows":[` + strings.Repeat(row+",", 9999) + row + `]}` // more than other answers may have
	if got := o.run(t, "report", "--by", "tenant"); got.err != nil || strings.Count(got.stdout, "\n") != 10002 {
		t.Error(got.err, strings.Count(got.stdout, "\n"))
	}
}

func TestReportRefusals(t *testing.T) {
	o := newOffice(t)
	for args, code := range map[string]int{
		"report x": 2, "report --by color": 2, "report --format xml": 2, "report --since yore": 1, "status x": 2,
	} {
		if got := o.run(t, strings.Fields(args)...); got.code(t) != code || got.stderr == "" {
			t.Errorf("%s: %+v", args, got)
		}
	}
}

func TestStatus(t *testing.T) {
	o := newOffice(t)
	got := o.run(t, "status")
	for _, text := range []string{
		"main (default)  lnd", "fails", "filled in by requests", "7 wallets of tenants", "10500 msat", "valid for 24h",
		"makes new tokens", "1h0m0s", "metered tokens get 503", "disk full", "1 lost records", "2ms",
	} {
		if !strings.Contains(got.stdout, text) {
			t.Errorf("no %q in\n%s", text, got.stdout)
		}
	}
	if got = o.run(t, "status", "--json"); !json.Valid([]byte(got.stdout)) || !strings.Contains(got.stdout, `"pending_bytes": 12`) {
		t.Errorf("%+v", got)
	}
	o.status = `{"wallets":[],"offers":[],"keys":[],"ledger_error":"the ledger is not open: storage does not work"}`
	if got = o.run(t, "status"); !strings.Contains(got.stdout, "ledger: the ledger is not open") {
		t.Errorf("%+v", got)
	}
}
