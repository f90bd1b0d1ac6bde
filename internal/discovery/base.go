package discovery

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"
)

// MaxOpenAPI is the greatest size of an operator's OpenAPI document, in bytes.
const MaxOpenAPI = 4 << 20

// OpenAPI is an operator's own OpenAPI document. It is not changed after ParseOpenAPI.
type OpenAPI struct{ text []byte }

// ParseOpenAPI reads a document in JSON, version 3.0 or 3.1. Its errors wrap ErrOpenAPI.
func ParseOpenAPI(text []byte) (*OpenAPI, error) {
	if len(text) > MaxOpenAPI {
		return nil, fmt.Errorf("%w: it is longer than %d bytes", ErrOpenAPI, MaxOpenAPI)
	}
	doc := &OpenAPI{bytes.Clone(text)}
	root, err := doc.decode()
	if err != nil {
		return nil, fmt.Errorf("%w: %w; YAML must be converted to JSON", ErrOpenAPI, err)
	}
	number, _ := root["openapi"].(string)
	if !strings.HasPrefix(number, "3.1.") && !strings.HasPrefix(number, "3.0.") {
		return nil, fmt.Errorf(`%w: the member "openapi" is %.40q: use version 3.1 or 3.0`, ErrOpenAPI, number)
	}
	for _, name := range []string{"info", "paths", "components"} {
		if _, ok := root[name].(object); root[name] != nil && !ok {
			return nil, fmt.Errorf("%w: the member %q is no object", ErrOpenAPI, name)
		}
	}
	for path, item := range child(root, "paths") {
		if _, ok := item.(object); !ok || !strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "x-") {
			return nil, fmt.Errorf("%w: the path %.80q must begin with a slash and be an object", ErrOpenAPI, path)
		}
	}
	return doc, nil
}

// object is an object of JSON.
type object = map[string]any

// decode gives a copy that may be changed. Numbers stay as they were written.
func (o *OpenAPI) decode() (object, error) {
	decoder := json.NewDecoder(bytes.NewReader(o.text))
	decoder.UseNumber()
	var root object
	if err := decoder.Decode(&root); err != nil {
		return nil, fmt.Errorf("reading JSON: %w", err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, fmt.Errorf("reading JSON: there is more behind the document")
	}
	if root == nil {
		return nil, fmt.Errorf("reading JSON: there is no object")
	}
	return root, nil
}

// child is a member that is an object, or nil, which can be read and ranged over.
func child(parent object, name string) object {
	member, _ := parent[name].(object)
	return member
}

// ensure is child that makes the object where there is none.
func ensure(parent object, name string) object {
	member, ok := parent[name].(object)
	if !ok {
		member = object{}
		parent[name] = member
	}
	return member
}

// basePath is the path that a document's paths are relative to, without a final slash: that of its
// first server.
func basePath(root object) string {
	servers, _ := root["servers"].([]any)
	if len(servers) == 0 {
		return ""
	}
	first, _ := servers[0].(object)
	text, _ := first["url"].(string)
	address, err := url.Parse(text)
	if err != nil {
		return "" // one with variables, such as {scheme}://example.com
	}
	return strings.TrimSuffix(address.Path, "/")
}
