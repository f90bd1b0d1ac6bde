package private

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

func TestReplace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, text := range []string{"one", "", "a longer one"} {
		if err := os.WriteFile(path, []byte("readable by all"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := Replace(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != text {
			t.Errorf("%q, %v; want %q", got, err, text)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("the folder holds %v, %v", left, err)
	}
}

func TestReplaceRefused(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "folder")
	if err := os.MkdirAll(filepath.Join(path, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Replace(path, []byte("x")); err == nil {
		t.Error("a folder was replaced by a file")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("the folder holds %v, %v", left, err)
	}
	if err := Replace(filepath.Join(dir, "none", "file"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a folder that is not there: %v", err)
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if data, err := Read(path, 4); data != nil || err != nil {
		t.Errorf("a file that is not there: %q, %v", data, err)
	}
	for text, whole := range map[string]bool{"": true, "four": true, "fives": false} {
		if err := Replace(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		data, err := Read(path, 4)
		if whole && (err != nil || data == nil || string(data) != text) || !whole && !errors.Is(err, ErrTooLarge) {
			t.Errorf("%q: %q, %v", text, data, err)
		}
	}
	if _, err := Read(dir, 4); err == nil || strings.Contains(err.Error(), dir) {
		t.Errorf("a folder: %v", err)
	}
	if runtime.GOOS == "windows" {
		return // it has no such pipes
	}
	pipe := filepath.Join(dir, "pipe")
	if err := exec.Command("mkfifo", pipe).Run(); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(pipe, 4); err == nil {
		t.Error("a pipe was read")
	}
}

func TestRemove(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := Replace(path, nil); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := Remove(path); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after the removal: %v", err)
	}
}

func TestBare(t *testing.T) {
	_, err := os.Open(filepath.Join(t.TempDir(), "none"))
	if bare := Bare(err); bare != error(syscall.ENOENT) || strings.Contains(bare.Error(), "none") {
		t.Errorf("got %v", bare)
	}
	if err := errors.New("other"); Bare(err) != err {
		t.Error("another error is not left as it is")
	}
}
