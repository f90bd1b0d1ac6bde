package gateway

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func (g *Gateway) logFile() string { return filepath.Join(g.dir, "caddy.log") }

// Log is all that the gateway wrote so far, over all its runs.
func (g *Gateway) Log() string {
	b, err := os.ReadFile(g.logFile())
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// Tail is the last n lines of the log.
func (g *Gateway) Tail(n int) string {
	lines := strings.Split(strings.TrimSpace(g.Log()), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// end stops the gateway and looks through its log.
func (g *Gateway) end(t testing.TB) {
	if g.process == nil {
		return
	}
	if err := g.process.Stop(20 * time.Second); err != nil {
		t.Error(err)
	}
	log := g.Log()
	for _, sign := range []string{"panic:", "aborting with incomplete response: panic", "WARNING: DATA RACE", "fatal error:", "goroutine 1 ["} {
		if strings.Contains(log, sign) {
			t.Errorf("the gateway's log has %q", sign)
		}
	}
	for _, s := range g.secrets {
		if s != "" && strings.Contains(log, s) {
			t.Errorf("the gateway's log has a secret, %.6s…", s)
		}
	}
	if t.Failed() {
		t.Logf("the end of the gateway's log:\n%s", g.Tail(40))
	}
}
