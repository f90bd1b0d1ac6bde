package command_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-l402/caddy-l402/internal/command"
	"github.com/caddy-l402/caddy-l402/l402"
	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

// outcome is what a call of the program did.
type outcome struct {
	stdout, stderr string
	err            error
}

// code is the exit code that the process would have.
func (o outcome) code(t testing.TB) int {
	t.Helper()
	if o.err == nil {
		return 0
	}
	text, ok := strings.CutPrefix(o.err.Error(), "exiting with status ")
	if !ok {
		return 1
	}
	var code int
	if err := json.Unmarshal([]byte(text), &code); err != nil {
		t.Fatal(err)
	}
	return code
}

// run calls "caddy l402" with the arguments.
func run(ctx context.Context, stdin string, args ...string) outcome {
	root := &cobra.Command{Use: "caddy"}
	cmd := &cobra.Command{Use: command.Name + " " + command.Usage, Short: command.Short, Long: command.Long}
	command.Setup(cmd)
	root.AddCommand(cmd)
	var stdout, stderr bytes.Buffer
	root.SetArgs(append([]string{"l402"}, args...))
	root.SetIn(strings.NewReader(stdin))
	root.SetOut(&stdout)
	root.SetErr(&stderr)
	err := root.ExecuteContext(ctx)
	return outcome{stdout.String(), stderr.String(), err}
}

// market is a shop together with the admin API whose sandbox pays at it.
type market struct {
	*httptest.Server
	t        *testing.T
	node     *wallettest.Node
	last     *wallettest.Issued
	payments int
	// refuse makes paid requests be refused, failPay the payment fail.
	refuse, failPay bool
	// status is what paid requests get.
	status int
	body   string
	keys   []string
}

func newMarket(t *testing.T) *market {
	t.Setenv("L402_WALLET", "")
	m := &market{t: t, node: wallettest.NewNode(t, wallets.Regtest), status: 200, body: "the goods\n"}
	mux := http.NewServeMux()
	mux.HandleFunc("/shop/", m.shop)
	mux.HandleFunc("POST /l402/sandbox/pay", m.pay)
	mux.HandleFunc("GET /l402/keys", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"keys":[{"id":"00000000000000aa","created":"2026-01-02T03:04:05Z","minting":true},`+
			`{"id":"00000000000000bb","minting":false}],"fixed":false}`)
	})
	mux.HandleFunc("POST /l402/keys/rotate", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"id":"00000000000000cc"}`)
	})
	mux.HandleFunc("POST /l402/keys/retire", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		m.keys = append(m.keys, string(body))
		if strings.Contains(string(body), "aa") {
			w.WriteHeader(http.StatusConflict)
			_, _ = io.WriteString(w, `{"error":"the newest key cannot be retired"}`)
			return
		}
		_, _ = io.WriteString(w, `{"id":"00000000000000bb"}`)
	})
	m.Server = httptest.NewServer(mux)
	t.Cleanup(m.Close)
	return m
}

func (m *market) shop(w http.ResponseWriter, r *http.Request) {
	var c l402.Credential
	reader := l402.NewReader(r.Header, l402.FormAll)
	if ok, err := reader.Next(&c); ok && err == nil && !m.refuse {
		if id, ok := c.Identifier(); ok && c.HasPreimage && c.Preimage.Matches(id.PaymentHash) {
			body, _ := io.ReadAll(r.Body)
			w.Header().Set("X-Test", r.Header.Get("X-Test"))
			w.WriteHeader(m.status)
			_, _ = io.WriteString(w, m.body+string(body))
			return
		}
	}
	var err error
	if m.last, err = m.node.Issue(wallettest.Terms{Amount: 10_000, Expiry: time.Hour}); err != nil {
		m.t.Error(err)
	}
	terms := l402.Terms{Service: "shop", ValidUntil: time.Now().Add(time.Hour)}
	mac, err := l402.Mint(&l402.MasterKey{1}, l402.Identifier{PaymentHash: m.last.Hash}, terms.Caveats())
	if err != nil {
		m.t.Error(err)
	}
	w.Header().Set("WWW-Authenticate", l402.Challenge{Macaroon: mac, Invoice: m.last.Invoice}.L402())
	w.WriteHeader(http.StatusPaymentRequired)
}

func (m *market) pay(w http.ResponseWriter, _ *http.Request) {
	m.payments++
	if m.failPay {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":"the invoice expired"}`)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]string{"preimage": m.last.Preimage.String()})
}

// get calls "get" for the shop, paid by its own admin API.
func (m *market) get(args ...string) outcome {
	return run(m.t.Context(), "from stdin", append(append([]string{"get", "--admin", m.URL}, args...), m.URL+"/shop/a")...)
}

func TestGet(t *testing.T) {
	m := newMarket(t)
	got := m.get()
	if got.err != nil || got.stdout != "the goods\n" {
		t.Fatalf("%+v", got)
	}
	if !strings.Contains(got.stderr, "price 10 sat on regtest") || !strings.Contains(got.stderr, m.last.Hash.String()) {
		t.Errorf("stderr: %s", got.stderr)
	}
	if strings.Contains(got.stdout+got.stderr, m.last.Preimage.String()) {
		t.Error("the preimage is printed")
	}
	if got := m.get("-s"); got.stderr != "" || got.err != nil {
		t.Errorf("silent: %+v", got)
	}
}

func TestGetExitCodes(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(*market)
		args    []string
		code    int
		says    string
		paid    int
	}{
		"too dear":            {args: []string{"--max", "9"}, code: 3, says: "at most 9 sat"},
		"too dear in msat":    {args: []string{"--max", "9999 msat"}, code: 3, says: "9999 msat"},
		"nothing at all":      {args: []string{"--max", "0"}, code: 3},
		"dear enough":         {args: []string{"--max", "0.0000001 btc"}, code: 0, paid: 1},
		"payment fails":       {prepare: func(m *market) { m.failPay = true }, code: 4, says: "the invoice expired", paid: 1},
		"refused":             {prepare: func(m *market) { m.refuse = true }, code: 5, says: "Authorization: L402 ", paid: 1},
		"status with --fail":  {prepare: func(m *market) { m.status = 404 }, args: []string{"--fail"}, code: 22, says: "404", paid: 1},
		"status":              {prepare: func(m *market) { m.status = 404 }, code: 0, paid: 1},
		"unknown flag":        {args: []string{"--bogus"}, code: 2, says: "unknown flag"},
		"two URLs":            {args: []string{"http://a.test/"}, code: 2, says: "one URL"},
		"bad amount":          {args: []string{"--max", "ten"}, code: 2, says: "--max"},
		"bad fee":             {args: []string{"--max-fee", "1 eur"}, code: 2, says: "--max-fee"},
		"bad timeout":         {args: []string{"--timeout", "0s"}, code: 2, says: "--timeout"},
		"bad redirects":       {args: []string{"--max-redirects", "-1"}, code: 2, says: "--max-redirects"},
		"bad header":          {args: []string{"-H", "no colon"}, code: 2, says: "Name: value"},
		"own authorization":   {args: []string{"-H", "Authorization: Bearer x"}, code: 2, says: "token's place"},
		"no data file":        {args: []string{"-d", "@/none/such"}, code: 2, says: "--data"},
		"no output folder":    {args: []string{"-o", "/none/such/file"}, code: 2, says: "--output"},
		"no certificates":     {args: []string{"--cacert", "/none/such"}, code: 2, says: "--cacert"},
		"json and include":    {args: []string{"--json", "-i"}, code: 2, says: "--include"},
		"two wallets":         {args: []string{"--wallet", "sandbox", "--wallet-file", "f"}, code: 2, says: "keep one"},
		"unknown wallet":      {args: []string{"--wallet", "paypal:me"}, code: 2, says: "--wallet"},
		"no wallet file":      {args: []string{"--wallet-file", "/none/such"}, code: 2, says: "--wallet-file"},
		"broken wallet":       {args: []string{"--wallet", "sandbox:x?y=z"}, code: 2, says: "no setting"},
		"unreachable sandbox": {args: []string{"--wallet", "sandbox:127.0.0.1:1"}, code: 4, says: "--admin"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMarket(t)
			if test.prepare != nil {
				test.prepare(m)
			}
			got := m.get(test.args...)
			if code := got.code(t); code != test.code || !strings.Contains(got.stderr, test.says) {
				t.Errorf("exit code %d, want %d with %q; stderr: %s", code, test.code, test.says, got.stderr)
			}
			if m.payments != test.paid {
				t.Errorf("%d payments, want %d", m.payments, test.paid)
			}
			if test.code != 0 && got.stdout != "" {
				t.Errorf("stdout: %q", got.stdout)
			}
		})
	}
}

func TestGetSources(t *testing.T) {
	m := newMarket(t)
	file := filepath.Join(t.TempDir(), "wallet")
	if err := os.WriteFile(file, []byte("sandbox:"+m.URL+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	target := m.URL + "/shop/a"
	for name, args := range map[string][]string{
		"flag": {"--wallet", "sandbox:" + m.URL}, "file": {"--wallet-file", file},
		"flag and admin": {"--wallet", "sandbox", "--admin", m.URL},
	} {
		if got := run(t.Context(), "", append(append([]string{"get"}, args...), target)...); got.err != nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
	t.Setenv("L402_WALLET", "sandbox:"+m.URL)
	if got := run(t.Context(), "", "get", target); got.err != nil {
		t.Errorf("environment: %+v", got)
	}
	t.Setenv("L402_WALLET", "lnd:127.0.0.1:1?macaroon_hex=0201")
	got := run(t.Context(), "", "get", target)
	if got.code(t) != 2 || strings.Contains(got.stderr, "0201") {
		t.Errorf("a broken environment: %+v", got)
	}
	if got := m.get(); got.err != nil {
		t.Errorf("--admin over the environment: %+v", got)
	}
	if got := m.get("--wallet", "lnd:127.0.0.1:1?macaroon=x&tls_cert=x"); got.code(t) != 2 || !strings.Contains(got.stderr, "--admin") {
		t.Errorf("--admin with another wallet: %+v", got)
	}
}

func TestGetRequest(t *testing.T) {
	m := newMarket(t)
	data := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(data, []byte("from a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{"a=b": "a=b", "@" + data: "from a file", "@-": "from stdin", "": ""} {
		got := m.get("-d", in, "-H", "X-Test: yes", "-i")
		head, body, _ := strings.Cut(got.stdout, "\r\n\r\n")
		if got.err != nil || body != "the goods\n"+want {
			t.Errorf("-d %s: %+v", in, got)
		}
		if !strings.HasPrefix(head, "HTTP/1.1 200 OK\r\n") || !strings.Contains(head, "\r\nX-Test: yes") {
			t.Errorf("-i: %s", head)
		}
	}
}

func TestGetOutput(t *testing.T) {
	m := newMarket(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "out")
	if got := m.get("-o", file); got.err != nil || got.stdout != "" {
		t.Fatalf("%+v", got)
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != "the goods\n" {
		t.Errorf("%q, %v", data, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	m.status = 500
	if got := m.get("-o", file, "--fail"); got.code(t) != 22 {
		t.Errorf("%+v", got)
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != "the goods\n" {
		t.Errorf("the file was overwritten by an error page: %q, %v", data, err)
	}
	m.status = 200
	if got := m.get("-o", os.DevNull); got.err != nil {
		t.Errorf("a device: %+v", got)
	}
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode().IsRegular() {
		t.Fatalf("the device was replaced: %v, %v", info, err)
	}
}

// result is the JSON of get, as a script would read it.
type result struct {
	Status     int
	Body       *string
	BodyBase64 string `json:"body_base64"`
	File       string
	Paid       *struct {
		AmountMsat int `json:"amount_msat"`
	}
	TokenReused   bool `json:"token_reused"`
	Authorization string
	Error         string
	ExitCode      int `json:"exit_code"`
}

func TestGetJSON(t *testing.T) {
	m := newMarket(t)
	tokens := filepath.Join(t.TempDir(), "tokens")
	read := func(args ...string) (r result) {
		t.Helper()
		got := m.get(append([]string{"--json"}, args...)...)
		if err := json.Unmarshal([]byte(got.stdout), &r); err != nil {
			t.Fatalf("%v in %+v", err, got)
		}
		if r.ExitCode != got.code(t) || (r.Error == "") != (got.err == nil) {
			t.Errorf("%+v and %+v contradict each other", r, got)
		}
		return r
	}
	r := read("-t", tokens)
	if r.Status != 200 || r.Body == nil || *r.Body != "the goods\n" || r.Paid == nil || r.Paid.AmountMsat != 10_000 || r.TokenReused || r.Authorization != "" {
		t.Errorf("%+v", r)
	}
	if r := read("-t", tokens); !r.TokenReused || r.Paid != nil {
		t.Errorf("the second time: %+v", r)
	}
	m.body = "\xff\xfe"
	if r := read(); r.BodyBase64 != base64.StdEncoding.EncodeToString([]byte(m.body)) || r.Body != nil {
		t.Errorf("binary: %+v", r)
	}
	if r := read("--max", "1"); r.ExitCode != 3 || r.Paid != nil || r.Authorization != "" {
		t.Errorf("too dear: %+v", r)
	}
	m.status = 503
	if r := read("--fail"); r.ExitCode != 22 || r.Status != 503 || !strings.HasPrefix(r.Authorization, "L402 ") {
		t.Errorf("paid, and the server fails: %+v", r)
	}
	m.refuse = true
	if r := read(); r.ExitCode != 5 || r.Authorization == "" {
		t.Errorf("refused: %+v", r)
	}
	if r := read("-t", tokens); r.ExitCode != 5 || r.Authorization != "" {
		t.Errorf("refused, but kept: %+v", r)
	}
}

func TestDecode(t *testing.T) {
	node := wallettest.NewNode(t, wallets.Regtest)
	issued, err := node.Issue(wallettest.Terms{Amount: 10_000, Memo: "a page"})
	if err != nil {
		t.Fatal(err)
	}
	mac, err := l402.Mint(&l402.MasterKey{1}, l402.Identifier{PaymentHash: issued.Hash}, l402.Terms{Service: "s"}.Caveats())
	if err != nil {
		t.Fatal(err)
	}
	credential := l402.FormatAuthorization(mac, issued.Preimage)
	for name, test := range map[string]struct {
		stdin string
		args  []string
		says  string
	}{
		"an argument":    {args: []string{issued.Invoice}, says: "10 sat"},
		"words":          {args: strings.Fields(credential), says: "it proves the payment"},
		"standard input": {stdin: "Authorization: " + credential + "\n", args: []string{"-"}, says: "opens s:0"},
		"JSON":           {args: []string{"--json", issued.Invoice}, says: `"amount_msat": 10000`},
	} {
		got := run(t.Context(), test.stdin, append([]string{"decode"}, test.args...)...)
		if got.err != nil || !strings.Contains(got.stdout, test.says) || strings.Contains(got.stdout, issued.Preimage.String()) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := run(t.Context(), "", "decode", "--show-secrets", credential); !strings.Contains(got.stdout, issued.Preimage.String()) {
		t.Errorf("--show-secrets: %+v", got)
	}
	if got := run(t.Context(), "", "decode"); got.code(t) != 2 {
		t.Errorf("nothing: %+v", got)
	}
	if got := run(t.Context(), "", "decode", "what"); got.code(t) != 1 || !strings.Contains(got.stderr, "caddy l402 decode: decoding") {
		t.Errorf("words without meaning: %+v", got)
	}
}

func TestKeys(t *testing.T) {
	m := newMarket(t)
	address := strings.TrimPrefix(m.URL, "http://")
	config := filepath.Join(t.TempDir(), "caddy.json")
	if err := os.WriteFile(config, []byte(`{"admin":{"listen":"`+address+`"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		args []string
		code int
		says string
	}{
		"list":              {[]string{"list", "--address", address}, 0, "00000000000000aa  2026-01-02T03:04:05Z  makes new tokens\n00000000000000bb  unknown               accepted"},
		"list as JSON":      {[]string{"list", "--address", address, "--json"}, 0, `"minting": true`},
		"address of config": {[]string{"list", "--config", config}, 0, "00000000000000aa"},
		"rotate":            {[]string{"rotate", "--address", address}, 0, "key 00000000000000cc"},
		"rotate as JSON":    {[]string{"rotate", "--address", address, "--json"}, 0, `"id": "00000000000000cc"`},
		"retire":            {[]string{"retire", "--address", address, "00000000000000BB"}, 0, "00000000000000bb is retired"},
		"retire the newest": {[]string{"retire", "--address", address, "00000000000000aa"}, 1, "newest key cannot be retired (status 409)"},
		"retire nothing":    {[]string{"retire", "--address", address}, 2, "one argument, the id"},
		"retire nonsense":   {[]string{"retire", "--address", address, "bb"}, 2, "keys list shows"},
		"rotate too much":   {[]string{"rotate", "--address", address, "x"}, 2, "no arguments"},
		"nobody there":      {[]string{"list", "--address", "127.0.0.1:1"}, 1, "not reachable"},
		"no such config":    {[]string{"list", "--config", "/none/such.json"}, 1, "admin API's address"},
		"unknown":           {[]string{"destroy"}, 2, "list, rotate or retire"},
		"help":              {nil, 0, "keys list"},
	} {
		got := run(t.Context(), "", append([]string{"keys"}, test.args...)...)
		if got.code(t) != test.code || !strings.Contains(got.stdout+got.stderr, test.says) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if want := `{"id":"00000000000000bb"}`; len(m.keys) != 2 || m.keys[0] != want && m.keys[1] != want {
		t.Errorf("sent: %q", m.keys)
	}
}

// TestHelp shows that each command explains itself with examples.
func TestHelp(t *testing.T) {
	for _, args := range [][]string{{}, {"demo"}, {"get"}, {"decode"}, {"keys"}} {
		got := run(t.Context(), "", append(args, "--help")...)
		if got.err != nil || !strings.Contains(got.stdout, "Examples:") || !strings.Contains(got.stdout, "caddy l402") {
			t.Errorf("%v: %+v", args, got)
		}
	}
	if got := run(t.Context(), "", "get", "--help"); !strings.Contains(got.stdout, "22  with --fail") {
		t.Error("the exit codes are not documented")
	}
	if got := run(t.Context(), "", "bogus"); got.code(t) != 2 {
		t.Errorf("an unknown command: %+v", got)
	}
}
