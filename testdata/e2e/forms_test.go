package e2e

import (
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/client"
)

// TestCredentialForms sends one paid token in every form that a deployed client uses.
func TestCredentialForms(t *testing.T) {
	gw, up := sandboxShop(t, "limit off")
	token := gw.Buy(t, gw.Sandbox(), "/premium/a")
	mac, pre := token.Macaroon, token.Preimage
	raw, err := base64.StdEncoding.DecodeString(mac)
	if err != nil {
		t.Fatal(err)
	}
	withPreimage, err := token.Narrow("preimage=" + pre)
	if err != nil {
		t.Fatal(err)
	}
	rawWith, err := base64.StdEncoding.DecodeString(withPreimage.Macaroon)
	if err != nil {
		t.Fatal(err)
	}
	basic := func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	for name, opts := range map[string][]client.Option{
		"standard":           {client.With("Authorization", "L402 "+mac+":"+pre)},
		"old name":           {client.With("Authorization", "LSAT "+mac+":"+pre)},
		"lower case":         {client.With("Authorization", "l402   "+mac+":"+pre)},
		"upper-case hex":     {client.With("Authorization", "L402 "+mac+":"+strings.ToUpper(pre))},
		"no padding":         {client.With("Authorization", "L402 "+strings.TrimRight(mac, "=")+":"+pre)},
		"URL-safe":           {client.With("Authorization", "L402 "+base64.URLEncoding.EncodeToString(raw)+":"+pre)},
		"macaroon in hex":    {client.With("Authorization", "L402 "+hex.EncodeToString(raw)+":"+pre)},
		"parameters":         {client.With("Authorization", `L402 token="`+mac+`", preimage="`+pre+`"`)},
		"bearer":             {client.With("Authorization", "Bearer "+mac+":"+pre)},
		"basic, any user":    {client.With("Authorization", basic("l402:"+mac+":"+pre))},
		"basic, two parts":   {client.With("Authorization", basic(mac+":"+pre))},
		"preimage as caveat": {client.With("Authorization", "L402 "+withPreimage.Macaroon)},
		"field of its own":   {client.With("Macaroon", hex.EncodeToString(rawWith))},
		"gRPC gateway":       {client.With("Grpc-Metadata-Macaroon", hex.EncodeToString(rawWith))},
		"beside a bearer": {func(r *http.Request) {
			r.Header["Authorization"] = []string{"Bearer something-else", "L402 " + mac + ":" + pre}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			passes(t, gw, up, "/premium/a", opts...)
		})
	}
}

// TestMalformedCredentials sends what is nearly a credential; none may pass.
func TestMalformedCredentials(t *testing.T) {
	gw, up := sandboxShop(t, "limit off")
	token := gw.Buy(t, gw.Sandbox(), "/premium/a")
	mac, pre := token.Macaroon, token.Preimage
	for name, value := range map[string]string{
		"scheme alone":           "L402",
		"blank":                  "L402  ",
		"colon alone":            "L402 :",
		"no macaroon":            "L402 :" + pre,
		"preimage cut":           "L402 " + mac + ":" + pre[:62],
		"preimage not hex":       "L402 " + mac + ":" + strings.Repeat("zz", 32),
		"preimage of zeros":      "L402 " + mac + ":" + strings.Repeat("0", 64),
		"bytes after the hex":    "L402 " + mac + ":" + pre + "00",
		"letters after the hex":  "L402 " + mac + ":" + pre + "x",
		"second preimage":        "L402 " + mac + ":" + strings.Repeat("0", 64) + ":" + pre,
		"base64 cut":             "L402 " + mac[:len(mac)/2] + ":" + pre,
		"base64 with a blank":    "L402 " + mac[:8] + " " + mac[8:] + ":" + pre,
		"base64 with a stranger": "L402 " + mac[:8] + "*" + mac[9:] + ":" + pre,
		"bytes after the end":    "L402 " + base64.StdEncoding.EncodeToString(append(decode(t, mac), 0, 0)) + ":" + pre,
		"hex of nothing":         "L402 00:" + pre,
		"empty parameters":       `L402 token="", preimage=""`,
		"basic of nothing":       "Basic ",
		"basic not base64":       "Basic ***",
		"basic of a colon":       "Basic Og==",
		"bearer alone":           "Bearer",
		"bearer of the macaroon": "Bearer " + mac + ":",
		"unknown scheme":         "Token " + mac + ":" + pre,
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, gw, up, "/premium/a", client.With("Authorization", value))
		})
	}
	passes(t, gw, up, "/premium/a", client.Auth(token))
}

func decode(t testing.TB, b64 string) []byte {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(b64)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
