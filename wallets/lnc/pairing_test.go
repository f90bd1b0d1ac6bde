package lnc

import (
	"bytes"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
)

func newPairing(t testing.TB) pairing {
	t.Helper()
	local, err := btcec.NewPrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	remote, err := btcec.NewPrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	return pairing{local: local, remote: remote.PubKey(), confirmed: true}
}

func TestPairingRoundTrip(t *testing.T) {
	full := newPairing(t)
	for name, p := range map[string]pairing{
		"full": full, "unconfirmed": {local: full.local, remote: full.remote}, "new": {local: full.local},
	} {
		data, err := p.encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodePairing(data)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !got.local.Key.Equals(&p.local.Key) || got.confirmed != p.confirmed || (got.remote == nil) != (p.remote == nil) {
			t.Errorf("%s: got another pairing", name)
		}
		if p.remote != nil && !got.remote.IsEqual(p.remote) {
			t.Errorf("%s: got another remote key", name)
		}
	}
}

func TestDecodePairingRefuses(t *testing.T) {
	data, err := newPairing(t).encode()
	if err != nil {
		t.Fatal(err)
	}
	good := string(data)
	local := good[strings.Index(good, `"local_key":"`)+13:][:64]
	for name, text := range map[string]string{
		"nothing":          "",
		"no JSON":          "x",
		"another version":  strings.Replace(good, `"version":1`, `"version":2`, 1),
		"an unknown field": strings.Replace(good, `{`, `{"x":1,`, 1),
		"a tail":           good + "{}",
		"a short key":      strings.Replace(good, local, local[2:], 1),
		"a zero key":       strings.Replace(good, local, strings.Repeat("0", 64), 1),
		"a key too great":  strings.Replace(good, local, strings.Repeat("f", 64), 1),
		"no hex":           strings.Replace(good, local, strings.Repeat("x", 64), 1),
		"no point":         strings.Replace(good, `"remote_key":"0`, `"remote_key":"9`, 1),
		"confirmed alone":  `{"version":1,"local_key":"` + local + `","confirmed":true}`,
	} {
		if text == good {
			t.Fatalf("%s: the case changes nothing", name)
		}
		_, err := decodePairing([]byte(text))
		if err == nil {
			t.Errorf("%s: was taken", name)
		} else if strings.Contains(err.Error(), local[8:24]) {
			t.Errorf("%s: the error holds the key", name)
		}
	}
}

func FuzzDecodePairing(f *testing.F) {
	data, err := newPairing(f).encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"version":1,"local_key":""}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := decodePairing(data)
		if err != nil {
			return
		}
		again, err := p.encode()
		if err != nil {
			t.Fatal(err)
		}
		q, err := decodePairing(again)
		if err != nil || !bytes.Equal(q.local.Serialize(), p.local.Serialize()) || q.confirmed != p.confirmed {
			t.Errorf("%s became %s, %v", data, again, err)
		}
	})
}
