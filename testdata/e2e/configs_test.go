package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// TestReadyConfigurations shows that the Caddyfiles that come with the program are in Caddy's
// format, mean what their JSON twins say, and load.
func TestReadyConfigurations(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(repository, "xcaddy", "*.Caddyfile"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no Caddyfiles beside the program (%v)", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			file, err := filepath.Abs(file)
			if err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			home := t.TempDir()
			formatted, stderr, err := runCaddy(t, home, "fmt", file)
			if formatted != string(text) {
				t.Errorf("caddy fmt would change it (%v %s)", err, stderr)
			}
			adapted, stderr, err := runCaddy(t, home, "adapt", "--config", file, "--adapter", "caddyfile")
			if err != nil {
				t.Fatalf("%v\n%s", err, stderr)
			}
			twin, err := os.ReadFile(strings.TrimSuffix(file, ".Caddyfile") + ".json")
			if err != nil {
				t.Fatal(err)
			}
			var is, want any
			if err := json.Unmarshal([]byte(adapted), &is); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(twin, &want); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(is, want) {
				t.Errorf("it means\n%s\nand its JSON twin says\n%s", adapted, twin)
			}
			if strings.Contains(string(text), "/run/secrets/") {
				return // loads only where the operator's secrets are
			}
			if _, stderr, err := runCaddy(t, home, "validate", "--config", file, "--adapter", "caddyfile"); err != nil {
				t.Errorf("%v\n%s", err, stderr)
			}
		})
	}
}
