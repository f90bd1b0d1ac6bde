package caddyl402

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestGoModHasNoReplace(t *testing.T) {
	data, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(string(data), "\n") {
		if word, _, _ := strings.Cut(strings.TrimSpace(line), " "); word == "replace" || strings.HasPrefix(word, "replace(") {
			t.Errorf("go.mod:%d: %s: xcaddy ignores replace lines, so that users would build something else", i+1, line)
		}
	}
}

// testingAllowed are the dependencies that may pull in package testing, with the reason.
var testingAllowed = map[string]string{
	"github.com/lightningnetwork/lnd/fn/v2": "lnwire needs it; its helpers for tests stand beside the rest",
	"github.com/lightningnetwork/lnd/tlv":   "zpay32 needs it; likewise",
	"pgregory.net/rapid":                    "fn's helpers for tests use it",
}

func TestNoTestingInTheProgram(t *testing.T) {
	if testing.Short() {
		t.Skip("lists all dependencies")
	}
	out, err := exec.Command("go", "list", "-deps", "-f", `{{.ImportPath}}: {{join .Imports " "}}`, ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		pkg, imports, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if !strings.Contains(pkg, ".") { // the standard library
			continue
		}
		for _, imported := range strings.Fields(imports) {
			if imported == "testing" || strings.HasPrefix(imported, "testing/") {
				if testingAllowed[pkg] == "" {
					t.Errorf("%s imports %s: find the way by which it came in, or allow it with a reason", pkg, imported)
				}
			}
		}
	}
}

// goFiles calls f for each Go file of the module that is not generated.
func goFiles(t *testing.T, f func(path string, file *ast.File, source []byte)) {
	t.Helper()
	fset := token.NewFileSet()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == "node_modules" || len(path) > 1 && d.Name()[0] == '.'):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, ".pb.go"):
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(fset, path, source, parser.ParseComments)
		if err != nil {
			return err
		}
		f(path, file, source)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestEveryPackageHasADocComment(t *testing.T) {
	documented := map[string]bool{}
	goFiles(t, func(path string, file *ast.File, _ []byte) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		dir := filepath.Dir(path)
		documented[dir] = documented[dir] || file.Doc != nil
	})
	for dir, ok := range documented {
		if !ok {
			t.Errorf("package in %s has no doc comment", dir)
		}
	}
}

func TestEverythingExportedIsDocumented(t *testing.T) {
	goFiles(t, func(path string, file *ast.File, _ []byte) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		for _, decl := range file.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && d.Doc == nil && exportedReceiver(d) {
					t.Errorf("%s: func %s has no doc comment", path, d.Name)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if s, ok := spec.(*ast.TypeSpec); ok && s.Name.IsExported() && d.Doc == nil && s.Doc == nil {
						t.Errorf("%s: type %s has no doc comment", path, s.Name)
					}
				}
			}
		}
	})
}

// exportedReceiver tells whether a function is no method, or one of an exported type.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return true
	}
	kind := d.Recv.List[0].Type
	if star, ok := kind.(*ast.StarExpr); ok {
		kind = star.X
	}
	if index, ok := kind.(*ast.IndexExpr); ok {
		kind = index.X
	}
	name, ok := kind.(*ast.Ident)
	return ok && name.IsExported()
}

func TestFilesAreSmall(t *testing.T) {
	goFiles(t, func(path string, _ *ast.File, source []byte) {
		if lines := bytes.Count(source, []byte("\n")); lines > 450 && !strings.HasSuffix(path, "_test.go") {
			t.Errorf("%s has %d lines: two ideas in one file?", path, lines)
		}
	})
}

// TestImportsRunOneWay keeps the rooms in order: root, internal, wallets, l402.
func TestImportsRunOneWay(t *testing.T) {
	const module = "github.com/caddy-l402/caddy-l402"
	rank := func(pkg string) int {
		switch {
		case strings.HasPrefix(pkg, module+"/l402"):
			return 0
		case strings.HasPrefix(pkg, module+"/wallets"):
			return 1
		case strings.HasPrefix(pkg, module+"/internal"):
			return 2
		}
		return 3
	}
	goFiles(t, func(path string, file *ast.File, _ []byte) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		own := rank(module + "/" + filepath.ToSlash(filepath.Dir(path)))
		for _, spec := range file.Imports {
			imported := strings.Trim(spec.Path.Value, `"`)
			if strings.HasPrefix(imported, module) && rank(imported) > own {
				t.Errorf("%s imports %s, against the way that imports run", path, imported)
			}
			if own == 0 && strings.HasPrefix(imported, "github.com/caddyserver/") {
				t.Errorf("%s imports %s: the protocol knows no Caddy", path, imported)
			}
		}
	})
}
