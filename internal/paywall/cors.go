package paywall

import (
	"net/http"
	"strings"
)

// exposed are the answer headers that a script in a browser needs in order to pay.
const exposed = "WWW-Authenticate, X-Cashu, Payment-Receipt, Retry-After, Link"

// CORS lets scripts of any origin read an answer of the gate. There is nothing in it that
// depends on cookies, so the wildcard is safe; an origin that an outer handler chose stays.
func CORS(h http.Header, r *http.Request) {
	if r.Header.Get("Origin") == "" {
		return
	}
	if h.Get("Access-Control-Allow-Origin") == "" {
		h.Set("Access-Control-Allow-Origin", "*")
	}
	h.Add("Access-Control-Expose-Headers", exposed)
}

// Expose lets scripts of other origins read these headers of an answer.
func Expose(h http.Header, r *http.Request, names ...string) {
	if r.Header.Get("Origin") != "" {
		h.Add("Access-Control-Expose-Headers", strings.Join(names, ", "))
	}
}

// IsPreflight tells whether the request is a CORS preflight (the Fetch standard): it asks for
// permission, carries no credential and must be answered without a payment.
func IsPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions &&
		r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}

// PreflightWriter lets an upstream answer a preflight without giving anything away: of its
// answer only the headers that preflights are about get through, since many upstreams answer
// OPTIONS as they answer GET. Where it does not allow the request, the answer is ours and allows
// it.
type PreflightWriter struct {
	http.ResponseWriter
	r      *http.Request
	before http.Header // what others had set before the upstream
	wrote  bool
}

// NewPreflightWriter wraps the writer of a preflight's answer.
func NewPreflightWriter(w http.ResponseWriter, r *http.Request) *PreflightWriter {
	return &PreflightWriter{ResponseWriter: w, r: r, before: w.Header().Clone()}
}

// WriteHeader implements http.ResponseWriter.
func (w *PreflightWriter) WriteHeader(status int) {
	if w.wrote || status < 200 {
		return
	}
	w.wrote = true
	h := w.Header()
	for name := range h {
		if name == "Vary" || name == "Allow" || strings.HasPrefix(name, "Access-Control-") {
			continue
		}
		if values, ok := w.before[name]; ok {
			h[name] = values
		} else {
			delete(h, name)
		}
	}
	if status >= 300 || h.Get("Access-Control-Allow-Origin") == "" {
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Access-Control-Allow-Methods", w.r.Header.Get("Access-Control-Request-Method"))
		if asked := w.r.Header.Get("Access-Control-Request-Headers"); asked != "" {
			h.Set("Access-Control-Allow-Headers", asked)
		}
		h.Set("Access-Control-Max-Age", "600")
		h.Add("Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
	} else {
		allowPaying(h, w.r)
	}
	w.ResponseWriter.WriteHeader(http.StatusNoContent)
}

// paying are the request headers of the Payment scheme, of which an upstream need know nothing. They
// end at the gate.
var paying = []string{"Accept-Payment", "Payment-Authorization"}

// allowPaying adds those that the preflight asks for to what the upstream allows.
func allowPaying(h http.Header, r *http.Request) {
	asked := strings.Join(r.Header["Access-Control-Request-Headers"], ",")
	allowed := strings.Join(h["Access-Control-Allow-Headers"], ",")
	for _, name := range paying {
		if listed(asked, name) && !listed(allowed, name) {
			h.Add("Access-Control-Allow-Headers", name)
		}
	}
}

// listed tells whether a name stands in a list of header names.
func listed(list, name string) bool {
	for item := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.Trim(item, " \t"), name) {
			return true
		}
	}
	return false
}

// Write drops the body: whatever the upstream says beside its headers was not paid for.
func (w *PreflightWriter) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return len(b), nil
}

// Finish answers where the upstream did not.
func (w *PreflightWriter) Finish() { w.WriteHeader(http.StatusNotFound) }
