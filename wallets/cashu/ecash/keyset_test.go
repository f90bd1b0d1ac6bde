package ecash

import (
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
)

func loadKeys(t testing.TB, file string) Keys {
	t.Helper()
	b, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var raw map[string]string
	if err := json.Unmarshal(b, &raw); err != nil {
		t.Fatal(err)
	}
	out := make(Keys, len(raw))
	for amount, key := range raw {
		n, err := strconv.ParseUint(amount, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		out[n] = point(t, key)
	}
	return out
}

// The vectors of NUT-02.
func TestKeysetIDVectors(t *testing.T) {
	small, large := loadKeys(t, "keys_small.json"), loadKeys(t, "keys_large.json")
	if len(large) != 64 || large.Amounts()[63] != 1<<63 {
		t.Fatalf("large keyset has %d keys up to %d", len(large), large.Amounts()[len(large)-1])
	}
	for _, v := range []struct {
		name, got, want string
	}{
		{"v1 small", string(small.IDv1()), "00456a94ab4e1c46"},
		{"v1 large", string(large.IDv1()), "000f01df73ea149a"},
		{"v2, fee and expiry", string(small.IDv2("sat", 100, 2059210353)), "015ba18a8adcd02e715a58358eb618da4a4b3791151a4bee5e968bb88406ccf76a"},
		{"v2, expiry", string(large.IDv2("sat", 0, 2059210353)), "01ab6aa4ff30390da34986d84be5274b48ad7a74265d791095bfc39f4098d9764f"},
		{"v2, plain", string(large.IDv2("sat", 0, 0)), "012fbb01a4e200c76df911eeba3b8fe1831202914b24664f4bccbd25852a6708f8"},
		{"v2, unit in upper case", string(large.IDv2("SAT", 0, 0)), "012fbb01a4e200c76df911eeba3b8fe1831202914b24664f4bccbd25852a6708f8"},
	} {
		if v.got != v.want {
			t.Errorf("%s: got %s, want %s", v.name, v.got, v.want)
		}
	}
}

func TestVerifyKeyset(t *testing.T) {
	keys := loadKeys(t, "keys_small.json")
	v2 := keys.IDv2("sat", 100, 0)
	if err := keys.Verify(v2, "sat", 100, 0); err != nil {
		t.Error(err)
	}
	if err := keys.Verify("00456a94ab4e1c46", "usd", 7, 0); err != nil {
		t.Errorf("version 1 covers the keys alone: %v", err)
	}
	fewer := loadKeys(t, "keys_small.json")
	delete(fewer, 8)
	for name, err := range map[string]error{
		"other unit":    keys.Verify(v2, "msat", 100, 0),
		"other fee":     keys.Verify(v2, "sat", 0, 0),
		"other expiry":  keys.Verify(v2, "sat", 100, 1),
		"short id":      keys.Verify(v2.Short(), "sat", 100, 0),
		"fewer keys":    fewer.Verify("00456a94ab4e1c46", "sat", 0, 0),
		"no keys":       Keys{}.Verify(Keys{}.IDv1(), "sat", 0, 0),
		"unknown id":    keys.Verify("02456a94ab4e1c46", "sat", 0, 0),
		"id of nothing": keys.Verify("", "sat", 0, 0),
	} {
		if !errors.Is(err, ErrKeyset) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestParseKeysetID(t *testing.T) {
	long := "01" + strings.Repeat("ab", 32)
	for _, v := range []struct {
		text, want string
		version    int
		short      bool
	}{
		{"00456a94ab4e1c46", "00456a94ab4e1c46", 1, false},
		{"00456A94AB4E1C46", "00456a94ab4e1c46", 1, false},
		{long, long, 2, false},
		{long[:16], long[:16], 2, true},
	} {
		id, err := ParseKeysetID(v.text)
		if err != nil || string(id) != v.want || id.Version() != v.version || id.IsShort() != v.short {
			t.Errorf("%s: got %s version %d short %t, %v", v.text, id, id.Version(), id.IsShort(), err)
		}
	}
	for name, s := range map[string]string{
		"empty": "", "no hex": "00456a94ab4e1cxx", "odd": "00456a94ab4e1c4", "version 2, cut elsewhere": long[:20],
		"version 1, long": "00" + long[2:], "unknown version": "02456a94ab4e1c46", "an old id in base64": "I2yN+iRYfkzT",
	} {
		if id, err := ParseKeysetID(s); !errors.Is(err, ErrKeyset) {
			t.Errorf("%s: got %q, %v", name, id, err)
		}
	}
}

func TestResolve(t *testing.T) {
	a := KeysetID("01" + strings.Repeat("ab", 32))
	twin := a[:64] + "00"
	b := KeysetID("01" + strings.Repeat("cd", 32))
	v1 := KeysetID("00456a94ab4e1c46")
	known := []KeysetID{v1, a, b, a}
	for _, v := range []struct {
		name  string
		id    KeysetID
		known []KeysetID
		want  KeysetID
		err   error
	}{
		{"short", a.Short(), known, a, nil},
		{"full", b, known, b, nil},
		{"version 1", v1, known, v1, nil},
		{"two begin alike", a.Short(), append(known, twin), "", ErrAmbiguous},
		{"full one of a pair", twin, append(known, twin), twin, nil},
		{"unknown short", "01ffffffffffffff", known, "", ErrUnknownKeyset},
		{"unknown full", twin, known, "", ErrUnknownKeyset},
		{"unknown version 1", "00ffffffffffffff", known, "", ErrUnknownKeyset},
		{"nothing known", a, nil, "", ErrUnknownKeyset},
	} {
		got, err := v.id.Resolve(v.known)
		if got != v.want || !errors.Is(err, v.err) {
			t.Errorf("%s: got %s, %v", v.name, got, err)
		}
	}
}

func FuzzParseKeysetID(f *testing.F) {
	f.Add("00456a94ab4e1c46")
	f.Add("01" + strings.Repeat("ab", 32))
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseKeysetID(s)
		if err != nil {
			return
		}
		if again, err := ParseKeysetID(string(id)); err != nil || again != id || id.Version() == 0 {
			t.Errorf("%q: %q, %v", s, again, err)
		}
		if _, err := id.Bytes(); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	})
}
