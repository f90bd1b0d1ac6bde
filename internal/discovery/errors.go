package discovery

import "errors"

// ErrOpenAPI is wrapped by the errors about an operator's own OpenAPI document.
var ErrOpenAPI = errors.New("bad OpenAPI document")
