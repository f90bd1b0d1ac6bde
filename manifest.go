package caddyl402

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-l402/caddy-l402/internal/discovery"
)

func init() {
	caddy.RegisterModule(new(Manifest))
}

// Manifest tells clients what the host that they ask is selling, for free, and passes all other
// requests on:
//
//	/.well-known/l402.json       the manifest of the L402 discovery specification
//	/.well-known/l402-services   the list that directories read
//	/.well-known/l402.txt        a text for language models, in the form of llms.txt
//
// What is for sale comes from the l402 handlers that requests to the host get to, from the matchers
// on the way to them and from what they say in `discovery`. Where nothing is for sale, or all of it
// is hidden, requests are passed on. Each l402 handler answers for these paths as well, and each
// site of a Caddyfile with an l402 directive has them already; a handler of its own is for further
// documents and for what to say of the provider. It is valid for all requests to the host, whichever
// handler answers them.
type Manifest struct {
	// Tells nothing, here and in all l402 handlers that requests to the host get to.
	Off bool `json:"off,omitempty"`

	// The path of the manifest. Default: "/.well-known/l402.json".
	Path string `json:"path,omitempty"`

	// The provider's name for people. Default: the host.
	ProviderName string `json:"provider_name,omitempty"`

	// What the provider offers, in a sentence or two.
	Description string `json:"description,omitempty"`

	// The address of the site, beginning with https://.
	URI string `json:"uri,omitempty"`

	// The public key of the provider's Lightning node, 66 hex digits. Clients may insist on
	// invoices of this node.
	NodePubkey string `json:"node_pubkey,omitempty"`

	// Where to write to about the service, such as an e-mail address.
	Contact string `json:"contact,omitempty"`

	// The path of an OpenAPI document with prices, such as "/openapi.json". Default: none.
	OpenAPI string `json:"openapi,omitempty"`

	// The file with an OpenAPI document of your own, in JSON, which the prices are added to. It is
	// read when the configuration is loaded.
	OpenAPIFile string `json:"openapi_file,omitempty"`

	// A further path of the text for language models, such as "/llms.txt". Default: none.
	LLMs string `json:"llms,omitempty"`

	// How long clients may keep the documents. Default: 5m.
	MaxAge caddy.Duration `json:"max_age,omitempty"`

	app  *App
	base *discovery.OpenAPI
}

// defaultMaxAge is how long documents may be kept.
const defaultMaxAge = 5 * time.Minute

// CaddyModule returns the Caddy module information.
func (*Manifest) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.l402_manifest",
		New: func() caddy.Module { return new(Manifest) },
	}
}

// Provision checks the settings and reads the file.
func (m *Manifest) Provision(ctx caddy.Context) error {
	app, err := ctx.App("l402")
	if err != nil {
		return fmt.Errorf("getting the l402 app: %w", err)
	}
	m.app = app.(*App)
	if m.Off && !(&Manifest{Off: true}).same(m) {
		return errors.New("off contradicts the other settings of l402_manifest: leave one of them out")
	}
	paths := map[string]string{discovery.ServicesPath: "the list of services", discovery.TextPath: "the text"}
	for _, setting := range []struct{ name, path, document string }{
		{"path", m.path(), "the manifest"}, {"openapi", m.OpenAPI, "the OpenAPI document"}, {"llms", m.LLMs, "the text"},
	} {
		if setting.path == "" {
			continue
		}
		if !strings.HasPrefix(setting.path, "/") || strings.ContainsAny(setting.path, "*{}?#<>\"% \t\r\n\\") {
			return fmt.Errorf("%s %q: use one path that begins with a slash, such as /openapi.json", setting.name, setting.path)
		}
		if taken := paths[setting.path]; taken != "" && taken != setting.document {
			return fmt.Errorf("%s %q: this is the path of %s already", setting.name, setting.path, taken)
		}
		paths[setting.path] = setting.document
	}
	if m.URI != "" {
		if address, err := url.Parse(m.URI); err != nil || address.Host == "" || address.Scheme != "https" && address.Scheme != "http" {
			return fmt.Errorf("uri %q: use the address of the site, such as https://example.com", m.URI)
		}
	}
	if key, err := hex.DecodeString(m.NodePubkey); err != nil || len(key) != 0 && (len(key) != 33 || key[0] != 2 && key[0] != 3) {
		return fmt.Errorf("node_pubkey %q: use the 66 hex digits of the node's public key", m.NodePubkey)
	}
	if m.MaxAge < 0 {
		return errors.New("max_age: a time cannot be less than zero")
	}
	return m.readOpenAPI()
}

func (m *Manifest) readOpenAPI() error {
	if m.OpenAPIFile == "" {
		return nil
	}
	if m.OpenAPI == "" {
		return fmt.Errorf("openapi_file %q: name the path to serve it at, too: `openapi /openapi.json <file>`", m.OpenAPIFile)
	}
	text, err := readBounded(m.OpenAPIFile, discovery.MaxOpenAPI)
	if err != nil {
		return fmt.Errorf("reading openapi_file: %w", err)
	}
	if m.base, err = discovery.ParseOpenAPI(text); err != nil {
		return fmt.Errorf("openapi_file %q: %w", m.OpenAPIFile, err)
	}
	return nil
}

// readBounded reads a file that must not be longer than limit.
func readBounded(name string, limit int64) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err // it names the file
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > limit {
		return nil, fmt.Errorf("%s is longer than %d bytes", name, limit)
	}
	return text, nil
}

// same compares settings.
func (m *Manifest) same(other *Manifest) bool {
	x, y := *m, *other
	x.app, x.base, y.app, y.base = nil, nil, nil, nil
	return x == y
}

// plain tells whether nothing is set.
func (m *Manifest) plain() bool { return m == nil || m.same(new(Manifest)) }

// path is where the manifest is; it knows the default of a nil Manifest, too.
func (m *Manifest) path() string {
	if m == nil || m.Path == "" {
		return discovery.ManifestPath
	}
	return m.Path
}

// guide is where the text is; it knows the default of a nil Manifest, too.
func (m *Manifest) guide() string {
	if m == nil || m.LLMs == "" {
		return discovery.TextPath
	}
	return m.LLMs
}

// ServeHTTP answers what is asked about things for sale.
func (m *Manifest) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if kind := askedFor(r, m.kind); kind != noDocument && m.app.describe(w, r, kind) {
		return nil
	}
	return next.ServeHTTP(w, r)
}

// document is a kind of description.
type document byte

const (
	noDocument document = iota
	manifestDocument
	servicesDocument
	openAPIDocument
	textDocument
)

// kind is the document at a path.
func (m *Manifest) kind(path string) document {
	switch {
	case path == "":
		return noDocument
	case path == m.Path:
		return manifestDocument
	case path == m.OpenAPI:
		return openAPIDocument
	case path == m.LLMs:
		return textDocument
	}
	return wellKnown(path)
}

// wellKnown is the document at a path without any settings.
func wellKnown(path string) document {
	switch path {
	case discovery.ManifestPath:
		return manifestDocument
	case discovery.ServicesPath:
		return servicesDocument
	case discovery.TextPath:
		return textDocument
	}
	return noDocument
}

// askedFor is the document that a request wants. The path counts as the client sent it, too: a site
// that rewrites all unknown paths to a page of its own has documents all the same.
func askedFor(r *http.Request, kind func(path string) document) document {
	if asked := kind(r.URL.Path); asked != noDocument {
		return asked
	}
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && original.URL != nil {
		return kind(original.URL.Path)
	}
	return noDocument
}

// describe answers with a document about the request's host. It returns false where there is none.
func (a *App) describe(w http.ResponseWriter, r *http.Request, kind document) bool {
	s := a.shopOf(r)
	if s == nil {
		return false
	}
	c := s.counter(r)
	if c == nil {
		return false
	}
	header := w.Header()
	header.Set("Access-Control-Allow-Origin", "*")
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodOptions:
		header.Set("Allow", "GET, HEAD, OPTIONS")
		header.Set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
		header.Set("Access-Control-Allow-Headers", "*")
		w.WriteHeader(http.StatusNoContent)
		return true
	default:
		header.Set("Allow", "GET, HEAD, OPTIONS")
		http.Error(w, "use GET", http.StatusMethodNotAllowed)
		return true
	}
	page, err := s.page(c, kind)
	if err != nil {
		a.logger.Error("what is for sale cannot be described: " + err.Error())
		http.Error(w, "what is for sale cannot be described", http.StatusInternalServerError)
		return true
	}
	header.Set("Content-Type", page.contentType)
	header.Set("Cache-Control", page.cacheControl)
	header.Set("Etag", page.etag)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Access-Control-Expose-Headers", "ETag")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(page.body))
	return true
}

// page is a document that is ready to be sent.
type page struct {
	body                            []byte
	contentType, etag, cacheControl string
}

func newPage(body []byte, kind document, maxAge time.Duration) *page {
	sum := sha256.Sum256(body)
	p := &page{
		body: body, contentType: "application/json", etag: `"` + hex.EncodeToString(sum[:12]) + `"`,
		cacheControl: fmt.Sprintf("public, max-age=%d", int64(maxAge/time.Second)),
	}
	if kind == textDocument {
		p.contentType = "text/plain; charset=utf-8"
	}
	return p
}

// Guards.
var (
	_ caddy.Module                = (*Manifest)(nil)
	_ caddy.Provisioner           = (*Manifest)(nil)
	_ caddyhttp.MiddlewareHandler = (*Manifest)(nil)
)
