package command_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// treasury is an admin API with ecash.
type treasury struct {
	office
	path   string
	body   map[string]any
	answer string
	code   int
}

func newTreasury(t *testing.T, answer string) *treasury {
	o := &treasury{answer: answer, code: 200}
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.path = r.Method + " " + r.URL.Path
		if r.Method == http.MethodPost {
			if err := json.NewDecoder(r.Body).Decode(&o.body); err != nil {
				t.Error(err)
			}
		}
		w.WriteHeader(o.code)
		_, _ = io.WriteString(w, o.answer)
	}))
	t.Cleanup(o.Close)
	return o
}

const balances = `{"purses":[
{"mint":"https://a.example","unit":"sat","seat":0,"own":true,"available":1200,"proofs":7,"pending":5,"value_at_risk":3,"disputed":0,
 "redeem_to":"node","redemptions":{"count":2,"amount":9000,"fees":12,"failures":1,"problem":"fee too high","retry":"2026-01-02T03:04:05Z",
 "current":{"amount":100,"begun":"2026-01-01T00:00:00Z"}}},
{"mint":"https://b.example","unit":"msat","name":"x\u001b[31m","seat":1,"own":false,"available":7,"proofs":1,"pending":0,"value_at_risk":0,
 "disputed":4,"problem":"mint down","not_redeemed":"it is a tenant's"},
{"mint":"https://c.example","unit":"sat","wallet":"shop","seat":0,"own":true,"available":0,"proofs":0,"pending":0,"value_at_risk":0,"disputed":0}]}`

func TestCashuBalance(t *testing.T) {
	o := newTreasury(t, balances)
	got := o.run(t, "cashu", "balance")
	for _, want := range []string{
		"https://a.example  sat   -", "9000 (fees 12)", "WHOSE", "wallet shop", "x [31m",
		"https://a.example (sat): 100 are being paid to node since 2026-01-01T00:00:00Z",
		"the last redemption failed: fee too high; it is tried again at 2026-01-02T03:04:05Z",
		"the mint took 4 and gave nothing for it", "mint down", "not redeemed: it is a tenant's",
	} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("%q is missing in\n%s", want, got.stdout)
		}
	}
	if got.err != nil || o.path != "GET /l402/cashu/balance" || strings.Contains(got.stdout, "\x1b") {
		t.Errorf("%+v, %s", got, o.path)
	}
	got = o.run(t, "cashu", "balance", "--format", "json")
	var back struct{ Purses []map[string]any }
	if err := json.Unmarshal([]byte(got.stdout), &back); err != nil || len(back.Purses) != 3 || back.Purses[0]["proofs"] != 7.0 {
		t.Errorf("%+v: %v", got, err)
	}
	o.answer = `{"purses":[]}`
	if got := o.run(t, "cashu", "balance"); !strings.Contains(got.stdout, "no purse is open") {
		t.Errorf("%+v", got)
	}
}

func TestCashuSend(t *testing.T) {
	o := newTreasury(t, `{"token":"cashuBabc","mint":"https://a.example","unit":"sat","amount":100}`)
	got := o.run(t, "cashu", "send", "100 sat", "--mint", "https://a.example", "--name", "")
	if got.err != nil || got.stdout != "cashuBabc\n" || !strings.Contains(got.stderr, "has the money") || o.path != "POST /l402/cashu/send" {
		t.Errorf("%+v, %s", got, o.path)
	}
	key, _ := o.body["key"].(string)
	if len(key) != 32 || o.body["amount"] != 100.0 || o.body["unit"] != "sat" || o.body["mint"] != "https://a.example" || o.body["name"] != "" {
		t.Errorf("sent %v", o.body)
	}
	if _, ok := o.body["wallet"]; ok {
		t.Error("a wallet was named")
	}
	if got = o.run(t, "cashu", "send", "7", "--key", "k"); got.err != nil || o.body["key"] != "k" || o.body["amount"] != 7.0 {
		t.Errorf("%+v, %v", got, o.body)
	}
	if got = o.run(t, "cashu", "send", "7", "--format", "json"); !strings.Contains(got.stdout, `"token": "cashuBabc"`) {
		t.Errorf("%+v", got)
	}
	o.answer = `{"token":"nothing"}`
	if got = o.run(t, "cashu", "send", "7"); got.code(t) != 1 || got.stdout != "" {
		t.Errorf("%+v", got)
	}
	// Where the end is not known the key is told, and where it is refused it is not.
	o.code, o.answer = 503, `{"error":"the mint has not confirmed yet"}`
	if got = o.run(t, "cashu", "send", "7", "--key", "mine"); got.code(t) != 1 || !strings.Contains(got.stderr, "--key mine") {
		t.Errorf("%+v", got)
	}
	o.code, o.answer = 409, `{"error":"not so much"}`
	if got = o.run(t, "cashu", "send", "7", "--key", "mine"); got.code(t) != 1 || strings.Contains(got.stderr, "--key") {
		t.Errorf("%+v", got)
	}
}

func TestCashuRedeem(t *testing.T) {
	paid := `{"mint":"https://a.example","unit":"sat","paid":[{"payment_hash":"aa","target":"node","amount":90,"fee":1,"why":"asked"}]}`
	o := newTreasury(t, `{"purses":[`+paid+`]}`)
	got := o.run(t, "cashu", "redeem", "--unit", "sat", "--wallet", "w")
	if got.err != nil || !strings.Contains(got.stdout, "https://a.example (sat): 90 paid to node, fee 1") || o.body["wallet"] != "w" {
		t.Errorf("%+v, %v", got, o.body)
	}
	o.answer = `{"purses":[` + paid + `,{"mint":"https://b.example","unit":"sat","paid":[],"problem":"the payment is in flight","in_flight":true}]}`
	got = o.run(t, "cashu", "redeem")
	if got.code(t) != 4 || !strings.Contains(got.stdout, "in flight") || !strings.Contains(got.stderr, "1 of 2") {
		t.Errorf("%+v", got)
	}
	if got = o.run(t, "cashu", "redeem", "--format", "json"); got.code(t) != 4 || !json.Valid([]byte(got.stdout)) {
		t.Errorf("%+v", got)
	}
}

func TestCashuRestoreAndSeed(t *testing.T) {
	o := newTreasury(t, `{"purses":[{"mint":"https://a.example","unit":"sat","name":"anna","found":12}]}`)
	got := o.run(t, "cashu", "restore", "--name", "anna")
	if got.err != nil || got.stdout != "https://a.example (sat) of anna: found 12\n" || o.path != "POST /l402/cashu/restore" {
		t.Errorf("%+v, %s", got, o.path)
	}
	o.answer = `{"seed":"half depart"}`
	got = o.run(t, "cashu", "seed")
	if got.err != nil || got.stdout != "half depart\n" || !strings.Contains(got.stderr, "write these words down") || o.body["of"] != "payments" {
		t.Errorf("%+v, %v", got, o.body)
	}
	if got = o.run(t, "cashu", "seed", "--wallets", "--format", "json"); o.body["of"] != "wallets" || !strings.Contains(got.stdout, `"seed"`) {
		t.Errorf("%+v, %v", got, o.body)
	}
	o.code, o.answer = 409, `{"error":"the seed was shown already"}`
	if got = o.run(t, "cashu", "seed"); got.code(t) != 1 || got.stdout != "" || !strings.Contains(got.stderr, "shown already") {
		t.Errorf("%+v", got)
	}
}

func TestCashuUsage(t *testing.T) {
	o := newTreasury(t, `{}`)
	for _, args := range [][]string{
		{"cashu", "spend"}, {"cashu", "send"}, {"cashu", "send", "1", "2"}, {"cashu", "send", "0"}, {"cashu", "send", "-1"},
		{"cashu", "send", "1.5 sat"}, {"cashu", "send", "1 btc"}, {"cashu", "send", "1 sat", "--unit", "msat"}, {"cashu", "send", "99999999999999999999"},
		{"cashu", "balance", "x"}, {"cashu", "balance", "--format", "xml"}, {"cashu", "redeem", "now"}, {"cashu", "seed", "again"},
	} {
		if got := o.run(t, args...); got.code(t) != 2 || o.path != "" {
			t.Errorf("%q: %+v, %s", args, got, o.path)
		}
	}
}
