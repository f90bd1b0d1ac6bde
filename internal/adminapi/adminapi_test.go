package adminapi

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCall(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Say string }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		// Caddy refuses a request whose Origin or Host is not its own.
		if origin := r.Header.Get("Origin"); origin != "" && origin != "http://"+r.Host {
			t.Errorf("origin %q for host %q", origin, r.Host)
		}
		if r.Header.Get("Content-Type") != "application/json" || r.Method != "POST" || r.URL.Path != "/l402/echo" {
			t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"said": in.Say + "!"})
	})
	tcp := httptest.NewServer(handler)
	defer tcp.Close()
	socket := filepath.Join(t.TempDir(), "admin.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	unix := &http.Server{Handler: handler}
	go unix.Serve(listener) // owned by the test; ends with Close
	defer unix.Close()

	host := strings.TrimPrefix(tcp.URL, "http://")
	for _, address := range []string{host, tcp.URL, tcp.URL + "/", "tcp/" + host, "unix/" + socket, "unix/" + socket + "|0222"} {
		var out struct{ Said string }
		err := (&Client{Address: address}).Call(t.Context(), "POST", "/l402/echo", map[string]string{"say": "hi"}, &out)
		if err != nil || out.Said != "hi!" {
			t.Errorf("%s: %q, %v", address, out.Said, err)
		}
	}
}

func TestErrors(t *testing.T) {
	var serve http.HandlerFunc
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { serve(w, r) }))
	defer server.Close()
	client := &Client{Address: server.URL}
	for name, test := range map[string]struct {
		serve http.HandlerFunc
		want  string
	}{
		"Caddy's own": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(404)
			_, _ = w.Write([]byte(`{"error":"no l402\u001b[31m app"}`))
		}, "no l402 [31m app (status 404)"},
		"without text": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, "status 500"},
		"no JSON": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`<html>`))
		}, "not the JSON that was expected"},
		"too much": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`"` + strings.Repeat("a", DefaultMaxAnswer) + `"`))
		}, "more than"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://elsewhere.test/", http.StatusFound)
		}, "status 302"},
	} {
		t.Run(name, func(t *testing.T) {
			serve = test.serve
			var out any
			err := client.Call(t.Context(), "GET", "/", nil, &out)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), server.URL) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
	t.Run("hanging", func(t *testing.T) {
		release := make(chan struct{})
		serve = func(http.ResponseWriter, *http.Request) { <-release }
		defer close(release)
		hasty := &Client{Address: server.URL, Timeout: 30 * time.Millisecond}
		if err := hasty.Call(t.Context(), "GET", "/", nil, nil); !errors.Is(err, ErrUnreachable) {
			t.Errorf("got %v", err)
		}
	})
}

func TestAddresses(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	if err := (&Client{Address: closed.Addr().String()}).Call(t.Context(), "GET", "/", nil, nil); !errors.Is(err, ErrUnreachable) {
		t.Errorf("nobody there: %v", err)
	}
	for _, bad := range []string{"localhost:1-2", "fd/3", "https://localhost:2019", "local host:2019", "localhost:99999"} {
		err := (&Client{Address: bad}).Call(t.Context(), "GET", "/", nil, nil)
		if err == nil || !strings.Contains(err.Error(), "neither host:port") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
