package l402

import (
	"net/http"
	"testing"
)

// benchHeader is what a paying client sends for a token with three caveats.
func benchHeader(t testing.TB) http.Header {
	return http.Header{"Authorization": {FormatAuthorization(mint(t, testTerms()), testPreimage)}}
}

// passes reads and verifies the first credential, as a gate does.
func passes(h http.Header, w *Want) (paid bool, err error) {
	var (
		c Credential
		g Grant
	)
	r := NewReader(h, FormAll)
	if ok, err := r.Next(&c); !ok || err != nil {
		return false, err
	}
	err = Verify(testKeys, &c, w, &g)
	return g.Paid, err
}

func TestPaidPathAllocatesNothing(t *testing.T) {
	w := testWant()
	w.RequireHost = true
	other := *w
	other.Service = "other"
	expired := *w
	expired.Now = testNow + 7200
	capable := *w
	capable.Capabilities = []string{"a-capability-with-a-name-longer-than-thirty-two-bytes"}

	terms := testTerms()
	terms.Capabilities = append(capable.Capabilities, "b")
	terms.Uses, terms.Bytes, terms.Price = 3, 1<<20, 10_000
	terms.Path, terms.Request = "/a/long/path/of/more/than/thirty/two/bytes", "r"
	full := mint(t, terms)
	narrowed, err := Attenuate(full,
		Caveat{ConditionServices, testService + ":0"}, Caveat{testService + SuffixCapabilities, capable.Capabilities[0]},
		Caveat{ConditionPreimage, testPreimage.String()})
	if err != nil {
		t.Fatal(err)
	}
	capable.Path, capable.Request = terms.Path, terms.Request
	fullHeader := http.Header{"Authorization": {FormatAuthorization(narrowed, testPreimage)}}
	cookie := http.Header{"Cookie": {"a=b; l402_x=" + FormatAuthorization(full, testPreimage)[len("L402 "):]}}
	h := benchHeader(t)

	tests := []struct {
		name string
		h    http.Header
		w    *Want
		want error
	}{
		{"three caveats", h, w, nil},
		{"every caveat, narrowed", fullHeader, &capable, nil},
		{"cookie", cookie, &capable, nil},
		{"wrong service", h, &other, ErrWrongService},
		{"expired", h, &expired, ErrExpired},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if paid, err := passes(test.h, test.w); err != test.want || paid != (err == nil) {
				t.Fatalf("paid %v, error %v, want %v", paid, err, test.want)
			}
			if n := testing.AllocsPerRun(100, func() { _, _ = passes(test.h, test.w) }); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

// BenchmarkVerify reads and verifies a token with three caveats from a header.
func BenchmarkVerify(b *testing.B) {
	h, w := benchHeader(b), testWant()
	if paid, err := passes(h, w); !paid || err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		_, _ = passes(h, w)
	}
}

// BenchmarkRead is the reading part of BenchmarkVerify.
func BenchmarkRead(b *testing.B) {
	h := benchHeader(b)
	b.ReportAllocs()
	for b.Loop() {
		var c Credential
		r := NewReader(h, FormAll)
		_, _ = r.Next(&c)
	}
}

// BenchmarkReadNothing is what a request without a credential costs.
func BenchmarkReadNothing(b *testing.B) {
	h := http.Header{"Accept": {"*/*"}, "Cookie": {"session=abc; theme=dark"}}
	b.ReportAllocs()
	for b.Loop() {
		var c Credential
		r := NewReader(h, FormAll)
		_, _ = r.Next(&c)
	}
}

// BenchmarkMint makes a token with three caveats.
func BenchmarkMint(b *testing.B) {
	id, caveats := testID(), testTerms().Caveats()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Mint(&testMaster, id, caveats); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStrip takes the credential out of a header.
func BenchmarkStrip(b *testing.B) {
	lines := benchHeader(b)["Authorization"]
	h := http.Header{}
	b.ReportAllocs()
	for b.Loop() {
		h["Authorization"] = lines
		Strip(h, FormAll)
	}
}

// BenchmarkPayment measures what the line of the Payment scheme adds to a challenge.
func BenchmarkPayment(b *testing.B) {
	c := Challenge{Macaroon: mint(b, testTerms()), Invoice: testInvoice}
	for b.Loop() {
		challenge, err := c.Payment(&testMaster, testPaymentTerms())
		if err != nil {
			b.Fatal(err)
		}
		if _, err := challenge.Format(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerifyPayment measures reading and checking a credential of the Payment scheme.
func BenchmarkVerifyPayment(b *testing.B) {
	header := paidCredential(b)
	want := testWant()
	for b.Loop() {
		if g, err := verifyPayment(header, want); err != nil || !g.Paid {
			b.Fatal(err)
		}
	}
}
