package mints

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/lightning"
)

// bridge stands between a mint and LND. The mint pays by an RPC that LND 0.21 has no more; the
// bridge makes such payments in the present way, and hands on everything else.
type bridge struct {
	node *lightning.Node
	addr string
	cert string // the file with its certificate
}

// oldPay is the RPC that is gone.
const oldPay = "/lnrpc.Lightning/SendPaymentSync"

func startBridge(t testing.TB, node *lightning.Node, dir string) *bridge {
	t.Helper()
	raw, err := os.ReadFile(node.CertFile())
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(raw) {
		t.Fatal("LND's certificate cannot be read")
	}
	b := &bridge{node: node, cert: filepath.Join(dir, "bridge.pem")}
	on := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "https", Host: node.Addr()})
	on.FlushInterval = -1
	on.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	mux := http.NewServeMux()
	mux.Handle("/", on)
	mux.HandleFunc("POST "+oldPay, b.pay)
	server := httptest.NewUnstartedServer(mux)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	b.addr = server.Listener.Addr().String()
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(b.cert, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return b
}

// pay answers SendPaymentSync: of the request only the invoice counts.
func (b *bridge) pay(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/grpc")
	w.Header().Set("Trailer", "Grpc-Status, Grpc-Message")
	answer, err := b.send(r)
	if err != nil {
		w.Header().Set("Grpc-Status", "2")
		w.Header().Set("Grpc-Message", url.PathEscape(err.Error()))
		return
	}
	frame := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(answer)))
	_, _ = w.Write(append(frame, answer...)) // the mint may have been killed
	w.Header().Set("Grpc-Status", "0")
}

func (b *bridge) send(r *http.Request) (answer []byte, err error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 64<<10))
	if err != nil {
		return nil, err
	}
	if len(body) < 5 || body[0] != 0 {
		return nil, errors.New("the call is no plain message")
	}
	const invoiceField, errorField, preimageField = 6, 1, 2
	invoice, err := textField(body[5:], invoiceField)
	if err != nil {
		return nil, err
	}
	preimage, err := b.node.Pay(r.Context(), invoice)
	if err != nil {
		return appendField(nil, errorField, []byte(err.Error())), nil
	}
	raw, err := hex.DecodeString(preimage)
	return appendField(nil, preimageField, raw), err
}

// textField finds a field of a message of protocol buffers.
func textField(message []byte, number uint64) (string, error) {
	for len(message) > 0 {
		tag, n := binary.Uvarint(message)
		if n <= 0 || tag&7 != 0 && tag&7 != 2 {
			break
		}
		message = message[n:]
		value, n := binary.Uvarint(message)
		if n <= 0 {
			break
		}
		message = message[n:]
		if tag&7 == 0 {
			continue
		}
		if value > uint64(len(message)) {
			break
		}
		if tag>>3 == number {
			return string(message[:value]), nil
		}
		message = message[value:]
	}
	return "", errors.New("the call names no invoice")
}

func appendField(message []byte, number uint64, value []byte) []byte {
	message = binary.AppendUvarint(message, number<<3|2)
	message = binary.AppendUvarint(message, uint64(len(value)))
	return append(message, value...)
}
