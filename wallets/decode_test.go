package wallets_test

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

// Examples of BOLT 11, and of Core Lightning's manual for listinvoices.
const (
	specDonation = "lnbc1pvjluezpp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdpl2pkx2ctnv5sxxmmwwd5kgetjypeh2ursdae8g6twvus8g6rfwvs8qun0dfjkxaq8rkx3yf5tcsyz3d73gafnh3cax9rn449d9p5uxz9ezhhypd0elx87sjle52x86fux2ypatgddc6k63n7erqz25le42c4u4ecky03ylcqca784w"
	specCoffee   = "lnbc2500u1pvjluezpp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdq5xysxxatsyp3k7enxv4jsxqzpuaztrnwngzn3kdzw5hydlzf03qdgm2hdq27cqv3agm2awhz5se903vruatfhq77w3ls4evs3ch9zw97j25emudupq63nyw24cg27h2rspfj9srp"
	specTestnet  = "lntb20m1pvjluezpp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqhp58yjmdan79s6qqdhdzgynm4zwqd5d7xmw5fk98klysy043l2ahrqsfpp3x9et2e20v6pu37c5d9vax37wxq72un98k6vcx9fz94w0qf237cm2rqv9pmn5lnexfvf5579slr4zq3u8kmczecytdx0xg9rwzngp7e6guwqpqlhssu04sucpnz4axcv2dstmknqq6jsk2l"
	specHash     = "0001020304050607080900010203040506070809000102030405060708090102"
	specPayee    = "03e7156ae33b0a208d0744199163177e909e80176e55d97a2f221ede0f934dd9ad"

	clnBolt12     = "lni1qqg804wzdsyn8g4mf2yc22k8xvjpjzstwd5k6urvv5s8getnw3gzqp3zderpzxstt8927ynqg044h0egcd8n5h3n9g0u0v4h8ncc3yg02gqsykppqgkjyd3q5dv6gllh77kygly9c3kfy0d9xwyjyxsq2nq3c83u5vw4ngycqdwjkyvjm7apxnssu4qgwhfkd67ghs6n6k48v6uqczgt88p6tky96qmcmtl30xtt7jdakfyhzm8f0gny6f4d2ukx5gurem04z8lfd2wza5qs9pz6wp9vu7cm6n4wmmrz77y4w6z5xv4q93yudkdtkl5zmzdzuawzqqex7gd5v0x0r83pqj82udd542fl4krh50s0dkx47d0hd5wh77g52xxl75ccpkt35mc8n282wslju9ufyys2y8qqqqqqqqqqqqqqqpgqqqqqqqqqqqqp6f9jm7k9yqqqqqq2gpr96l99lfspt25zqnyfgu7hznmt2tzkjdt92d2wc3dsq7keph7w8gudjs46spfzqrlu4gqs9vppqdwjkyvjm7apxnssu4qgwhfkd67ghs6n6k48v6uqczgt88p6tky9muzqpze8kk43g0wh4h8qlac5lswwesrvsaxcza2f5j90c2h3ts8yzmn9g4mxqe89fngrqny8nf52xxuxep6548etda8lp876jr0nnxgdkdq"
	clnBolt12Hash = "4c89473d714f6b52c56935655354ec45b007ad90dfce3a38d942ba8052200ffc"
)

func TestDecodeInvoiceVectors(t *testing.T) {
	created := time.Unix(1496314658, 0)
	for name, c := range map[string]struct {
		text    string
		network wallets.Network
		amount  lnwire.MilliSatoshi
		hash    string
		memo    string
		expires time.Time
		payee   string
	}{
		"BOLT 11, no amount": {specDonation, wallets.Mainnet, 0, specHash,
			"Please consider supporting this project", created.Add(time.Hour), specPayee},
		"BOLT 11, one minute": {specCoffee, wallets.Mainnet, 250_000_000, specHash,
			"1 cup coffee", created.Add(time.Minute), specPayee},
		"BOLT 11, testnet": {specTestnet, wallets.Testnet, 2_000_000_000, specHash,
			"", created.Add(time.Hour), specPayee},
		"BOLT 12, regtest": {clnBolt12, wallets.Regtest, 2, clnBolt12Hash, "simple test", time.Time{}, ""},
	} {
		for form, text := range map[string]string{
			"": c.text, ", upper case": strings.ToUpper(c.text), ", with scheme": "Lightning:" + c.text,
			", with white space": " \n" + c.text + "\r\n",
		} {
			t.Run(name+form, func(t *testing.T) {
				d, err := wallets.DecodeInvoice(text)
				if err != nil {
					t.Fatal(err)
				}
				if d.PaymentRequest != c.text || d.Network != c.network || d.Amount != c.amount ||
					d.PaymentHash.String() != c.hash || d.Memo != c.memo || d.Bolt12 != strings.HasPrefix(c.text, "lni") {
					t.Errorf("decoded as %+v", d)
				}
				if !c.expires.IsZero() && !d.ExpiresAt.Equal(c.expires) {
					t.Errorf("expires %s, want %s", d.ExpiresAt, c.expires)
				}
				if payee := hex.EncodeToString(d.Payee[:]); c.payee != "" && payee != c.payee {
					t.Errorf("payee %s, want %s", payee, c.payee)
				}
			})
		}
	}
}

func TestDecodeInvoiceNetworks(t *testing.T) {
	for _, bolt12 := range []bool{false, true} {
		for network, prefix := range map[wallets.Network]string{
			wallets.Mainnet: "lnbc", wallets.Testnet: "lntb", wallets.Signet: "lntbs", wallets.Regtest: "lnbcrt",
		} {
			for _, amount := range []lnwire.MilliSatoshi{0, 1, 10, 100, 1000, 1001, 100_000_000, 100_000_000_000} {
				n := wallettest.NewNode(t, network)
				in := issue(t, n, wallettest.Terms{Amount: amount, Memo: "m", Timestamp: epoch, Expiry: time.Minute, Bolt12: bolt12})
				d, err := wallets.DecodeInvoice(in.Invoice)
				if err != nil {
					t.Fatalf("%s, %d msat: %v", network, uint64(amount), err)
				}
				if !bolt12 && !strings.HasPrefix(in.Invoice, prefix) {
					t.Errorf("%s: begins with %.8s", network, in.Invoice)
				}
				if d.Network != network || d.Amount != amount || d.PaymentHash != in.Hash || d.Payee != n.Payee() ||
					!d.CreatedAt.Equal(epoch) || !d.ExpiresAt.Equal(epoch.Add(time.Minute)) || d.Bolt12 != bolt12 {
					t.Errorf("%s, %d msat: decoded as %+v", network, uint64(amount), d)
				}
			}
		}
	}
}

func TestDecodeInvoiceDescriptionHash(t *testing.T) {
	hash := [32]byte{1, 2, 3}
	in := issue(t, wallettest.NewNode(t, wallets.Regtest), wallettest.Terms{Amount: 1000, DescriptionHash: &hash})
	d, err := wallets.DecodeInvoice(in.Invoice)
	if err != nil {
		t.Fatal(err)
	}
	if d.DescriptionHash == nil || *d.DescriptionHash != hash || d.Memo != "" {
		t.Errorf("decoded as %+v", d)
	}
}

func TestDecodeInvoiceRefuses(t *testing.T) {
	n := wallettest.NewNode(t, wallets.Mainnet)
	good := issue(t, n, wallettest.Terms{Amount: 1000, Memo: "m"}).Invoice
	good12 := issue(t, n, wallettest.Terms{Amount: 1000, Memo: "m", Bolt12: true}).Invoice
	for name, text := range map[string]string{
		"empty":                   "",
		"only a scheme":           "lightning:",
		"white space inside":      good[:20] + " " + good[20:],
		"line break inside":       good[:20] + "\r\n" + good[20:],
		"quote":                   good + `"`,
		"not ASCII":               good[:20] + "é" + good[20:],
		"NUL":                     good + "\x00",
		"mixed case":              strings.ToUpper(good[:10]) + good[10:],
		"one character less":      good[:len(good)-1],
		"one character more":      good + "q",
		"checksum":                good[:len(good)-1] + string(flip(good[len(good)-1])),
		"join in BOLT 11":         good[:30] + "+" + good[30:],
		"too long":                "lnbc1" + strings.Repeat("q", wallets.MaxPaymentRequest),
		"far too long":            strings.Repeat("q", 1<<20),
		"unknown network":         withPrefix(t, good, "lnsb10u"),
		"unknown network, bech32": withPrefix(t, good, "lnxx"),
		"an address":              withPrefix(t, good, "bc"),
		"an offer":                "lno1pqps7sjqpgtyzm3qv4uxzmtsd3jjqer9wd3hy6tsw35k7msjzfpy7nz5yqcnygrfdej82um5wf5k2uckyypwa3eyt44h6txtxquqh7lz5djge4afgfjn7k4rgrkuag0jsd5xvxg",
		"signet with letters":     withPrefix(t, good, "lntbsx"),
		"amount with sign":        withPrefix(t, good, "lnbc-1"),
		"amount without number":   withPrefix(t, good, "lnbcm"),
		"amount with two units":   withPrefix(t, good, "lnbc1mm"),
		"amount with a fraction":  withPrefix(t, good, "lnbc1x5"),
		"amount with zeros":       withPrefix(t, good, "lnbc010u"),
		"amount zero":             withPrefix(t, good, "lnbc0"),
		"amount below one msat":   withPrefix(t, good, "lnbc1p"),
		"amount, fraction msat":   withPrefix(t, good, "lnbc11p"),
		// 184467440738 mBTC are 1 more than 2^64/1e8, which an unchecked product turns into
		// a small amount.
		"amount that overflows":      withPrefix(t, good, "lnbc184467440738m"),
		"amount that overflows, BTC": withPrefix(t, good, "lnbc184467441"),
		"amount, all digits":         withPrefix(t, good, "lnbc99999999999999999999999999999p"),
		"BOLT 12, cut":               good12[:len(good12)-2],
		"BOLT 12, ends in join":      good12 + "+",
		"BOLT 12, prefix only":       "lni1",
		"BOLT 12, one field":         "lni1qqqq",
	} {
		t.Run(name, func(t *testing.T) {
			d, err := wallets.DecodeInvoice(text)
			if !errors.Is(err, wallets.ErrBadInvoice) || d != nil {
				t.Errorf("decoded as %+v, error %v", d, err)
			}
			if err != nil && len(err.Error()) > 300 {
				t.Errorf("error text of %d bytes", len(err.Error()))
			}
		})
	}
}

func flip(c byte) byte {
	if c == 'q' {
		return 'p'
	}
	return 'q'
}

func TestDecodeInvoiceJoins(t *testing.T) {
	good := issue(t, wallettest.NewNode(t, wallets.Mainnet), wallettest.Terms{Amount: 1000, Bolt12: true}).Invoice
	d, err := wallets.DecodeInvoice("l+ni1" + good[4:40] + "+\r\n  " + good[40:])
	if err != nil {
		t.Fatal(err)
	}
	if d.PaymentRequest != good {
		t.Errorf("decoded to %s, want %s", d.PaymentRequest, good)
	}
}

// TestDecodeInvoiceOverflowingExpiry has an expiry that overflows when it is turned into
// nanoseconds.
func TestDecodeInvoiceOverflowingExpiry(t *testing.T) {
	n := wallettest.NewNode(t, wallets.Regtest)
	in := issue(t, n, wallettest.Terms{Amount: 1000, Timestamp: epoch, Expiry: 290 * 365 * 24 * time.Hour})
	d, err := wallets.DecodeInvoice(in.Invoice)
	if err != nil {
		t.Fatal(err)
	}
	if years := d.ExpiresAt.Sub(epoch).Hours() / 24 / 365; years < 99 || years > 101 {
		t.Errorf("expires after %f years", years)
	}
}

func FuzzDecodeInvoice(f *testing.F) {
	for _, s := range []string{specDonation, specCoffee, specTestnet, clnBolt12, "lightning:" + strings.ToUpper(specCoffee), "lni1+qq"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := wallets.DecodeInvoice(text)
		if err != nil {
			if d != nil || !errors.Is(err, wallets.ErrBadInvoice) {
				t.Fatalf("%+v, %v", d, err)
			}
			return
		}
		again, err := wallets.DecodeInvoice(d.PaymentRequest)
		if err != nil {
			t.Fatalf("the plain form is refused: %v", err)
		}
		if again.PaymentHash != d.PaymentHash || again.Amount != d.Amount || again.Network != d.Network ||
			again.PaymentRequest != d.PaymentRequest {
			t.Fatalf("%+v is again %+v", d, again)
		}
	})
}
