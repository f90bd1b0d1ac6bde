package caddyl402

import (
	"sync"

	"github.com/lightningnetwork/lnd/lntypes"
)

// shown remembers the payments whose token was shown to this process, so that the first time can be
// told from the others. Every paid request asks it, so it is in shards that do not wait for each
// other. A full shard begins anew: then a payment may count as new once more.
var shown firstUses

const (
	shownShards  = 64
	shownInShard = 2048
)

type firstUses [shownShards]struct {
	sync.Mutex
	seen map[lntypes.Hash]struct{}
}

// first tells whether a payment is shown for the first time.
func (f *firstUses) first(hash lntypes.Hash) bool {
	shard := &f[hash[0]%shownShards]
	shard.Lock()
	defer shard.Unlock()
	if _, known := shard.seen[hash]; known {
		return false
	}
	if shard.seen == nil || len(shard.seen) >= shownInShard {
		shard.seen = make(map[lntypes.Hash]struct{})
	}
	shard.seen[hash] = struct{}{}
	return true
}
