package buyer

import (
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2"
)

// How long an origin is left alone, at first and at most: after it took money for nothing, and after
// a payment failed.
const (
	refusedFirst, refusedMost = time.Minute, time.Hour
	failedFirst, failedMost   = 2 * time.Second, time.Minute
)

// patience remembers which origins are not to be paid for a while. It is safe for concurrent use.
type patience struct {
	mu      sync.Mutex
	origins *lru.Cache[string, lesson]
}

// lesson is what was learned of an origin.
type lesson struct {
	code  string
	until time.Time
	wait  time.Duration
}

func newPatience() *patience {
	origins, err := lru.New[string, lesson](maxOrigins)
	if err != nil {
		panic(err) // for sizes below one only
	}
	return &patience{origins: origins}
}

// failed notes that something went wrong, and gives the time that the origin is left alone: twice as
// long each time.
func (p *patience) failed(origin, code string, now time.Time) time.Duration {
	first, most := failedFirst, failedMost
	if code == CodeRefused {
		first, most = refusedFirst, refusedMost
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	l, _ := p.origins.Get(origin)
	if l.code != code {
		l = lesson{code: code}
	}
	if now.Before(l.until) {
		return l.until.Sub(now) // requests that went on at the same time are one lesson
	}
	l.wait = min(max(first, 2*l.wait), most)
	l.until = now.Add(l.wait)
	p.origins.Add(origin, l)
	return l.wait
}

// worked forgets what went wrong.
func (p *patience) worked(origin string) { p.origins.Remove(origin) }

// wait tells for how long an origin is left alone yet, and why.
func (p *patience) wait(origin string, now time.Time) (code string, left time.Duration) {
	l, ok := p.origins.Peek(origin)
	if !ok || !now.Before(l.until) {
		return "", 0
	}
	return l.code, l.until.Sub(now)
}
