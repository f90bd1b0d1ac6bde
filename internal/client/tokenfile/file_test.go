package tokenfile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// entry is a paid token; n tells them apart.
func entry(n byte) Token {
	p := lntypes.Preimage{n}
	return Token{
		Origin: "https://a.test:443", Opens: fmt.Sprintf("services=s%d:0", n), Path: "/a",
		Macaroon: []byte{2, 1, n}, Preimage: p.String(), Invoice: "lnbc1", PaymentHash: p.Hash().String(),
		AmountMsat: 1500, Obtained: time.Unix(1_700_000_000, 0).UTC(),
	}
}

func newFile(t *testing.T) *File { return New(filepath.Join(t.TempDir(), "tokens.json")) }

func put(t *testing.T, f *File, tokens ...Token) {
	t.Helper()
	locked, err := f.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer locked.Unlock()
	for _, token := range tokens {
		if err := locked.Put(token); err != nil {
			t.Fatal(err)
		}
	}
}

func load(t *testing.T, f *File) []Token {
	t.Helper()
	tokens, err := f.Load()
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func TestKeepsTokens(t *testing.T) {
	f := newFile(t)
	if tokens := load(t, f); len(tokens) != 0 {
		t.Errorf("a file that is not there holds %v", tokens)
	}
	a, b := entry(1), entry(2)
	put(t, f, a, b)
	if got := load(t, f); !reflect.DeepEqual(got, []Token{a, b}) {
		t.Errorf("got %+v", got)
	}
	// Another copy, as another process would have it.
	if got := load(t, New(f.path)); len(got) != 2 {
		t.Errorf("got %+v", got)
	}
	locked, err := f.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := locked.Drop(a.PaymentHash); err != nil {
		t.Fatal(err)
	}
	locked.Unlock()
	locked.Unlock()
	if got := load(t, f); !reflect.DeepEqual(got, []Token{b}) {
		t.Errorf("after Drop: %+v", got)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(f.path), ".*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestPutReplaces(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	begun := entry(1)
	begun.Preimage = ""
	newer := entry(3)
	newer.Opens = entry(1).Opens
	elsewhere := entry(4)
	elsewhere.Opens, elsewhere.Origin = entry(1).Opens, "https://b.test:443"
	expired := entry(5)
	expired.ValidUntil = now
	alive := entry(6)
	alive.ValidUntil = now.Add(time.Second)
	for name, test := range map[string]struct {
		puts []Token
		want []Token
	}{
		"a begun payment that is paid":       {[]Token{begun, entry(1)}, []Token{entry(1)}},
		"a newer token for the same":         {[]Token{entry(1), newer}, []Token{newer}},
		"a begun payment replaces no token":  {[]Token{newer, begun}, []Token{newer, begun}},
		"the same product of another origin": {[]Token{entry(1), elsewhere}, []Token{entry(1), elsewhere}},
		"expired tokens leave":               {[]Token{expired, alive, entry(1)}, []Token{alive, entry(1)}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFile(t)
			f.now = func() time.Time { return now }
			put(t, f, test.puts...)
			got := load(t, f)
			if len(got) != len(test.want) {
				t.Fatalf("got %+v", got)
			}
			for i := range got {
				if got[i].PaymentHash != test.want[i].PaymentHash || got[i].Preimage != test.want[i].Preimage {
					t.Errorf("entry %d is %+v", i, got[i])
				}
			}
		})
	}
}

func TestIsPrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("permissions are of another kind there")
	}
	f := newFile(t)
	if err := os.WriteFile(f.path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	put(t, f, entry(1))
	for _, path := range []string{f.path, f.path + ".lock"} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", path, info.Mode(), err)
		}
	}
}

func TestFollowsLinks(t *testing.T) {
	dir := t.TempDir()
	real, link := filepath.Join(dir, "real"), filepath.Join(dir, "link")
	if err := os.WriteFile(real, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(real, link); err != nil {
		t.Skip(err)
	}
	put(t, New(link), entry(1))
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link was replaced: %v, %v", info.Mode(), err)
	}
	if got := load(t, New(real)); len(got) != 1 {
		t.Errorf("got %v", got)
	}
}

// TestDamagedFileStays shows that what cannot be read is an error that names file and cure, and
// is not overwritten.
func TestDamagedFileStays(t *testing.T) {
	secret := entry(1).Preimage
	for name, text := range map[string]string{
		"no JSON":       "hello",
		"a list":        "[]",
		"no version":    `{"tokens":[]}`,
		"a later one":   `{"version":2,"tokens":[]}`,
		"cut off":       `{"version":1,"tokens":[{"origin":"https://a.te`,
		"no origin":     `{"version":1,"tokens":[{"macaroon":"AgE=","payment_hash":"` + entry(1).PaymentHash + `"}]}`,
		"no macaroon":   `{"version":1,"tokens":[{"origin":"a","payment_hash":"` + entry(1).PaymentHash + `"}]}`,
		"no hash":       `{"version":1,"tokens":[{"origin":"a","macaroon":"AgE="}]}`,
		"wrong hash":    `{"version":1,"tokens":[{"origin":"a","macaroon":"AgE=","payment_hash":"` + entry(2).PaymentHash + `","preimage":"` + secret + `"}]}`,
		"preimage text": `{"version":1,"tokens":[{"origin":"a","macaroon":"AgE=","payment_hash":"` + entry(1).PaymentHash + `","preimage":"xyz"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			f := newFile(t)
			if err := os.WriteFile(f.path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := f.Load()
			if !errors.Is(err, ErrFile) || !strings.Contains(err.Error(), f.path) || !strings.Contains(err.Error(), "move it away") {
				t.Errorf("got %v", err)
			}
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Error("the error holds a secret")
			}
			if err := f.Update(t.Context(), func([]Token) []Token { return nil }); !errors.Is(err, ErrFile) {
				t.Errorf("Update: %v", err)
			}
			if data, err := os.ReadFile(f.path); err != nil || string(data) != text {
				t.Errorf("the file was changed to %q, %v", data, err)
			}
			// The lock was given back.
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			if _, err := f.Lock(ctx); errors.Is(err, context.DeadlineExceeded) {
				t.Error("the lock is still held")
			}
		})
	}
}

func TestTooLarge(t *testing.T) {
	f := newFile(t)
	if err := os.WriteFile(f.path, []byte(strings.Repeat(" ", maxSize+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Load(); !errors.Is(err, ErrFile) || !strings.Contains(err.Error(), "larger") {
		t.Errorf("got %v", err)
	}
}

func TestLockWaitsAndGivesUp(t *testing.T) {
	f := newFile(t)
	locked, err := f.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := New(f.path).Lock(ctx); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrFile) {
		t.Errorf("got %v", err)
	}
	if _, err := f.Load(); err != nil {
		t.Errorf("reading waits for a writer: %v", err)
	}
	locked.Unlock()
	put(t, f, entry(1))
}

// TestManyWriters shows that no change is lost and that readers see whole files only.
func TestManyWriters(t *testing.T) {
	f := newFile(t)
	var wg sync.WaitGroup
	for i := range byte(16) {
		wg.Go(func() {
			own := New(f.path)
			locked, err := own.Lock(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			defer locked.Unlock()
			if err := locked.Put(entry(i + 1)); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if _, err := f.Load(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := load(t, f); len(got) != 16 {
		t.Errorf("%d tokens, want 16", len(got))
	}
}

func TestLikeliest(t *testing.T) {
	at := func(path string, obtained int64) Token {
		return Token{Path: path, Obtained: time.Unix(obtained, 0)}
	}
	tokens := []Token{at("/a/b/c", 1), at("/a", 2), at("/x", 9), at("/a/b/d", 3)}
	for path, want := range map[string]string{
		"/a/b/c": "/a/b/c", "/a/b/e": "/a/b/d", "/a/z": "/a/b/d", "/x/y": "/x", "/q": "/x", "/a": "/a",
	} {
		if got := Likeliest(tokens, path); got == nil || got.Path != want {
			t.Errorf("%s: got %v, want %s", path, got, want)
		}
	}
	if got := Likeliest(nil, "/"); got != nil {
		t.Errorf("of none: %v", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"version":1,"tokens":[]}`))
	f.Add([]byte(`{"version":1,"tokens":[{"origin":"a","macaroon":"AgE=","payment_hash":"` + entry(1).PaymentHash +
		`","preimage":"` + entry(1).Preimage + `"}]}`))
	f.Add([]byte(" \n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		tokens, err := parse(data)
		if err != nil && tokens != nil {
			t.Error("tokens beside an error")
		}
		for _, token := range tokens {
			p, err := lntypes.MakePreimageFromStr(token.Preimage)
			if token.Preimage != "" && (err != nil || p.Hash().String() != strings.ToLower(token.PaymentHash)) {
				t.Errorf("an entry without proof was taken: %+v", token)
			}
			if token.Origin == "" || len(token.Macaroon) == 0 {
				t.Errorf("an empty entry was taken: %+v", token)
			}
		}
	})
}
