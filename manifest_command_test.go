package caddyl402

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/caddy-l402/caddy-l402/internal/command"
)

// printManifest runs `caddy l402 manifest` with a configuration of these sites.
func printManifest(t *testing.T, sites string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	file := filepath.Join(t.TempDir(), "Caddyfile")
	text := "{\n\tstorage file_system " + t.TempDir() + "\n\tl402 {\n\t\twallet pay lnurl shop@example.com\n\t}\n}\n" + sites
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	root := &cobra.Command{Use: "caddy"}
	cmd := &cobra.Command{Use: command.Name}
	command.Setup(cmd)
	root.AddCommand(cmd)
	var out, errs bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&errs)
	root.SetArgs(append([]string{"l402", "manifest", "--config", file}, args...))
	err = root.ExecuteContext(t.Context())
	return out.String(), errs.String(), err
}

func TestManifestCommand(t *testing.T) {
	const one = "shop.example {\n\tl402 /a/* 10 sat {\n\t\tdescription \"All of a\"\n\t}\n\tl402 /b/* 20 sat {\n\t\thidden\n\t}\n}\n"
	out, errs, err := printManifest(t, one)
	if err != nil {
		t.Fatal(err, errs)
	}
	if got := offered(t, out); !slices.Equal(got, []string{"a GET /a/* 10000"}) || !strings.Contains(out, `"name": "shop.example"`) {
		t.Error(out)
	}
	for document, want := range map[string]string{
		"manifest": `"macaroon_versions"`, "services": `"endpoint": "/a/*"`, "openapi": `"/a/{path}"`, "text": "Price: 10 sat, valid for 24h.",
	} {
		out, errs, err := printManifest(t, one, "--document", document)
		if err != nil || !strings.Contains(out, want) || strings.Contains(out, "/b/") {
			t.Errorf("%s: %v %s %s", document, err, errs, out)
		}
		if document != "text" && !json.Valid([]byte(out)) {
			t.Errorf("%s is no JSON: %s", document, out)
		}
	}
}

func TestManifestCommandChoosesTheHost(t *testing.T) {
	const two = "a.example {\n\tl402 1 sat\n}\n*.b.example {\n\ttls internal\n\tl402 2 sat {\n\t\tservice b\n\t}\n}\nfree.example {\n\trespond hi\n}\n"
	for host, want := range map[string]string{"a.example": "default GET /* 1000", "x.b.example": "b GET /* 2000"} {
		out, errs, err := printManifest(t, two, "--host", host)
		if err != nil {
			t.Fatal(err, errs)
		}
		if got := offered(t, out); !slices.Equal(got, []string{want}) {
			t.Errorf("%s: %q", host, got)
		}
	}
	for name, test := range map[string]struct {
		sites, text string
		args        []string
	}{
		"none named":      {two, "several hosts sell something, *.b.example, a.example: name one with --host", nil},
		"one that is not": {two, "c.example tells of nothing for sale", []string{"--host", "c.example"}},
		"a free one":      {two, "free.example tells of nothing for sale", []string{"--host", "free.example"}},
		"no gate":         {"a.example {\n\trespond hi\n}\n", "there is no l402 route", nil},
		"hidden":          {"a.example {\n\tl402 1 sat {\n\t\thidden\n\t}\n}\n", "all of them are hidden", nil},
		"no site":         {"", "the configuration sells nothing", nil},
		"bad document":    {two, `unknown document "yaml": use manifest, services, openapi or text`, []string{"--document", "yaml"}},
		"bad argument":    {two, "it takes no arguments", []string{"x"}},
		"bad setting":     {"a.example {\n\tl402_manifest {\n\t\turi nowhere\n\t}\n\tl402 1 sat\n}\n", `uri "nowhere"`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			out, errs, err := printManifest(t, test.sites, test.args...)
			if err == nil || out != "" || !strings.Contains(errs, test.text) {
				t.Errorf("%v, %q, %q", err, out, errs)
			}
		})
	}
}

// TestManifestCommandStartsNothing runs it beside a server that has the configuration's port.
func TestManifestCommandStartsNothing(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	out, errs, err := printManifest(t, "http://"+taken.Addr().String()+" {\n\tbind 127.0.0.1\n\tl402 3 sat\n}\n")
	if err != nil {
		t.Fatal(err, errs)
	}
	if got := offered(t, out); !slices.Equal(got, []string{"default GET /* 3000"}) {
		t.Error(got)
	}
}
