package caddyl402

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddy-l402/caddy-l402/wallets/cashu/minttest"
)

const mib = 1 << 20

// fileSite sells the files of a folder by size.
func fileSite(t *testing.T, options string) (site, dir string) {
	t.Helper()
	dir = t.TempDir()
	return "root * " + dir + "\nl402 /nar/* 1 sat {\n\tper MiB 2 sat\n\tlimit off\n\t" + options + "\n}\nfile_server", dir
}

// put writes a file of a size.
func put(t *testing.T, dir, name string, size int) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "nar"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "nar", name), []byte(strings.Repeat("x", size)), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestPriceBySizeOfFiles(t *testing.T) {
	site, dir := fileSite(t, "")
	s := serve(t, "wallet play sandbox", site)
	for name, size := range map[string]int{"empty": 0, "small": 1, "one": mib, "more": mib + 1, "big": 5*mib + 1} {
		put(t, dir, name, size)
	}
	for name, sats := range map[string]uint64{"empty": 3, "small": 3, "one": 3, "more": 5, "big": 13} {
		s.wantPrice(sats, "GET", "/nar/"+name)
		s.wantPrice(sats, "HEAD", "/nar/"+name)
	}
	// No header makes it cheaper.
	for _, headers := range [][]string{
		{"Range", "bytes=0-0"}, {"Accept-Encoding", "gzip, zstd, br"}, {"If-None-Match", "*"}, {"If-Modified-Since", "Fri, 20 Nov 2026 00:00:00 GMT"},
		{"Content-Length", "1"}, {"X-HTTP-Method-Override", "OPTIONS"}, {"If-Range", "x", "Range", "bytes=5-"}, {"Upgrade", "websocket", "Connection", "upgrade"},
	} {
		s.wantPrice(13, "GET", "/nar/big", headers...)
	}
	s.wantNoPrice(http.StatusNotFound, codeNothing, "GET", "/nar/none")

	small, big := s.buy("/nar/small").authorization(), s.buy("/nar/big").authorization()
	if a := s.want(200, "GET", "/nar/big", "Authorization", big); len(a.body) != 5*mib+1 {
		t.Errorf("got %d bytes", len(a.body))
	}
	if a := s.want(206, "GET", "/nar/big", "Authorization", big, "Range", "bytes=5-9"); len(a.body) != 5 {
		t.Errorf("got %d bytes of a range", len(a.body))
	}
	if a := s.want(200, "GET", "/nar/big", "Authorization", big, "Range", "bytes=5-9,20-29"); len(a.body) != 5*mib+1 {
		t.Errorf("got %d bytes for several ranges", len(a.body))
	}
	s.want(200, "HEAD", "/nar/big", "Authorization", big)
	for _, path := range []string{"/nar/big", "/nar/more", "/nar/one", "/nar/./big", "/nar/small?x=1", "/nar//small", "/nar/%73mall", "/NAR/small"} {
		if a := s.do("GET", path, "Authorization", small); a.StatusCode == 200 || strings.Contains(a.body, strings.Repeat("x", 64)) {
			t.Errorf("%s opens with another file's token: %d", path, a.StatusCode)
		}
	}
	s.want(200, "GET", "/nar/small", "Authorization", small)
	s.want(402, "GET", "/nar/small", "Authorization", small, "Host", "other.test")
	s.want(402, "POST", "/nar/small", "Authorization", small)
}

// TestGrownFilesAreSoldAnew grows a file behind a token, also while requests are under way.
func TestGrownFilesAreSoldAnew(t *testing.T) {
	site, dir := fileSite(t, "")
	s := serve(t, "wallet play sandbox", site)
	put(t, dir, "f", mib/2)
	token := s.buy("/nar/f").authorization()
	s.want(200, "GET", "/nar/f", "Authorization", token)
	put(t, dir, "f", mib) // still what was sold
	s.want(200, "GET", "/nar/f", "Authorization", token)
	put(t, dir, "f", 3*mib)
	a := s.wantCode("wrong_request", "/nar/f", "Authorization", token)
	if a.Header.Get("Content-Range") != "" || a.Header.Get("Etag") != "" || a.Header.Get("Accept-Ranges") != "" || a.Header.Get("X-L402-Valid-Until") != "" {
		t.Errorf("headers of the answer that was withheld: %v", a.Header)
	}
	s.wantPrice(7, "GET", "/nar/f", "Authorization", token)
	s.wantCode("wrong_request", "/nar/f", "Authorization", token, "Range", "bytes=0-9")
	s.wantCode("wrong_request", "/nar/f", "Authorization", token, "Range", "bytes=0-9,20-29")

	var wg sync.WaitGroup
	for range 4 {
		wg.Add(1)
		go func() { // ends with the test, which waits for it
			defer wg.Done()
			for i := range 10 {
				if a := s.do("GET", "/nar/f", "Authorization", token); a.StatusCode == 200 && len(a.body) > mib+mib/64+4096 {
					t.Errorf("request %d got %d bytes for the price of one MiB", i, len(a.body))
				}
			}
		}()
	}
	wg.Wait()
}

func TestPriceBySizeWithinBounds(t *testing.T) {
	site, dir := fileSite(t, "min 4 sat\n\tmax 9 sat")
	s := serve(t, "wallet play sandbox", site)
	put(t, dir, "small", 1)
	put(t, dir, "mid", 3*mib)
	put(t, dir, "big", 20*mib)
	s.wantPrice(4, "GET", "/nar/small")
	s.wantPrice(7, "GET", "/nar/mid")
	s.wantPrice(9, "GET", "/nar/big")
	token := s.buy("/nar/big").authorization()
	put(t, dir, "big", 21*mib) // the most buys any size
	s.want(200, "GET", "/nar/big", "Authorization", token)
	for path, want := range map[string]string{
		"/.well-known/l402.json": `"max_price_msat": 9000`, "/.well-known/l402-services": `"min_amount_msat": 4000`,
	} {
		if a := s.want(200, "GET", path); !strings.Contains(a.body, want) {
			t.Errorf("%s lacks %s: %s", path, want, a.body)
		}
	}
}

// TestPricePerMiBChanges reloads with a dearer price: what was sold stays good for its size.
func TestPricePerMiBChanges(t *testing.T) {
	site, dir := fileSite(t, "")
	s := serve(t, "wallet play fake per", site)
	put(t, dir, "f", 2*mib)
	token := s.buy("/nar/f").authorization()
	s.reload(s.config("wallet play fake per", strings.Replace(site, "per MiB 2 sat", "per KiB 200 sat", 1)))
	s.wantPrice(1+200*2048, "GET", "/nar/f")
	s.want(200, "GET", "/nar/f", "Authorization", token)
	// The same route at one price takes no token for a size, and a route by size no token without.
	fixed := strings.Replace(site, "per MiB 2 sat", "memo x", 1)
	s.reload(s.config("wallet play fake per", fixed))
	s.wantCode("wrong_request", "/nar/f", "Authorization", token)
	plain := s.buy("/nar/f").authorization()
	s.reload(s.config("wallet play fake per", site))
	s.wantCode("wrong_request", "/nar/f", "Authorization", plain)
}

// sizeBackend is an upstream that counts what it is asked.
type sizeBackend struct {
	*httptest.Server
	heads, gets atomic.Int64
	seen        atomic.Pointer[http.Request]
}

func newSizeBackend(t *testing.T) *sizeBackend {
	b := new(sizeBackend)
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.seen.Store(r)
		if r.Method == http.MethodHead {
			b.heads.Add(1)
		} else {
			b.gets.Add(1)
		}
		size, _ := strconv.Atoi(r.URL.Query().Get("size"))
		switch r.URL.Path {
		case "/lies": // tells HEAD of less than it sends
			if r.Method == http.MethodHead {
				size = 1
			}
			w.Header().Set("Content-Length", strconv.Itoa(size))
		case "/streams":
			if r.Method == http.MethodHead {
				w.Header().Set("Content-Length", "1")
				return
			}
			w.WriteHeader(200)
			_ = http.NewResponseController(w).Flush()
		case "/silent":
			w.WriteHeader(200)
			_ = http.NewResponseController(w).Flush()
		case "/fails":
			w.WriteHeader(500)
		case "/gone":
			w.WriteHeader(410)
		default:
			w.Header().Set("Content-Length", strconv.Itoa(size))
		}
		if r.Method != http.MethodHead {
			fmt.Fprint(w, strings.Repeat("y", size))
		}
	}))
	t.Cleanup(b.Close)
	return b
}

func TestPriceBySizeOfAnUpstream(t *testing.T) {
	b := newSizeBackend(t)
	s := serve(t, "wallet play sandbox", "l402 1 sat {\n\tper MiB 2 sat\n\tlimit off\n}\nreverse_proxy "+b.Listener.Addr().String())
	s.wantPrice(3, "GET", "/x?size=5", "Authorization", "Bearer own", "Cookie", "a=b; l402_default=abc")
	seen := b.seen.Load()
	if seen.Method != "HEAD" || seen.Header.Get("Authorization") != "Bearer own" || seen.Header.Get("Cookie") != "a=b" {
		t.Errorf("the upstream saw %s %v", seen.Method, seen.Header)
	}
	s.wantPrice(7, "GET", "/x?size="+strconv.Itoa(3*mib))
	for path, code := range map[string]int{"/silent": 503, "/fails": 503, "/gone": 404} {
		want := codePriceUnknown
		if code == 404 {
			want = codeNothing
		}
		s.wantNoPrice(code, want, "GET", path)
	}
	// An upstream that tells less than it sends gives away no more than was sold.
	for _, path := range []string{"/lies?size=" + strconv.Itoa(3*mib), "/x?size=5"} {
		token := s.buy(path).authorization()
		want := 200
		if path[1] == 'l' {
			want = 402
		}
		s.want(want, "GET", path, "Authorization", token)
	}
	streams := "/streams?size=" + strconv.Itoa(3*mib)
	r, _ := http.NewRequest("GET", "http://"+s.addr+streams, nil)
	r.Header.Set("Authorization", s.buy(streams).authorization())
	if got := readAll(t, r); got > mib+mib/64+4096 {
		t.Errorf("got %d bytes of a stream for the price of one MiB", got)
	}
	if b.gets.Load() != 3 {
		t.Errorf("the upstream got %d requests for content", b.gets.Load())
	}
	heads := b.heads.Load()
	s.want(200, "GET", "/x?size=5", "Authorization", s.buy("/x?size=5").authorization())
	if b.heads.Load() != heads+1 {
		t.Error("a paid request asked for the size")
	}
}

// readAll gives how much of an answer arrives until the connection breaks.
func readAll(t *testing.T, r *http.Request) (n int) {
	t.Helper()
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	buffer := make([]byte, 32<<10)
	for {
		got, err := resp.Body.Read(buffer)
		n += got
		if err != nil {
			if err.Error() == "EOF" {
				t.Error("the answer ended as if it were whole")
			}
			return n
		}
	}
}

// upload sends a body; a length below zero is told as chunks.
func (s *server) upload(size, told int, authorization string) answer {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	length := "Content-Length: " + strconv.Itoa(told)
	body := strings.Repeat("z", size)
	if told < 0 {
		length, body = "Transfer-Encoding: chunked", fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", size, body)
	}
	if authorization != "" {
		length += "\r\nAuthorization: " + authorization
	}
	go fmt.Fprintf(conn, "PUT /up HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s\r\n\r\n%s", s.addr, length, body) // ends with the connection
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil && resp.StatusCode == 200 { // a refused upload is reset
		s.t.Fatal(err)
	}
	return answer{resp, string(text)}
}

func TestPriceOfUploads(t *testing.T) {
	for _, most := range []string{"", "max 9 sat"} {
		s := serve(t, "wallet play sandbox", "l402 1 sat {\n\tper MiB 2 sat\n\tlimit off\n\t"+most+"\n}\ntest_upstream")
		buy := func(size, told int) purchase {
			challenge := s.challenge(s.upload(size, told, ""))
			return purchase{challenge, s.pay(challenge.Invoice)}
		}
		one, three := buy(mib, mib).authorization(), buy(3*mib, 3*mib).authorization()
		for _, tc := range []struct {
			size, told, want int
			token            string
		}{
			{mib, mib, 200, one}, {5, 5, 200, one}, {0, 0, 200, one}, {mib + 1, mib + 1, 402, one}, {5, -1, 402, one},
			{3 * mib, 3 * mib, 200, three}, {5, 5, 200, three}, {3*mib + 1, 3*mib + 1, 402, three},
		} {
			want := tc.want
			if tc.told < 0 && most == "" {
				want = 411
			}
			if a := s.upload(tc.size, tc.told, tc.token); a.StatusCode != want {
				t.Errorf("%q, %d bytes told as %d: got %d %s, want %d", most, tc.size, tc.told, a.StatusCode, a.body, want)
			}
		}
		if most == "" {
			if a := s.upload(5, -1, ""); a.StatusCode != 411 || a.code() != codeNoLength {
				t.Errorf("without a length: %d %s", a.StatusCode, a.body)
			}
			continue
		}
		any := buy(5, -1).authorization()
		if a := s.upload(30*mib, -1, any); a.StatusCode != 200 {
			t.Errorf("any size: %d %s", a.StatusCode, a.body)
		}
	}
}

// TestPriceBySizeWithUses gives a use back whose answer is not the one that was sold.
func TestPriceBySizeWithUses(t *testing.T) {
	for _, charge := range []string{"success", "always"} {
		site, dir := fileSite(t, "uses 2\n\tcharge "+charge)
		s := serve(t, "wallet play sandbox", site)
		put(t, dir, "f", 5)
		token := s.buy("/nar/f").authorization()
		s.want(200, "GET", "/nar/f", "Authorization", token)
		put(t, dir, "f", 3*mib)
		s.wantCode("wrong_request", "/nar/f", "Authorization", token)
		put(t, dir, "f", 5)
		s.want(200, "GET", "/nar/f", "Authorization", token)
		s.wantCode("uses_exhausted", "/nar/f", "Authorization", token)
	}
}

// TestSizeBehindAnotherGate: one challenge makes one invoice.
func TestSizeBehindAnotherGate(t *testing.T) {
	s := serve(t, "wallet play fake outer\nwallet in fake inner", `route {
		l402 1 sat {
			service outer
			per MiB 2 sat
			max 50 sat
		}
		l402 3 sat {
			service inner
			wallet in
		}
		test_upstream
	}`)
	s.wantNoPrice(503, codePriceUnknown, "GET", "/x")
	if n := fake(t, "inner").creates.Load() + fake(t, "outer").creates.Load(); n != 0 {
		t.Errorf("%d invoices were made", n)
	}
	if upstreamHits.Load() != 0 {
		t.Error("the upstream was asked past a gate")
	}
}

// TestPagesOfPricedRequests pays as a browser does: a page's checkout, which is a POST, is for the
// price of the page.
func TestPagesOfPricedRequests(t *testing.T) {
	site, dir := fileSite(t, "")
	for name, tc := range map[string]struct{ site, path string }{
		"by size":       {site, "/nar/page?a=b"},
		"by method":     {"l402 50 sat {\n\tprice 2 sat method GET\n}\ntest_upstream", "/x?a=b"},
		"a placeholder": {"vars sat 7\nl402 {vars.sat} sat {\n\tmin 1 sat\n\tmax 9 sat\n}\ntest_upstream", "/x"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, "wallet play sandbox", tc.site)
			put(t, dir, "page", 2*mib)
			b := s.browser()
			page := pageOf(t, b.wants(402, tc.path))
			path, _, _ := strings.Cut(tc.path, "?")
			if a := b.do("POST", path+page.action, page.form("pay")); a.StatusCode != http.StatusSeeOther {
				t.Fatalf("paying: %d %s", a.StatusCode, a.body)
			}
			b.wants(200, tc.path)
			// The mark of a checkout makes nothing cheaper that is none.
			if a := b.do("POST", path+"?"+checkoutMark, nil); a.StatusCode == 200 {
				t.Errorf("a checkout without a token gets %d", a.StatusCode)
			}
		})
	}
	s := serve(t, "wallet play sandbox", "l402 50 sat {\n\tprice 2 sat method GET\n\tcredentials l402\n}\ntest_upstream")
	token := s.buy("/x").authorization()
	s.want(402, "POST", "/x?"+checkoutMark, "Authorization", token)
}

// TestEcashBuysTheSizeThatItPaidFor brings the same ecash again when the file has grown.
func TestEcashBuysTheSizeThatItPaidFor(t *testing.T) {
	m := minttest.New(t, minttest.Options{})
	site, dir := fileSite(t, "")
	s := serve(t, "wallet play sandbox\n"+cashuBlock(m, ""), site)
	put(t, dir, "f", 5)
	ecash := encodeEcash(t, m.Token(t, 1, 2))
	s.want(200, "GET", "/nar/f", "X-Cashu", ecash)
	s.want(200, "GET", "/nar/f", "X-Cashu", ecash)
	put(t, dir, "f", 3*mib)
	s.wantCode("wrong_request", "/nar/f", "X-Cashu", ecash)
	if a := s.do("GET", "/nar/other", "X-Cashu", ecash); a.StatusCode == 200 {
		t.Error("it opened another file")
	}
}

// TestSizeAndBytesTogether uses up the bytes of a payment for a file: what is refused can be bought anew.
func TestSizeAndBytesTogether(t *testing.T) {
	site, dir := fileSite(t, "bytes 2MiB\n\ton_wallet_error pass")
	s := serve(t, "wallet node fake both", site)
	put(t, dir, "f", mib+mib/2)
	token := s.buy("/nar/f").authorization()
	s.want(200, "GET", "/nar/f", "Authorization", token)
	s.wantCode("bytes_exhausted", "/nar/f", "Authorization", token)
	s.wantPrice(5, "GET", "/nar/f", "Authorization", token)
	// Where no invoice can be made, it is no gift: the upstream has worked already.
	w, _ := fakes.Load("both")
	w.(*fakeWallet).fail(func(context.Context) error { return errors.New("down") })
	if a := s.do("GET", "/nar/f", "Authorization", token); a.StatusCode != http.StatusServiceUnavailable || len(a.body) > mib {
		t.Errorf("got %d with %d bytes", a.StatusCode, len(a.body))
	}
}

// TestGrownAnswersInAnyCase asks with "get" for an answer that has grown since it was sold.
func TestGrownAnswersInAnyCase(t *testing.T) {
	var size atomic.Int64
	size.Store(100)
	behind := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", strconv.FormatInt(size.Load(), 10))
		if r.Method != http.MethodHead {
			_, _ = io.WriteString(w, strings.Repeat("x", int(size.Load())))
		}
	}))
	t.Cleanup(behind.Close)
	s := serve(t, "wallet play sandbox", "l402 1 sat {\n\tper KiB 1 sat\n\tlimit off\n}\nreverse_proxy "+behind.URL)
	token := s.buy("/f").authorization()
	s.want(200, "get", "/f", "Authorization", token)
	size.Store(mib)
	for _, method := range []string{"GET", "get", "Get"} {
		if a := s.do(method, "/f", "Authorization", token); a.StatusCode != 402 || len(a.body) > mib/2 {
			t.Errorf("%s gives %d with %d bytes for the price of 100", method, a.StatusCode, len(a.body))
		}
	}
}
