package l402

import (
	"strings"
	"testing"
)

func TestForms(t *testing.T) {
	tests := []struct {
		names  string
		want   Form
		string string
	}{
		{"", 0, "none"},
		{"l402", FormL402 | FormToken, "l402,token"},
		{"lsat", FormLSAT | FormToken, "lsat,token"},
		{"bearer", FormBearer, "bearer"},
		{"basic", FormBasic, "basic"},
		{"macaroon", FormMacaroonHeader, "macaroon"},
		{"cookie", FormCookie, "cookie"},
		{"cookie l402 cookie", FormL402 | FormToken | FormCookie, "l402,token,cookie"},
		{"all", FormAll, "l402,lsat,token,bearer,basic,macaroon,cookie,payment"},
		{"payment", FormPayment, "payment"},
		{"l402 lsat bearer basic macaroon cookie payment", FormAll, "l402,lsat,token,bearer,basic,macaroon,cookie,payment"},
	}
	for _, test := range tests {
		got, err := ParseForms(strings.Fields(test.names)...)
		if err != nil || got != test.want || got.String() != test.string {
			t.Errorf("%q is read as %s, %v", test.names, got, err)
		}
	}
	for _, name := range []string{"token", "L402", "Payment", "", "none", "l402,lsat"} {
		if got, err := ParseForms("l402", name); err == nil || got != 0 || !strings.Contains(err.Error(), "use l402, lsat") {
			t.Errorf("%q is read as %s, %v", name, got, err)
		}
	}
}
