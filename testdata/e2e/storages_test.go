package e2e

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/client"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/gateway"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/upstream"
)

// counted is a shop whose payments buy a number of requests.
type counted struct {
	t  *testing.T
	up *upstream.Server
	// options run further instances on the same storage.
	options gateway.Options
}

// onStorages tells a story on a folder and on Redis, both at the same time.
func onStorages(t *testing.T, lines string, story func(t *testing.T, c *counted)) {
	t.Helper()
	t.Parallel()
	for _, kind := range []string{"files", "redis"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			c := newCounted(t, lines)
			if kind == "redis" {
				program, err := redisCaddy()
				if err != nil {
					t.Fatal(err)
				}
				c.options.Binary, c.options.StorageModule = program, startRedis(t).Module
			}
			story(t, c)
		})
	}
}

// newCounted prepares a shop on a folder that sells uses below /premium/, on the terms in lines, and
// time below /time/.
func newCounted(t *testing.T, lines string) *counted {
	t.Helper()
	up := upstream.Start(t)
	return &counted{t: t, up: up, options: gateway.Options{
		Binary: caddy, Global: sandboxOptions, Storage: t.TempDir(),
		Site: fmt.Sprintf(`l402 /premium/* 10 sat {
	service shop
	limit off
	%s
}
l402 /time/* 10 sat {
	service time
	limit off
}
reverse_proxy %s`, lines, up.Addr),
	}}
}

// instance runs an instance.
func (c *counted) instance() *gateway.Gateway {
	c.t.Helper()
	return gateway.Start(c.t, c.options)
}

// answers counts the answers by status; 0 stands for none.
type answers map[int]int

// asOne sends n requests for path at the same time, by turns to each of the gateways.
func asOne(t *testing.T, n int, path string, token client.Token, gateways ...*gateway.Gateway) answers {
	t.Helper()
	got, open := make(chan int, n), make(chan struct{})
	for i := range n {
		// Ends with its answer, which is collected below.
		go func() {
			<-open
			resp, err := gateways[i%len(gateways)].Try(t.Context(), http.MethodGet, path, client.Auth(token))
			if err != nil {
				got <- 0
				return
			}
			got <- resp.StatusCode
		}()
	}
	close(open)
	all := make(answers)
	for range n {
		all[<-got]++
	}
	return all
}

// only ends the test where there is an answer of another status.
func (a answers) only(t *testing.T, statuses ...int) {
	t.Helper()
	known := 0
	for _, s := range statuses {
		known += a[s]
	}
	total := 0
	for _, n := range a {
		total += n
	}
	if known != total {
		t.Fatalf("answers by status are %v, want only %v", a, statuses)
	}
}
