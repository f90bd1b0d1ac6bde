package l402

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
)

func sameHeader(t *testing.T, got, want http.Header) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestStripKeepsTheRest(t *testing.T) {
	s := spell(t)
	pair := s.std + ":" + s.pre
	tests := map[string]struct{ before, after http.Header }{
		"a JWT in its own line": {
			http.Header{"Authorization": {"L402 " + pair, "Bearer " + jwt}},
			http.Header{"Authorization": {"Bearer " + jwt}},
		},
		"a JWT in the same line": {
			http.Header{"Authorization": {"L402 " + pair + ", Bearer " + jwt + ", LSAT " + pair}},
			http.Header{"Authorization": {"Bearer " + jwt}},
		},
		"a line without credentials stays to the letter": {
			http.Header{"Authorization": {`Digest  a="b",c="d",  e`, "L402 " + pair}},
			http.Header{"Authorization": {`Digest  a="b",c="d",  e`}},
		},
		"a scheme with commas": {
			http.Header{"Authorization": {`L402 ` + pair + `, Digest a="L402 b, c", d="e"`}},
			http.Header{"Authorization": {`Digest a="L402 b, c", d="e"`}},
		},
		"all of a list of tokens": {
			http.Header{"Authorization": {`L402 ` + s.std + ", " + s.url + ":" + s.pre + `, Bearer x`}},
			http.Header{"Authorization": {`Bearer x`}},
		},
		"all parameters": {
			http.Header{"Authorization": {`L402 token="` + s.std + `", preimage="` + s.pre + `", version="0", Basic eDp5`}},
			http.Header{"Authorization": {`Basic eDp5`}},
		},
		"a foreign password": {
			http.Header{"Authorization": {"Basic eDp5"}, "Cookie": {"l402=" + pair}},
			http.Header{"Authorization": {"Basic eDp5"}},
		},
		"cookies": {
			http.Header{"Cookie": {"a=b;l402_x=" + pair + " ; c=\"d\"; l402=; e", "f=g;h=i", "l402=" + pair}},
			http.Header{"Cookie": {"a=b; c=\"d\"; e", "f=g;h=i"}},
		},
		"macaroons of LND": {
			http.Header{"Macaroon": {s.hex, lndHeader}, "Grpc-Metadata-Macaroon": {lndHeader}},
			http.Header{"Macaroon": {lndHeader}, "Grpc-Metadata-Macaroon": {lndHeader}},
		},
		"other headers": {
			http.Header{"X-Authorization": {"L402 " + pair}, "Accept": {"*/*"}, "Authorization": {"LSAT " + pair}},
			http.Header{"X-Authorization": {"L402 " + pair}, "Accept": {"*/*"}},
		},
		"an empty line": {
			http.Header{"Authorization": {"", "L402 " + pair}},
			http.Header{"Authorization": {""}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			shared := http.Header{}
			for k, v := range test.before {
				shared[k] = v
			}
			lines := test.before.Clone()
			Strip(shared, FormAll)
			sameHeader(t, shared, test.after)
			// The lines may be shared with a copy of the header: they are not written to.
			sameHeader(t, test.before, lines)
		})
	}
}

func TestStripHasNoLimits(t *testing.T) {
	s := spell(t)
	pair := s.std + ":" + s.pre
	h := http.Header{
		"Authorization": {"Bearer " + strings.Repeat("A", 1<<20), strings.Repeat("L402 "+pair+",", 1000) + "Bearer x", "L402 " + strings.Repeat("A", 1<<20)},
		"Cookie":        {strings.Repeat("l402="+pair+";", 1000) + "a=b"},
	}
	Strip(h, FormAll)
	sameHeader(t, h, http.Header{"Authorization": {"Bearer " + strings.Repeat("A", 1<<20), "Bearer x"}, "Cookie": {"a=b"}})
}
