package ledger

import "time"

// Stats is how the ledger does, for status pages and metrics.
type Stats struct {
	// Instance is the name under which this process writes.
	Instance string `json:"instance"`
	// Pending is the number of bytes that wait to be written, and Lag the age of the oldest of
	// them.
	Pending int           `json:"pending_bytes"`
	Lag     time.Duration `json:"lag"`
	// Degraded says that metered tokens are refused because uses cannot be kept.
	Degraded bool `json:"degraded"`
	// Failing is the step that has been failing for the longest time, or empty; LastError and
	// FailingSince belong to it.
	Failing      string    `json:"failing,omitempty"`
	LastError    string    `json:"last_error,omitempty"`
	FailingSince time.Time `json:"failing_since,omitzero"`
	// Segments is the number of files of records that this process wrote and that were not
	// merged into others.
	Segments int `json:"segments"`
	// Commits counts group commits, CommitLatency is what the last one took, LastCommit when it
	// was done.
	Commits       int64         `json:"commits"`
	CommitLatency time.Duration `json:"commit_latency"`
	LastCommit    time.Time     `json:"last_commit,omitzero"`
	// Writes counts all writes and deletions in the storage.
	Writes int64 `json:"writes"`
	// Damaged counts objects that were found cut or damaged.
	Damaged int64 `json:"damaged"`
	// Lost counts records that were refused or given up because the storage failed too long.
	Lost int64 `json:"lost"`
	// Tokens is the number of metered tokens in memory, InUse of reservations under way.
	Tokens int64 `json:"tokens"`
	InUse  int64 `json:"in_use"`
	// Revocations is the number of entries; RevocationsSeen is when they were last looked for.
	Revocations     int       `json:"revocations"`
	RevocationsSeen time.Time `json:"revocations_seen,omitzero"`
}

// Stats tells how the ledger does. It touches memory only.
func (l *Ledger) Stats() Stats {
	now := l.opts.Now()
	j := l.journal
	j.mu.Lock()
	pending := j.frozen
	if j.cur != nil {
		pending += len(j.cur.records)
	}
	j.mu.Unlock()
	s := Stats{
		Instance:      l.Instance(),
		Pending:       pending,
		Degraded:      l.degraded(now),
		Segments:      l.compactor.count(),
		Commits:       j.commits.Load(),
		CommitLatency: time.Duration(j.lastNanos.Load()),
		Writes:        l.objects.writes.Load(),
		Damaged:       l.health.corruptCount.Load(),
		Lost:          l.health.lostCount.Load(),
		Tokens:        l.uses.count.Load(),
		InUse:         l.uses.inUse.Load(),
	}
	if oldest := j.oldest.Load(); oldest != 0 {
		s.Lag = max(now.Sub(time.Unix(0, oldest)), 0)
	}
	if at := j.lastSuccess.Load(); at != 0 {
		s.LastCommit = time.Unix(0, at)
	}
	if at := l.revocations.fresh.Load(); at != 0 {
		s.RevocationsSeen = time.Unix(0, at)
	}
	if what, since, err := l.health.last(); err != nil {
		s.Failing, s.LastError, s.FailingSince = what, err.Error(), since
	}
	l.revocations.mu.Lock()
	s.Revocations = len(l.revocations.known)
	l.revocations.mu.Unlock()
	return s
}
