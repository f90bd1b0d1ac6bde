package caddyl402

import (
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/caddy-l402/caddy-l402/internal/buyer"
	"github.com/caddy-l402/caddy-l402/internal/command"
	"github.com/caddy-l402/caddy-l402/l402"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/purse"
)

// docPage reads one page of the documentation.
func docPage(t *testing.T, name string) string {
	t.Helper()
	doc, ok := readDocs(t)[name]
	if !ok {
		t.Fatal("no page", name)
	}
	return doc
}

// docSection is a part of a page: from its heading to the next one of the same level.
func docSection(t *testing.T, doc, heading string) string {
	t.Helper()
	_, rest, found := strings.Cut(doc, "\n"+heading+"\n")
	if !found {
		t.Errorf("there is no heading %q", heading)
	}
	level, _, _ := strings.Cut(heading, " ")
	text, _, _ := strings.Cut(rest, "\n"+level+" ")
	return text
}

// wantNamed checks that a text names something in code spans or blocks.
func wantNamed(t *testing.T, where, text, name string) {
	t.Helper()
	if !regexp.MustCompile("(^|[^A-Za-z0-9_])" + regexp.QuoteMeta(name) + "($|[^A-Za-z0-9_])").MatchString(text) {
		t.Errorf("%s does not name %s", where, name)
	}
}

// jsonNames are the fields of a struct as JSON names them, and those of the structs of this package
// within it.
func jsonNames(kind reflect.Type) (own, inner []string) {
	for kind.Kind() == reflect.Pointer || kind.Kind() == reflect.Slice {
		kind = kind.Elem()
	}
	if kind.Kind() != reflect.Struct || !strings.HasPrefix(kind.PkgPath(), "github.com/caddy-l402/") {
		return nil, nil
	}
	for i := range kind.NumField() {
		field := kind.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		own = append(own, name)
		below, deeper := jsonNames(field.Type)
		inner = append(append(inner, below...), deeper...)
	}
	return own, inner
}

// stringsIn gives the texts that choose finds in a file of this package.
func stringsIn(t *testing.T, file string, choose func(ast.Node) []ast.Expr) (texts []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		for _, expr := range choose(n) {
			if literal, ok := expr.(*ast.BasicLit); ok && literal.Kind == token.STRING {
				text, err := strconv.Unquote(literal.Value)
				if err != nil {
					t.Fatal(err)
				}
				texts = append(texts, text)
			}
		}
		return true
	})
	if len(texts) == 0 {
		t.Fatal("nothing found in", file)
	}
	return texts
}

// cases are the texts in the case clauses of a file.
func cases(n ast.Node) []ast.Expr {
	if clause, ok := n.(*ast.CaseClause); ok {
		return clause.List
	}
	return nil
}

func TestDocsNameEveryOption(t *testing.T) {
	doc := docPage(t, "docs/directive.md")
	syntax, table := docSection(t, doc, "## The directive"), docSection(t, doc, "## Options")
	for option := range options {
		wantNamed(t, "the syntax of the directive", syntax, option)
		wantNamed(t, "the table of options", table, "`"+option+"`")
	}
	own, inner := jsonNames(reflect.TypeFor[Handler]())
	for _, name := range own {
		wantNamed(t, "the table of options", table, "`"+name+"`")
	}
	for _, name := range inner {
		wantNamed(t, "docs/directive.md", doc, "`"+name+"`")
	}
	global := docSection(t, doc, "## The global option")
	own, inner = jsonNames(reflect.TypeFor[App]())
	for _, name := range append(stringsIn(t, "globaloption.go", cases), own...) {
		wantNamed(t, "the section on the global option", global, "`"+name+"`")
	}
	for _, name := range inner {
		wantNamed(t, "docs/directive.md", doc, "`"+name+"`")
	}
	matcher := docSection(t, doc, "## The matcher")
	own, _ = jsonNames(reflect.TypeFor[Matcher]())
	for _, name := range own {
		wantNamed(t, "the section on the matcher", matcher, "`"+name+"`")
	}
	for _, module := range caddy.GetModules("http.handlers") {
		if name := module.ID.Name(); name == "l402" || strings.HasPrefix(name, "l402_") {
			wantNamed(t, "docs/directive.md", doc, "`"+string(module.ID)+"`")
			own, inner := jsonNames(reflect.TypeOf(module.New()))
			for _, name := range slices.Concat(own, inner) {
				wantNamed(t, "docs/directive.md", doc, "`"+name+"`")
			}
		}
	}
	placeholders := docSection(t, doc, "## Placeholders")
	for _, name := range stringsIn(t, "placeholders.go", cases) {
		wantNamed(t, "the section on placeholders", placeholders, "`{"+placeholderPrefix+name+"}`")
	}
}

func TestDocsNameNoOptionThatIsNone(t *testing.T) {
	doc := docPage(t, "docs/directive.md")
	for _, b := range blocksOf(t, "docs/directive.md", docSection(t, doc, "## The directive")) {
		for line := range strings.Lines(b.text) {
			name, inner := strings.CutPrefix(line, "\t")
			name, _, _ = strings.Cut(strings.TrimSuffix(name, "\n"), " ")
			if b.info == "text" && inner && name != "}" && !strings.HasPrefix(name, "\t") && options[name] == nil {
				t.Errorf("the directive has no option %q", name)
			}
		}
	}
}

func TestDocsNameEveryWallet(t *testing.T) {
	doc := docPage(t, "docs/wallets.md")
	readme := docPage(t, "README.md")
	for _, module := range caddy.GetModules("l402.wallets") {
		name, guest := module.ID.Name(), module.New()
		if !strings.Contains(reflect.TypeOf(guest).Elem().PkgPath(), "/wallets/") {
			continue // of the tests
		}
		text := docSection(t, doc, "## "+name)
		own, _ := jsonNames(reflect.TypeOf(guest))
		for _, field := range own {
			wantNamed(t, "the section on the wallet "+name, text, "`"+field+"`")
		}
		if !strings.Contains(doc, "\n| [`"+name+"`](#"+name+") |") {
			t.Errorf("the table of what each wallet can do leaves %s out", name)
		}
		if !strings.Contains(readme, "[`"+name+"`](docs/wallets.md#"+name+")") {
			t.Errorf("README leaves the wallet %s out", name)
		}
	}
}

// problemCodes are the codes that clients can meet, from the sources that define them.
func problemCodes(t *testing.T) map[string]bool {
	t.Helper()
	codes := map[string]bool{"internal": true}
	constants := func(n ast.Node) (values []ast.Expr) {
		spec, ok := n.(*ast.ValueSpec)
		if ok && strings.HasPrefix(spec.Names[0].Name, "code") {
			return spec.Values
		}
		return nil
	}
	for _, file := range []string{"problems.go", "desk_problems.go", "cashu_problems.go"} {
		for _, code := range stringsIn(t, file, constants) {
			codes[code] = true
		}
	}
	refusals := func(n ast.Node) []ast.Expr {
		literal, ok := n.(*ast.CompositeLit)
		if ok && len(literal.Elts) == 2 {
			return literal.Elts[:1]
		}
		return nil
	}
	for _, code := range stringsIn(t, "l402/errors.go", refusals) {
		codes[code] = true
	}
	for _, code := range stringsIn(t, "l402/payment/errors.go", refusals) {
		codes[code] = true
	}
	// Where no credential is shown the answer is payment_required; the others are what a client
	// finds wrong with a challenge.
	for _, code := range []string{"no_credential", "no_challenge", "malformed_challenge", "malformed_invoice",
		"no_payment_challenge", "malformed_payment_challenge"} {
		if !codes[code] {
			t.Errorf("there is no code %s any more", code)
		}
		delete(codes, code)
	}
	return codes
}

func TestDocsNameEveryProblemCode(t *testing.T) {
	table := docSection(t, docPage(t, "docs/clients.md"), "## Problem codes")
	codes := problemCodes(t)
	rows := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (\\d{3}) \\|").FindAllStringSubmatch(table, -1) {
		rows[row[1]] = row[2]
		if !codes[row[1]] {
			t.Errorf("the table has the code %s, which does not exist", row[1])
		}
	}
	for code := range codes {
		if rows[code] == "" {
			t.Errorf("the table leaves the code %s out", code)
		}
	}
	for _, p := range []struct {
		code   string
		status int
	}{
		{codeTooMany, tooMany(0, l402.ErrNoCredential).Status}, {codeUnavailable, unavailable(0).Status}, {codeNoPayee, noPayee().Status},
		{codeNotCounted, notCounted(0).Status}, {codeInUse, allInUse().Status}, {codeRepeated, repeated().Status},
		{codeReceiptUnknown, noReceipt("").Status}, {codeReceiptUnavailable, noReceiptNow(0).Status}, {codeMethod, methodRefused().Status},
		{codeReceiptCredential, receiptRefused(errOtherPayment).Status},
		{codeEcashSpent, ecashRefused(purse.ErrSpent).Status}, {codeEcashUnavailable, ecashRefused(purse.ErrUnsettled).Status},
		{codeEcashDisputed, ecashRefused(purse.ErrDisputed).Status}, {codePaymentPending, paymentRequired(errPending, nil).Status},
	} {
		if rows[p.code] != strconv.Itoa(p.status) {
			t.Errorf("the table gives %s the status %s, and it is %d", p.code, rows[p.code], p.status)
		}
	}
}

func TestDocsNameEveryEndpoint(t *testing.T) {
	doc := docPage(t, "docs/admin.md")
	for _, route := range new(adminAPI).Routes() {
		if !regexp.MustCompile("(?m)^\\| `(GET|POST) " + regexp.QuoteMeta(route.Pattern)).MatchString(doc) {
			t.Errorf("the table of endpoints leaves %s out", route.Pattern)
		}
	}
}

func TestDocsNameEveryCommandAndFlag(t *testing.T) {
	doc := docPage(t, "docs/commands.md")
	root := &cobra.Command{Use: "l402"}
	command.Setup(root)
	var walk func(*cobra.Command, string)
	walk = func(cmd *cobra.Command, name string) {
		if len(cmd.Commands()) == 0 {
			wantNamed(t, "docs/commands.md", doc, "caddy l402 "+name)
		}
		cmd.Flags().VisitAll(func(flag *pflag.Flag) {
			wantNamed(t, "docs/commands.md, for "+name+",", doc, "--"+flag.Name)
		})
		for _, sub := range cmd.Commands() {
			walk(sub, strings.TrimSpace(name+" "+sub.Name()))
		}
	}
	walk(root, "")
	for _, flag := range regexp.MustCompile("(?m)^\\| (?:`-\\w`, )?`--([a-z-]+)`").FindAllStringSubmatch(doc, -1) {
		if !hasFlag(root, flag[1]) {
			t.Errorf("no command has the flag --%s", flag[1])
		}
	}
}

func hasFlag(cmd *cobra.Command, name string) bool {
	return cmd.Flags().Lookup(name) != nil ||
		slices.ContainsFunc(cmd.Commands(), func(sub *cobra.Command) bool { return hasFlag(sub, name) })
}

// TestDocsNameTheTransport compares the page on purchases with the transport: its options, its JSON and
// the codes of its refusals.
func TestDocsNameTheTransport(t *testing.T) {
	const page = "docs/recipes/upstream-purchases.md"
	doc := docPage(t, page)
	table, codes := docSection(t, doc, "## Options"), docSection(t, doc, "## When it does not pay")
	own, _ := jsonNames(reflect.TypeFor[Transport]())
	for _, name := range own {
		wantNamed(t, "the table of options", table, "`"+name+"`")
		if transportOptions[name] == nil {
			t.Errorf("the Caddyfile has no option for %s", name)
		}
	}
	for option := range transportOptions {
		if !strings.Contains(table, "\n| `"+option) {
			t.Errorf("the table leaves the option %s out", option)
		}
	}
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)").FindAllStringSubmatch(table, -1) {
		if transportOptions[row[1]] == nil {
			t.Errorf("there is no option %s", row[1])
		}
	}
	for _, code := range buyer.Codes() {
		wantNamed(t, page, codes, "`"+code+"`")
	}
	for _, row := range regexp.MustCompile("(?m)^\\| `(upstream_\\w+)`").FindAllStringSubmatch(codes, -1) {
		if !slices.Contains(buyer.Codes(), row[1]) {
			t.Errorf("there is no code %s", row[1])
		}
	}
	for _, name := range payingAdapters {
		wantNamed(t, page, doc, name)
		module, err := caddy.GetModule("l402.wallets." + name)
		if err != nil || module.ID.Name() != name {
			t.Errorf("there is no adapter %s: %v", name, err)
		}
	}
}
