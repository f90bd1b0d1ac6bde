package rpc_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/caddy-l402/caddy-l402/wallets/lnd/rpc"
)

// lndProtos gives the texts of LND's own .proto files, of the version that go.mod names.
func lndProtos(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/lightningnetwork/lnd").Output()
	if err != nil {
		t.Skipf("finding LND's sources takes the go command: %v", err)
	}
	var all strings.Builder
	for _, name := range []string{
		"lightning.proto", "stateservice.proto", "invoicesrpc/invoices.proto", "routerrpc/router.proto",
	} {
		b, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "lnrpc", name))
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	comments := regexp.MustCompile(`(?s)/\*.*?\*/|//[^\n]*`)
	return comments.ReplaceAllString(all.String(), "")
}

// block gives the text between the braces of a message or enum, those of nested ones included.
func block(text, kind, name string) (string, bool) {
	at := regexp.MustCompile(`\b` + kind + `\s+` + name + `\s*\{`).FindStringIndex(text)
	if at == nil {
		return "", false
	}
	depth := 1
	for i := at[1]; i < len(text); i++ {
		switch text[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return text[at[1]:i], true
			}
		}
	}
	return "", false
}

// TestNumbersAreLNDs compares each field and enum value with the declaration in LND's own files.
func TestNumbersAreLNDs(t *testing.T) {
	text := lndProtos(t)
	// Names that differ from LND's. Macaroons are not part of its .proto files.
	renamed := map[string]string{"InvoiceRequest": "Invoice", "MacaroonId": "", "MacaroonOp": ""}
	// Types that are nested in LND's files.
	nested := map[string]string{"InvoiceState": "InvoiceState", "PaymentStatus": "PaymentStatus"}
	file := rpc.File_wallets_lnd_rpc_lightning_proto
	checked := 0
	for i := range file.Messages().Len() {
		m := file.Messages().Get(i)
		name := string(m.Name())
		if other, ok := renamed[name]; ok {
			if name = other; name == "" {
				continue
			}
		}
		body, ok := block(text, "message", name)
		if !ok {
			t.Errorf("LND has no message %s", name)
			continue
		}
		for j := range m.Fields().Len() {
			f := m.Fields().Get(j)
			line := regexp.MustCompile(`(?m)^\s*(repeated\s+)?([\w.]+)\s+` + string(f.Name()) + `\s*=\s*(\d+)`).FindStringSubmatch(body)
			if line == nil {
				t.Errorf("LND's %s has no field %s", name, f.Name())
				continue
			}
			if line[3] != itoa(f.Number()) {
				t.Errorf("%s.%s is %d, LND's is %s", name, f.Name(), f.Number(), line[3])
			}
			if want := typeName(f); line[2] != want && line[2] != nested[want] {
				t.Errorf("%s.%s is a %s, LND's is a %s", name, f.Name(), want, line[2])
			}
			if repeated := strings.TrimSpace(line[1]) != ""; repeated != f.IsList() {
				t.Errorf("%s.%s is a list: %t, LND's: %t", name, f.Name(), f.IsList(), repeated)
			}
			checked++
		}
	}
	for i := range file.Enums().Len() {
		e := file.Enums().Get(i)
		body, ok := block(text, "enum", string(e.Name()))
		if !ok {
			t.Errorf("LND has no enum %s", e.Name())
			continue
		}
		for j := range e.Values().Len() {
			v := e.Values().Get(j)
			if !regexp.MustCompile(`(?m)^\s*` + string(v.Name()) + `\s*=\s*` + itoa(v.Number()) + `\s*[;\[]`).MatchString(body) {
				t.Errorf("LND's %s has no %s = %d", e.Name(), v.Name(), v.Number())
			}
			checked++
		}
	}
	if checked < 60 {
		t.Errorf("only %d numbers were compared", checked)
	}
}

func itoa[T ~int32](n T) string {
	return strings.TrimSpace(protoreflect.ValueOfInt32(int32(n)).String())
}

func typeName(f protoreflect.FieldDescriptor) string {
	switch f.Kind() {
	case protoreflect.EnumKind:
		return string(f.Enum().Name())
	case protoreflect.MessageKind:
		return string(f.Message().Name())
	}
	return f.Kind().String()
}

// TestMethodsAreLNDs looks each method up in LND's own files.
func TestMethodsAreLNDs(t *testing.T) {
	text := lndProtos(t)
	for _, m := range []string{
		rpc.MethodAddInvoice, rpc.MethodLookupInvoice, rpc.MethodLookupInvoiceV2, rpc.MethodListInvoices,
		rpc.MethodSubscribeInvoices, rpc.MethodAddHoldInvoice, rpc.MethodSettleInvoice,
		rpc.MethodCancelInvoice, rpc.MethodSendPayment, rpc.MethodTrackPayment, rpc.MethodGetState,
	} {
		pkg, rest, _ := strings.Cut(strings.TrimPrefix(m, "/"), ".")
		service, method, _ := strings.Cut(rest, "/")
		body, ok := block(text, "service", service)
		if !ok || !regexp.MustCompile(`\brpc\s+`+method+`\s*\(`).MatchString(body) {
			t.Errorf("LND has no %s", m)
		}
		if !strings.Contains(text, "package "+pkg+";") {
			t.Errorf("LND has no package %s", pkg)
		}
	}
}

// TestNamesAreOurs keeps a binary that links LND's own stubs from panicking at start: neither a
// name nor a file of ours may be one of LND's.
func TestNamesAreOurs(t *testing.T) {
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		if strings.Contains(f.Path(), "lightning") {
			if f.Package() != "caddyl402.lnd" || !strings.HasPrefix(f.Path(), "wallets/lnd/") {
				t.Errorf("file %s declares package %s", f.Path(), f.Package())
			}
		}
		if p := string(f.Package()); strings.HasSuffix(p, "rpc") && strings.Contains(p, "ln") {
			t.Errorf("package %s of LND is registered", p)
		}
		return true
	})
}
