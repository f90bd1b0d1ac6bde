package caddyl402

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

var update = flag.Bool("update", false, "write the JSON and the errors that come out into testdata/caddyfile")

const divider = "----------"

// TestCaddyfiles adapts each testdata/caddyfile/*.caddyfiletest: above the divider stands a
// Caddyfile, below it the JSON that it becomes, or a part of the error that it is refused with.
// Configurations that adapt are validated too, so that errors of the modules are covered.
func TestCaddyfiles(t *testing.T) {
	files, err := filepath.Glob("testdata/caddyfile/*.caddyfiletest")
	if err != nil || len(files) == 0 {
		t.Fatal("no golden files", err)
	}
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".caddyfiletest"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text, want, ok := strings.Cut(string(data), divider+"\n")
			if !ok {
				t.Fatal("no divider")
			}
			got := outcome(text)
			if *update {
				if err := os.WriteFile(file, []byte(text+divider+"\n"+got+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != strings.TrimSpace(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// outcome is the indented JSON that a Caddyfile becomes, or the error.
func outcome(text string) string {
	config, err := adapt(text)
	if err == nil {
		var parsed caddy.Config
		if err = caddy.StrictUnmarshalJSON(config, &parsed); err == nil {
			err = caddy.Validate(&parsed)
		}
	}
	if err != nil {
		// Caddy loads apps in random order, which changes the path to the fault.
		message := err.Error()
		if i := strings.LastIndex(message, "provision "); i >= 0 {
			message = message[i:]
		}
		return "error: " + message
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, config, "", "\t"); err != nil {
		return "error: " + err.Error()
	}
	return indented.String()
}

func TestUnknownAdapterNamesThoseThereAre(t *testing.T) {
	_, err := adapt("{\n\tl402 {\n\t\twallet w bank\n\t}\n}\n")
	if err == nil || !strings.Contains(err.Error(), `unknown wallet adapter "bank"; there is `) || !strings.Contains(err.Error(), "sandbox") {
		t.Error(err)
	}
}
