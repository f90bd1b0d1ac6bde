package ledger

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
)

// TestListingWhileFilesVanish lists a folder of a real file system in which other files come and
// go: what stays is in every listing, and the folder is never taken for missing.
func TestListingWhileFilesVanish(t *testing.T) {
	dir := t.TempDir()
	o := newObjects(&certmagic.FileStorage{Path: dir}, "l402", time.Second)
	stays := o.beat(incB, 1)
	if err := o.store(t.Context(), stays, nil); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				name := filepath.Join(dir, "l402", areaInstances, strconv.Itoa(i%50))
				if err := os.WriteFile(name, nil, 0o600); err == nil {
					_ = os.Remove(name) // the other one may have been faster
				}
			}
		})
	}
	for range 500 {
		keys, err := o.list(t.Context(), o.area(areaInstances))
		if err == nil && !slices.Equal(keys, []string{stays}) {
			t.Errorf("listed %q", keys)
			break
		}
		if errors.Is(err, fs.ErrNotExist) {
			t.Errorf("taken for missing: %v", err)
			break
		}
	}
	close(done)
	wg.Wait()
}

// script is a storage whose listings answer in turn.
type script struct {
	certmagic.Storage
	answers []answer
	n       int
}

type answer struct {
	keys []string
	err  error
}

func (s *script) List(context.Context, string, bool) ([]string, error) {
	a := s.answers[min(s.n, len(s.answers)-1)]
	s.n++
	return a.keys, a.err
}

func TestMissingFolders(t *testing.T) {
	folder := "l402/" + areaInstances
	key := keyspace{"l402"}.beat(incA, 1)
	child := &fs.PathError{Op: "lstat", Path: "/d/" + folder + "/123", Err: fs.ErrNotExist}
	root := &fs.PathError{Op: "lstat", Path: "/d/" + folder, Err: fs.ErrNotExist}
	good := answer{keys: []string{key}}
	for name, c := range map[string]struct {
		answers []answer
		want    int
		fails   bool
	}{
		"missing":                       {[]answer{{err: root}}, 0, false},
		"missing, without a path":       {[]answer{{err: fs.ErrNotExist}}, 0, false},
		"empty":                         {[]answer{{}}, 0, false},
		"a file vanished":               {[]answer{{err: child}, good}, 1, false},
		"a file vanished, keys so far":  {[]answer{{keys: []string{key}, err: fs.ErrNotExist}, good}, 1, false},
		"vanished without telling":      {[]answer{{err: fs.ErrNotExist}, good}, 1, false},
		"files vanish all the time":     {[]answer{{err: child}}, 0, true},
		"keys and not found, for ever":  {[]answer{{keys: []string{key}, err: fs.ErrNotExist}}, 0, true},
		"failed, then missing, then ok": {[]answer{{err: errors.New("x")}, {err: errors.New("x")}, {err: child}, good}, 1, false},
	} {
		o := newObjects(&script{answers: c.answers}, "l402", time.Second)
		keys, err := o.list(t.Context(), folder)
		if len(keys) != c.want || (err != nil) != c.fails {
			t.Errorf("%s: %q, %v", name, keys, err)
		}
	}
}
