package ledger

import (
	"context"
	"sync"
)

// ghosts are objects of this instance that must not be there: claims that were never valid and
// wishes that were fulfilled. They are deleted as soon as the storage lets us. It is safe for
// concurrent use.
type ghosts struct {
	mu   sync.Mutex
	keys map[string]bool // whether it is still to be deleted
}

// maxGhosts bounds the memory of ghosts. Beyond it the oldest deeds are forgotten at random.
const maxGhosts = 1 << 14

func (g *ghosts) add(key string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.keys == nil {
		g.keys = make(map[string]bool)
	}
	if len(g.keys) >= maxGhosts {
		for k, due := range g.keys {
			if !due {
				delete(g.keys, k)
				break
			}
		}
	}
	g.keys[key] = true
}

func (g *ghosts) has(key string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, ok := g.keys[key]
	return ok
}

// bury deletes the ghosts. Their names stay known: a Store that was given up may still happen.
func (g *ghosts) bury(ctx context.Context, o *objects) error {
	g.mu.Lock()
	var due []string
	for k, d := range g.keys {
		if d {
			due = append(due, k)
		}
	}
	g.mu.Unlock()
	for _, key := range due {
		if err := o.remove(ctx, key); err != nil {
			return err
		}
		g.mu.Lock()
		g.keys[key] = false
		g.mu.Unlock()
	}
	return nil
}
