package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/proc"
)

// redisModule is a storage module for Caddy that keeps everything in Redis.
const redisModule = "github.com/pberkel/caddy-storage-redis@v1.8.1"

// redisCaddy builds Caddy with the gateway and the storage module, as an operator would. The build
// recipe is xcaddy's, so that neither go.mod needs to know of the module.
var redisCaddy = sync.OnceValues(func() (string, error) {
	if ready := os.Getenv("E2E_CADDY_REDIS"); ready != "" {
		_, err := os.Stat(ready)
		return ready, err
	}
	out := filepath.Join(scratch, "caddy-redis")
	return out, xcaddyBuild(out, redisModule)
})

// redis is a Redis server that keeps its data when it is stopped.
type redis struct {
	// Module is Caddy's storage option for it.
	Module string

	address, dir string
	process      *proc.Process
}

// startRedis runs a server until the test ends.
func startRedis(t *testing.T) *redis {
	t.Helper()
	r := &redis{address: net.JoinHostPort("127.0.0.1", strconv.Itoa(proc.FreePorts(1)[0])), dir: t.TempDir()}
	r.Module = fmt.Sprintf("redis {\n\t\taddress %s\n\t\tkey_prefix shop\n\t}", r.address)
	// Registered before any gateway's end, so that it runs after that.
	t.Cleanup(func() { r.stop(t) })
	r.start(t)
	return r
}

// start starts the server, at first or after stop, on its data.
func (r *redis) start(t *testing.T) {
	t.Helper()
	host, port, err := net.SplitHostPort(r.address)
	if err != nil {
		t.Fatal(err)
	}
	r.process, err = proc.Start(proc.Spec{
		Name: "redis", Dir: r.dir, Path: "redis-server", Log: filepath.Join(r.dir, "redis.log"),
		Args: []string{"--bind", host, "--port", port, "--dir", r.dir, "--save", "", "--appendonly", "yes", "--appendfsync", "always"},
	})
	if err != nil {
		t.Fatal(err)
	}
	listening(t, r.process, r.address)
}

func (r *redis) stop(t *testing.T) {
	t.Helper()
	if err := r.process.Stop(10 * time.Second); err != nil {
		t.Error(err)
	}
}
