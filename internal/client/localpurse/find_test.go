package localpurse

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestFind shows that a mint need not be named where there is but one, and that the choice is told
// where there are several.
func TestFind(t *testing.T) {
	f := openFolder(t, filepath.Join(t.TempDir(), "purse"))
	if _, err := f.Find(t.Context(), Spec{}); err == nil || !strings.Contains(err.Error(), "no mint yet") {
		t.Errorf("an empty purse: %v", err)
	}
	open := func(s Spec) {
		t.Helper()
		m, err := f.Mint(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	open(Spec{Mint: "https://a.example"})
	if found, err := f.Find(t.Context(), Spec{}); err != nil || found.Mint != "https://a.example" {
		t.Errorf("one mint: %+v, %v", found, err)
	}
	open(Spec{Mint: "https://b.example", Unit: "msat"})
	_, err := f.Find(t.Context(), Spec{})
	if err == nil || !strings.Contains(err.Error(), "https://a.example (sat), https://b.example (msat)") {
		t.Errorf("two mints: %v", err)
	}
	if found, err := f.Find(t.Context(), Spec{Unit: "msat"}); err != nil || found.Mint != "https://b.example" {
		t.Errorf("one mint of the unit: %+v, %v", found, err)
	}
}
