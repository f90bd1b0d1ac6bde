package explain

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/caddy-l402/caddy-l402/l402"
	"github.com/caddy-l402/caddy-l402/wallets"
)

var update = flag.Bool("update", false, "write the golden files")

// The texts are fixed, so that the goldens are: the invoices are the examples of BOLT 11 and of a
// sandbox, the tokens are made with fixed keys.
const (
	// coffee is an example of BOLT 11 with a description beyond ASCII.
	coffee = "lnbc2500u1pvjluezpp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdpquwpc4curk03c9wlrswe78q4eyqc7d8d0xqzpuyk0sg5g70me25alkluzd2x62aysf2pyy8edtjeevuv4p2d5p76r4zkmneet7uvyakky2zr4cusd45tftc9c5fh0nnqpnl2jfll544esqchsrny"
	// regtest is an invoice of a sandbox.
	regtest = "lnbcrt100n1p4spegapp54xlwc5z3j4xywt9huknfgaflq2wkgct7s5tsx8epe34f652xep6sdpqwpex2mtfw4kjqct5yqcnydewxqhrqt33cqpjxqzjesp5vkh7f5glkqgggqz8pt2tz4ppe3g3j7vlujehpg9wzltzg6jrqjdq9qyysgql9v4zpuwkr0p876py7pex5a0fg455vec4qsz7zacjlej2w770e7rmuvg2qck6kds4cslp09umr6axqte48qz75jr024f2g5c2wvv03qpw3hj5v"
)

var (
	preimage = lntypes.Preimage{1, 2, 3}
	now      = time.Date(2026, 11, 21, 0, 30, 0, 0, time.UTC)
)

func token(t testing.TB, hash lntypes.Hash) []byte {
	t.Helper()
	key := l402.MasterKey{7}
	id := l402.Identifier{PaymentHash: hash, TokenID: l402.TokenID{9, 8, 7}}
	terms := l402.Terms{Service: "premium", Host: "a.test", ValidUntil: time.Unix(1_800_000_000, 0)}
	mac, err := l402.Mint(&key, id, terms.Caveats())
	if err != nil {
		t.Fatal(err)
	}
	return mac
}

func attenuated(t testing.TB, mac []byte, caveats ...l402.Caveat) []byte {
	t.Helper()
	mac, err := l402.Attenuate(mac, caveats...)
	if err != nil {
		t.Fatal(err)
	}
	return mac
}

// samples are texts by the names of their goldens.
func samples(t testing.TB) map[string]string {
	hash := preimage.Hash()
	mine := token(t, hash)
	b64 := base64.StdEncoding.EncodeToString(mine)
	invoice, err := wallets.DecodeInvoice(regtest)
	if err != nil {
		t.Fatal(err)
	}
	sold := l402.Challenge{Macaroon: token(t, invoice.PaymentHash), Invoice: regtest}
	crossed := l402.Challenge{Macaroon: mine, Invoice: regtest}
	hostile := attenuated(t, mine, l402.Caveat{Condition: "note", Value: "\x1b[2Jgone"})
	return map[string]string{
		"token_base64":      b64,
		"token_hex":         hex.EncodeToString(mine),
		"token_hostile":     base64.RawURLEncoding.EncodeToString(hostile),
		"token_preimage":    hex.EncodeToString(attenuated(t, mine, l402.Caveat{Condition: "preimage", Value: preimage.String()})),
		"token_expired":     hex.EncodeToString(attenuated(t, mine, l402.Caveat{Condition: "premium_valid_until", Value: "1600000000"})),
		"invoice_bolt11":    coffee,
		"invoice_uri":       "lightning:" + strings.ToUpper(regtest),
		"challenge":         sold.L402(),
		"challenge_line":    "WWW-Authenticate: " + sold.LSAT(),
		"challenge_crossed": crossed.L402(),
		"challenge_curl": "HTTP/1.1 402 Payment Required\r\nContent-Type: text/plain\r\nWww-Authenticate: " + sold.L402() +
			"\r\n\r\nAuthorization: L402 " + b64,
		"credential":         l402.FormatAuthorization(mine, preimage),
		"credential_bare":    b64 + ":" + preimage.String(),
		"credential_bearer":  "Authorization: Bearer " + b64 + ":" + preimage.String(),
		"credential_basic":   "> Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("user:"+b64+":"+preimage.String())),
		"credential_cookie":  "Cookie: a=b; l402=" + b64 + ":" + preimage.String(),
		"credential_wrong":   l402.FormatAuthorization(mine, lntypes.Preimage{4}),
		"credential_unpaid":  "L402 " + b64,
		"credential_several": "L402 " + b64 + "," + hex.EncodeToString(token(t, lntypes.Hash{})) + ":" + preimage.String(),
	}
}

func TestGoldens(t *testing.T) {
	explainer := Explainer{Now: func() time.Time { return now }}
	for name, text := range samples(t) {
		t.Run(name, func(t *testing.T) {
			explanation, err := explainer.Text(text)
			if err != nil {
				t.Fatal(err)
			}
			asJSON, err := json.MarshalIndent(explanation, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got := explanation.String() + "\n" + string(asJSON) + "\n"
			for _, secret := range []string{preimage.String(), base64.StdEncoding.EncodeToString(preimage[:])} {
				if strings.Contains(got, secret) {
					t.Error("it shows the preimage")
				}
			}
			if strings.ContainsRune(got, 0x1b) {
				t.Error("it holds a control character")
			}
			file := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestShowSecrets(t *testing.T) {
	all := samples(t)
	explainer := Explainer{ShowSecrets: true}
	for _, name := range []string{"credential", "token_preimage", "credential_cookie"} {
		explanation, err := explainer.Text(all[name])
		if err != nil || !strings.Contains(explanation.String(), preimage.String()) {
			t.Errorf("%s: %v, %v", name, explanation, err)
		}
	}
}

func TestRefuses(t *testing.T) {
	b64 := base64.StdEncoding.EncodeToString(token(t, preimage.Hash()))
	secret := preimage.String()
	for name, test := range map[string]struct {
		text string
		want error
		says string
	}{
		"empty":               {"  \n", ErrUnknown, "empty"},
		"words":               {"hello there", ErrUnknown, "neither"},
		"base64 of no token":  {"aGVsbG8gd29ybGQ=", l402.ErrMalformedToken, ""},
		"too long":            {strings.Repeat("a", MaxInput+1), ErrTooLong, ""},
		"a long token":        {strings.Repeat("a", 20_000), l402.ErrTokenTooLong, ""},
		"an offer":            {"lno1qgsqvgnwgcg35z6ee2h3yczraddm72xrfua9uve2rlrm9deu7xyfzrc", ErrUnknown, "offer"},
		"a damaged invoice":   {coffee[:len(coffee)-3] + "qqq", wallets.ErrBadInvoice, ""},
		"a challenge without": {`L402 macaroon="` + b64 + `", invoice=""`, l402.ErrMalformedChallenge, ""},
		"a bad preimage":      {"L402 " + b64 + ":" + secret[:62], l402.ErrMalformedCredential, ""},
		"another bearer":      {"Bearer sk-" + secret, ErrUnknown, "no L402 credential"},
		"another cookie":      {"Cookie: a=" + secret, ErrUnknown, ""},
		"another challenge":   {`WWW-Authenticate: Basic realm="x"`, l402.ErrNoChallenge, ""},
	} {
		t.Run(name, func(t *testing.T) {
			explanation, err := new(Explainer).Text(test.text)
			if !errors.Is(err, test.want) || explanation != nil || !strings.Contains(err.Error(), test.says) {
				t.Fatalf("got %v, %v", explanation, err)
			}
			if strings.Contains(err.Error(), secret[:62]) || len(err.Error()) > 400 {
				t.Errorf("the error repeats the text: %v", err)
			}
		})
	}
}

func FuzzText(f *testing.F) {
	for _, text := range samples(f) {
		f.Add(text)
	}
	f.Add("lnbc1")
	explainer := Explainer{Now: func() time.Time { return now }}
	f.Fuzz(func(t *testing.T, text string) {
		explanation, err := explainer.Text(text)
		if err != nil {
			return
		}
		if len(explanation.Items) == 0 {
			t.Error("nothing was explained and no error given")
		}
		for _, c := range explanation.String() {
			if c < ' ' && c != '\n' || c == 0x7f {
				t.Errorf("control character %U", c)
			}
		}
		if _, err := json.Marshal(explanation); err != nil {
			t.Error(err)
		}
		if p := preimage.String(); strings.Contains(explanation.String(), p) {
			t.Error("the preimage is shown")
		}
	})
}
