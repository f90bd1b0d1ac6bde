package cln

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/caddy-l402/caddy-l402/wallets/internal/httpjson"
)

func FuzzReadAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"jsonrpc":"2.0","id":"a","result":{}}`,
		`{"method":"log"}{"id":"a","error":{"code":900,"message":"x"}}`,
		`{"id":"b","result":1}`, `{"id":1,"result":1}`, `{"id":"a","result":null}`, `[`, ``, `{"id":"a"}`,
		`{"id":"a","error":{"code":"x"}}`, `{"id":null,"error":{"code":-32600,"message":"Invalid"}}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		result, err := readAnswer(strings.NewReader(text), "a")
		if err == nil && (!json.Valid(result) || string(result) == "null") {
			t.Errorf("%q gave the result %q", text, result)
		}
		if err == nil && !strings.Contains(text, "a") && !strings.Contains(text, `\u`) {
			t.Errorf("%q was taken for the answer to call a", text)
		}
	})
}

func FuzzReadREST(f *testing.F) {
	for _, body := range []string{`{"code":900,"message":"x","data":null}`, `{}`, ``, `null`, `{"code":"x"}`, `[1]`} {
		for _, status := range []int{200, 201, 401, 404, 500} {
			f.Add(status, body)
		}
	}
	f.Fuzz(func(t *testing.T, status int, body string) {
		const secret = "a-secret-rune"
		result, err := readREST(&httpjson.Answer{Status: status, Body: []byte(body)}, secret)
		if (err == nil) != (status == 201 && json.Valid([]byte(body))) {
			t.Errorf("status %d with %q gave %q, %v", status, body, result, err)
		}
		if err != nil && classify(err) == nil {
			t.Errorf("the error %v is lost", err)
		}
	})
}

func FuzzInvoice(f *testing.F) {
	hash := lntypes.Hash{1}
	f.Add(`{"payment_hash":"` + hash.String() + `","status":"paid","amount_received_msat":"5msat","paid_at":18446744073709551615}`)
	f.Add(`{"payment_hash":"","status":"unpaid"}`)
	f.Fuzz(func(t *testing.T, text string) {
		var inv invoice
		if json.Unmarshal([]byte(text), &inv) != nil {
			return
		}
		st, err := inv.status(hash)
		if err != nil {
			return
		}
		if st.Preimage != nil && st.Preimage.Hash() != hash {
			t.Error("a foreign preimage was taken")
		}
		if inv.Status != "paid" && (st.Preimage != nil || st.AmountPaid != 0) {
			t.Error("an unpaid invoice has the marks of a paid one")
		}
	})
}

func FuzzMsat(f *testing.F) {
	for _, seed := range []string{`1`, `"1msat"`, `"1"`, `-1`, `1e3`, `null`, `""`, `"msat"`, `18446744073709551615`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var m msat
		if json.Unmarshal([]byte(text), &m) == nil && m > 1<<63-1 {
			t.Errorf("%q became %d", text, m)
		}
	})
}

func FuzzDescribeRune(f *testing.F) {
	f.Add(documented)
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		words, err := DescribeRune(text)
		if err != nil {
			if len(text) > 20 && strings.Contains(err.Error(), text) {
				t.Error("the error repeats the rune")
			}
			return
		}
		if len(words) == 0 {
			t.Errorf("%q has no description", text)
		}
	})
}
