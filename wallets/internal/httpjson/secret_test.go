package httpjson

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-l402/caddy-l402/wallets"
)

func TestNewSecret(t *testing.T) {
	for _, tt := range []struct{ name, value, path, want string }{
		{"none", "", "", "rune is missing"},
		{"both", "a", "b", "both set"},
		{"blank", "  ", "", "empty"},
		{"lines", "ab\ncd", "", "line breaks"},
		{"not ASCII", "é", "", "ASCII"},
	} {
		if _, err := NewSecret("rune", tt.value, tt.path); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v", tt.name, err)
		}
	}
	s, err := NewSecret("rune", "value", "")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.Get(); got != "value" || err != nil || s.Reload() {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestSecretFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rune")
	s, err := NewSecret("rune", "", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(); !errors.Is(err, wallets.ErrUnavailable) {
		t.Errorf("missing file: %v", err)
	}
	write(t, path, "first\n")
	if got, err := s.Get(); got != "first" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if s.Reload() {
		t.Error("an unchanged file is called changed")
	}
	write(t, path, "second")
	if got, _ := s.Get(); got != "first" {
		t.Errorf("got %q before Reload", got)
	}
	if !s.Reload() {
		t.Error("a changed file is not noticed")
	}
	if got, _ := s.Get(); got != "second" {
		t.Errorf("got %q after Reload", got)
	}
	if all := s.All(); len(all) != 2 {
		t.Errorf("secrets to hide: %q", all)
	}
	for name, content := range map[string]string{"empty": "\n", "lines": "a\nb", "large": strings.Repeat("x", maxFile+1)} {
		write(t, path, content)
		if s.Reload() {
			t.Errorf("%s: the file was taken", name)
		}
		other, _ := NewSecret("rune", "", path)
		if _, err := other.Get(); !errors.Is(err, wallets.ErrUnavailable) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := ReadFile(t.TempDir()); err == nil {
		t.Error("a folder was read")
	}
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
