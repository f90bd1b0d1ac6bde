package pricer

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, c Config) *Program {
	t.Helper()
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Destruct(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func question(path string) Question {
	return Question{Service: "s", Method: "GET", Host: "h", Path: path}
}

// overHTTPDouble is a price program: the path decides what it says.
func overHTTPDouble(t *testing.T, asked *atomic.Int64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		var q map[string]any
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil || r.Method != "POST" || q["method"] != "GET" || q["host"] != "h" {
			t.Errorf("asked with %s %v, %v", r.Method, q, err)
		}
		switch q["path"] {
		case "/sat":
			_, _ = io.WriteString(w, `{"price":"10 sat"}`)
		case "/usd":
			_, _ = io.WriteString(w, `{"price":"0.02 usd"}`)
		case "/free":
			_, _ = io.WriteString(w, `{"price":"0 sat"}`)
		case "/words":
			_, _ = io.WriteString(w, `{"price":"ten"}`)
		case "/large":
			_, _ = io.WriteString(w, `{"price":"10 sat","x":"`+strings.Repeat("x", maxAnswer)+`"}`)
		case "/secret":
			_, _ = io.WriteString(w, `{"price":"`+strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer s3cret-")+` sat"}`)
		case "/moved":
			http.Redirect(w, r, "/sat", http.StatusTemporaryRedirect)
		case "/hangs":
			<-r.Context().Done()
		default:
			http.Error(w, "no idea", http.StatusNotFound)
		}
	})
}

func TestOverHTTP(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(overHTTPDouble(t, &asked))
	defer server.Close()
	p := open(t, Config{Kind: HTTP, Address: server.URL, Secret: "s3cret-7", Timeout: time.Minute})
	calls := make(map[bool]int)
	p.Called = func(_ time.Duration, err error) { calls[err == nil]++ }
	for path, want := range map[string]string{"/sat": "10 sat", "/usd": "0.02 USD", "/secret": "7 sat"} {
		if got, err := p.Price(t.Context(), question(path)); err != nil || got.String() != want {
			t.Errorf("%s: got %s, %v", path, got, err)
		}
	}
	for path, want := range map[string]error{"/words": ErrAnswer, "/free": ErrFree, "/large": nil, "/moved": nil, "/nothing": nil} {
		got, err := p.Price(t.Context(), question(path))
		if !errors.Is(err, ErrNoPrice) || want != nil && !errors.Is(err, want) || got.String() != "" {
			t.Errorf("%s: got %s, %v", path, got, err)
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: the secret shows: %v", path, err)
		}
	}
	if calls[true] != 4 || calls[false] != 4 {
		t.Errorf("told of %v", calls)
	}
}

func TestDeadlines(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(overHTTPDouble(t, &asked))
	defer server.Close()
	p := open(t, Config{Kind: HTTP, Address: server.URL, Timeout: 20 * time.Millisecond})
	if _, err := p.Price(t.Context(), question("/hangs")); !errors.Is(err, ErrNoPrice) || !strings.Contains(err.Error(), "no answer within 20ms") {
		t.Errorf("got %v", err)
	}
	p = open(t, Config{Kind: HTTP, Address: server.URL, Timeout: time.Minute})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Price(ctx, question("/hangs")); !errors.Is(err, ErrNoPrice) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := p.Destruct(); err != nil { // ends the question that nobody waits for
		t.Error(err)
	}
	if _, err := p.Price(t.Context(), question("/sat")); !errors.Is(err, ErrNoPrice) || !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

// held is a program that answers when it is told to.
type held struct {
	asked   atomic.Int64
	release chan struct{}
}

func (h *held) ask(ctx context.Context, _ Question) (Price, error) {
	h.asked.Add(1)
	select {
	case <-h.release:
		return Price{Msat: 1000}, nil
	case <-ctx.Done():
		return Price{}, ctx.Err()
	}
}

func (h *held) close() error { return nil }

func TestOneQuestionForAll(t *testing.T) {
	h := &held{release: make(chan struct{})}
	p := open(t, Config{Kind: HTTP, Address: "http://localhost/"})
	p.asker = h
	var all sync.WaitGroup
	gone, cancel := context.WithCancel(t.Context())
	all.Go(func() { _, _ = p.Price(gone, question("/a")) })
	for h.asked.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel() // the first to ask goes away, and the others get the answer all the same
	started := make(chan struct{}, 20)
	for range 20 {
		all.Go(func() {
			started <- struct{}{}
			if got, err := p.Price(t.Context(), question("/a")); err != nil || got.Msat != 1000 {
				t.Errorf("got %s, %v", got, err)
			}
		})
	}
	for range 20 {
		<-started
	}
	close(h.release)
	all.Wait()
	// Those who came after the answer ask anew, all the others did not.
	if n := h.asked.Load(); n > 20 {
		t.Errorf("%d questions", n)
	}
}

func TestTooManyQuestions(t *testing.T) {
	h := &held{release: make(chan struct{})}
	p := open(t, Config{Kind: HTTP, Address: "http://localhost/", Timeout: time.Minute})
	p.asker = h
	var all sync.WaitGroup
	for i := range maxAsking {
		all.Go(func() {
			if _, err := p.Price(t.Context(), question("/"+string(rune('a'+i)))); err != nil {
				t.Error(err)
			}
		})
	}
	for h.asked.Load() < maxAsking {
		time.Sleep(time.Millisecond)
	}
	if _, err := p.Price(t.Context(), question("/one more")); !errors.Is(err, ErrBusy) || !errors.Is(err, ErrNoPrice) {
		t.Errorf("got %v", err)
	}
	close(h.release)
	all.Wait()
}

func TestKeep(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(overHTTPDouble(t, &asked))
	defer server.Close()
	now := time.Unix(1_800_000_000, 0)
	p := open(t, Config{Kind: HTTP, Address: server.URL, Keep: time.Minute, Timeout: time.Minute})
	p.Now = func() time.Time { return now }
	price := func(path string, questions int64) {
		t.Helper()
		asked.Store(0)
		_, _ = p.Price(t.Context(), question(path))
		if n := asked.Load(); n != questions {
			t.Errorf("%s: %d questions, want %d", path, n, questions)
		}
	}
	price("/sat", 1)
	price("/sat", 0)
	price("/usd", 1)
	now = now.Add(time.Minute)
	price("/sat", 1)
	price("/words", 1)
	price("/words", 1) // errors are not kept
	price("/free", 1)
	price("/free", 1)
	p = open(t, Config{Kind: HTTP, Address: server.URL, Timeout: time.Minute})
	price("/sat", 1)
	price("/sat", 1)
	p = open(t, Config{Kind: HTTP, Address: "http://localhost/", Keep: time.Hour})
	h := &held{release: make(chan struct{})}
	close(h.release)
	p.asker = h
	for i := range maxKept + 100 {
		_, _ = p.Price(t.Context(), question("/"+strings.Repeat("x", i%50)+string(rune(i))))
	}
	if n := p.kept.Len(); n != maxKept {
		t.Errorf("%d answers are kept", n)
	}
}

func TestHTTPS(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewTLSServer(overHTTPDouble(t, &asked))
	defer server.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	write(t, ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	if _, err := open(t, Config{Kind: HTTP, Address: server.URL, CA: ca}).Price(t.Context(), question("/sat")); err != nil {
		t.Error(err)
	}
	if _, err := open(t, Config{Kind: HTTP, Address: server.URL}).Price(t.Context(), question("/sat")); !errors.Is(err, ErrNoPrice) {
		t.Errorf("an unknown certificate was believed: %v", err)
	}
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// raw passes messages as they are on the wire, so that the double reads Aperture's field numbers by
// itself and not with this package's stubs.
type raw struct{}

func (raw) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (raw) Unmarshal(b []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), b...)
	return nil
}
func (raw) Name() string { return "proto" }

var _ encoding.Codec = raw{}

// aperturePrices is a price service as Aperture's users write one, by the field numbers of its
// prices.proto: 1 path, 2 http_request_text; 1 price_sats.
func aperturePrices(t *testing.T, prices map[string]int64, opts ...grpc.ServerOption) string {
	t.Helper()
	server := grpc.NewServer(append(opts, grpc.ForceServerCodec(raw{}))...)
	getPrice := func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		var in []byte
		if err := decode(&in); err != nil {
			return nil, err
		}
		fields := make(map[protowire.Number]string)
		for len(in) > 0 {
			number, kind, n := protowire.ConsumeTag(in)
			value, m := protowire.ConsumeBytes(in[n:])
			if kind != protowire.BytesType || m < 0 {
				return nil, status.Error(codes.InvalidArgument, "what is this?")
			}
			fields[number], in = string(value), in[n+m:]
		}
		md, _ := metadata.FromIncomingContext(ctx)
		if fields[1] == "/hangs" {
			<-ctx.Done()
			return nil, status.FromContextError(ctx.Err()).Err()
		}
		sats, known := prices[fields[1]]
		switch {
		case !known:
			return nil, status.Error(codes.NotFound, "no price for "+fields[1])
		case !strings.HasPrefix(fields[2], "GET "+fields[1]+" HTTP/1.1\r\nHost: h\r\n"):
			return nil, status.Error(codes.InvalidArgument, fields[2])
		case fields[1] == "/secret" && strings.Join(md.Get("authorization"), "") != "Bearer s3cret":
			return nil, status.Error(codes.Unauthenticated, "who?")
		}
		out := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(sats))
		return &out, nil
	}
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "pricesrpc.Prices", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "GetPrice", Handler: getPrice}},
	}, nil)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }() // ends with Stop
	t.Cleanup(func() { server.Stop(); <-done })
	return listener.Addr().String()
}

func TestOverGRPC(t *testing.T) {
	address := aperturePrices(t, map[string]int64{"/ten": 10, "/free": 0, "/minus": -5, "/secret": 3, "/hangs": 1})
	p := open(t, Config{Kind: GRPC, Address: address, Insecure: true, Secret: "s3cret", Timeout: time.Minute})
	for path, want := range map[string]string{"/ten": "10 sat", "/secret": "3 sat"} {
		if got, err := p.Price(t.Context(), question(path)); err != nil || got.String() != want {
			t.Errorf("%s: got %s, %v", path, got, err)
		}
	}
	for path, want := range map[string]error{"/free": ErrFree, "/minus": ErrAnswer, "/unknown-7": ErrAnswer} {
		_, err := p.Price(t.Context(), question(path))
		if !errors.Is(err, ErrNoPrice) || !errors.Is(err, want) {
			t.Errorf("%s: got %v", path, err)
		}
		if err != nil && strings.Contains(err.Error(), "unknown-7") {
			t.Errorf("the program's words show: %v", err)
		}
	}
	quick := open(t, Config{Kind: GRPC, Address: address, Insecure: true, Timeout: 50 * time.Millisecond})
	if _, err := quick.Price(t.Context(), question("/hangs")); !errors.Is(err, ErrNoPrice) || !strings.Contains(err.Error(), "no answer within") {
		t.Errorf("got %v", err)
	}
	if err := p.Destruct(); err != nil {
		t.Error(err)
	}
	if _, err := p.Price(t.Context(), question("/ten")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestGRPCTLS(t *testing.T) {
	certs := httptest.NewTLSServer(http.NotFoundHandler()) // for its certificate
	defer certs.Close()
	address := aperturePrices(t, map[string]int64{"/ten": 10}, grpc.Creds(credentials.NewServerTLSFromCert(&certs.TLS.Certificates[0])))
	ca := filepath.Join(t.TempDir(), "ca.pem")
	write(t, ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certs.Certificate().Raw}))
	if got, err := open(t, Config{Kind: GRPC, Address: address, CA: ca, Timeout: time.Minute}).Price(t.Context(), question("/ten")); err != nil || got.Msat != 10_000 {
		t.Errorf("got %s, %v", got, err)
	}
	if _, err := open(t, Config{Kind: GRPC, Address: address, Timeout: time.Minute}).Price(t.Context(), question("/ten")); !errors.Is(err, ErrNoPrice) ||
		!strings.Contains(err.Error(), "set ca") {
		t.Errorf("an unknown certificate was believed: %v", err)
	}
}

func TestConfigCheck(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.pem")
	write(t, empty, nil)
	for _, tt := range []struct {
		name string
		Config
		want string
	}{
		{"https", Config{Kind: HTTP, Address: "https://prices.example/v1?key=s3cret"}, ""},
		{"near", Config{Kind: HTTP, Address: "http://prices:8080/"}, ""},
		{"plain but allowed", Config{Kind: HTTP, Address: "http://prices.example/", Insecure: true}, ""},
		{"grpc", Config{Kind: GRPC, Address: "prices.example:443"}, ""},
		{"socket", Config{Kind: GRPC, Address: "unix:/run/prices.sock"}, ""},
		{"kind", Config{Kind: "soap", Address: "https://x/"}, "neither http nor grpc"},
		{"no address", Config{Kind: HTTP}, "begin with http"},
		{"plain", Config{Kind: HTTP, Address: "http://prices.example/s3cret"}, "over http://"},
		{"password", Config{Kind: HTTP, Address: "https://a:s3cret@prices.example/"}, "user name"},
		{"secure and insecure", Config{Kind: HTTP, Address: "https://prices.example/", Insecure: true}, "insecure is for"},
		{"ca for plain", Config{Kind: HTTP, Address: "http://localhost/", CA: "a"}, "ca is for"},
		{"ca and insecure", Config{Kind: GRPC, Address: "a:1", CA: "a", Insecure: true}, "contradict"},
		{"no port", Config{Kind: GRPC, Address: "prices.example"}, "host:port"},
		{"url for grpc", Config{Kind: GRPC, Address: "https://prices.example:1"}, "host:port"},
		{"no socket", Config{Kind: GRPC, Address: "unix:"}, "no socket"},
		{"timeout", Config{Kind: GRPC, Address: "a:1", Timeout: time.Hour}, "timeout"},
		{"negative timeout", Config{Kind: GRPC, Address: "a:1", Timeout: -1}, "timeout"},
		{"cache", Config{Kind: GRPC, Address: "a:1", Keep: 25 * time.Hour}, "cache"},
		{"secret", Config{Kind: GRPC, Address: "a:1", Secret: "s3cret\n"}, "not ASCII"},
		{"missing ca", Config{Kind: GRPC, Address: "a:1", CA: filepath.Join(dir, "none")}, "reading ca"},
		{"folder as ca", Config{Kind: GRPC, Address: "a:1", CA: dir}, "regular file"},
		{"empty ca", Config{Kind: GRPC, Address: "a:1", CA: empty}, "no certificate"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := New(tt.Config)
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				_ = p.Destruct()
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestID(t *testing.T) {
	ca := filepath.Join(t.TempDir(), "ca.pem")
	write(t, ca, []byte("one"))
	c := Config{Kind: GRPC, Address: "a:1", CA: ca}
	before := c.ID()
	if before != c.ID() {
		t.Error("an id changes by itself")
	}
	write(t, ca, []byte("two"))
	if before == c.ID() {
		t.Error("a renewed certificate is not noticed")
	}
	other := c
	other.Secret = "s3cret"
	if other.ID() == c.ID() || strings.Contains(other.ID(), "s3cret") {
		t.Error("ids do not tell secrets apart, or show them")
	}
}

func FuzzConfigCheck(f *testing.F) {
	f.Add(HTTP, "https://x/")
	f.Add(GRPC, "unix:/a")
	f.Fuzz(func(t *testing.T, kind, address string) {
		p, err := New(Config{Kind: kind, Address: address})
		if err == nil {
			_ = p.Destruct()
		}
	})
}
