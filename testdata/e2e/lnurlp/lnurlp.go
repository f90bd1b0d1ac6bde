// Package lnurlp is a server of Lightning addresses on top of LND for tests, written from LUD-06,
// LUD-16 and LUD-21: the pay request, its callback, and the address that tells whether an invoice
// was paid.
package lnurlp

import (
	"crypto/sha256"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/lightning"
)

// Server serves the address shop@Host over https.
type Server struct {
	// Host is the host and port behind the @.
	Host string
	// Certificate is what the server shows, in PEM.
	Certificate []byte

	node     *lightning.Node
	base     string
	verified atomic.Int64
}

const metadata = `[["text/identifier","shop"],["text/plain","the shop of a test"]]`

// The amounts that the server takes, in millisatoshi.
const minSendable, maxSendable = 1_000, 100_000

// Start runs a server that is paid at node, until the test ends.
func Start(t testing.TB, node *lightning.Node) *Server {
	t.Helper()
	s := &Server{node: node}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/lnurlp/shop", s.payRequest)
	mux.HandleFunc("GET /callback", s.callback)
	mux.HandleFunc("GET /verify/{hash}", s.verify)
	ts := httptest.NewTLSServer(mux)
	t.Cleanup(ts.Close)
	s.base, s.Host = ts.URL, strings.TrimPrefix(ts.URL, "https://")
	s.Certificate = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ts.Certificate().Raw})
	return s
}

// Verified counts how often somebody asked whether an invoice was paid.
func (s *Server) Verified() int64 { return s.verified.Load() }

func (s *Server) payRequest(w http.ResponseWriter, _ *http.Request) {
	answer(w, map[string]any{
		"tag": "payRequest", "callback": s.base + "/callback?of=shop",
		"minSendable": minSendable, "maxSendable": maxSendable, "metadata": metadata,
	})
}

func (s *Server) callback(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	msat, err := strconv.ParseInt(query.Get("amount"), 10, 64)
	if err != nil || msat < minSendable || msat > maxSendable || query.Get("of") != "shop" {
		refuse(w, fmt.Sprintf("not a call of this payee over a permitted amount: %s", r.URL.RawQuery))
		return
	}
	request, hash, err := s.node.AddInvoiceFor(r.Context(), msat, sha256.Sum256([]byte(metadata)))
	if err != nil {
		refuse(w, err.Error())
		return
	}
	answer(w, map[string]any{"pr": request, "routes": []any{}, "verify": s.base + "/verify/" + hash})
}

func (s *Server) verify(w http.ResponseWriter, r *http.Request) {
	s.verified.Add(1)
	invoice, err := s.node.LookUp(r.Context(), r.PathValue("hash"))
	if err != nil {
		refuse(w, "Not found")
		return
	}
	// The preimage is left out, as LUD-21 allows.
	answer(w, map[string]any{
		"status": "OK", "settled": invoice.State == "SETTLED", "preimage": nil, "pr": invoice.Request,
	})
}

func refuse(w http.ResponseWriter, reason string) {
	answer(w, map[string]any{"status": "ERROR", "reason": reason})
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}
