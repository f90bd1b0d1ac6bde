package minttest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Kind is how the mint misbehaves.
type Kind int

// The ways to misbehave.
const (
	// Hang takes the request and never answers. Nothing is done.
	Hang Kind = iota
	// HangAfter does what was asked and never answers.
	HangAfter
	// Drop closes the connection before anything is done.
	Drop
	// LoseAnswer does what was asked and closes the connection.
	LoseAnswer
	// Unavailable answers 503 and does nothing.
	Unavailable
	// UnavailableAfter does what was asked and answers 502.
	UnavailableAfter
	// WrongAmounts signs over half of what was asked for.
	WrongAmounts
	// ForgedDLEQ answers with DLEQ proofs that do not hold.
	ForgedDLEQ
	// WrongKey signs with keys that are not the published ones, and honest DLEQ proofs for
	// them.
	WrongKey
	// OtherKeyset says that another keyset has signed.
	OtherKeyset
	// FewerSignatures leaves the last signature out.
	FewerSignatures
	// Garbage answers what is no JSON.
	Garbage
	// Huge answers without end.
	Huge
	// Redirect sends the client elsewhere.
	Redirect
	// ProofsPending answers code 11002.
	ProofsPending
	// Slow answers after Fault.Delay.
	Slow
	// Truncate closes the connection in the middle of the answer.
	Truncate
	// WrongAmount gives an invoice over another amount than the quote says.
	WrongAmount
	// WrongNetwork gives an invoice for another chain.
	WrongNetwork
	// SameInvoice gives the quote that it gave before.
	SameInvoice
)

// Fault is a misbehavior at a path.
type Fault struct {
	// Path is such as /v1/swap; empty is any path.
	Path string
	// Kind is what happens.
	Kind Kind
	// Times is how often; zero is for ever.
	Times int
	// Delay is for Slow.
	Delay time.Duration
}

// Break adds a fault.
func (m *Mint) Break(f Fault) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faults = append(m.faults, f)
}

// Repair takes all faults away.
func (m *Mint) Repair() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faults = nil
}

func (m *Mint) fault(path string) (Fault, bool) {
	for i := range m.faults {
		f := &m.faults[i]
		if f.Path != "" && !strings.HasPrefix(path, f.Path) {
			continue
		}
		fault := *f
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				m.faults = append(m.faults[:i], m.faults[i+1:]...)
			}
		}
		return fault, true
	}
	return Fault{}, false
}

// problem is an error as mints answer it.
type problem struct {
	Detail string `json:"detail"`
	Code   int    `json:"code"`
}

func (p *problem) Error() string { return p.Detail }

func refuse(code int, format string, args ...any) error {
	return &problem{fmt.Sprintf(format, args...), code}
}

func (m *Mint) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return
	}
	m.mu.Lock()
	m.calls[r.URL.Path]++
	fault, broken := m.fault(r.URL.Path)
	kind := fault.Kind
	m.mu.Unlock()
	if broken && kind == Slow {
		select {
		case <-time.After(fault.Delay):
		case <-r.Context().Done():
			return
		}
	}
	if broken && !m.before(w, r, kind) {
		return
	}
	if r.URL.Path == "/v1/ws" && m.opts.Socket {
		m.follow(w, r)
		return
	}
	out, err := m.do(r, body, kind, broken)
	if broken && !m.after(w, r, kind) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	var p *problem
	switch {
	case errors.As(err, &p):
		w.WriteHeader(http.StatusBadRequest)
		out = answer(p)
	case err != nil:
		w.WriteHeader(http.StatusNotFound)
	}
	_, _ = w.Write(out) // the client may be gone
}

// before is what happens instead of work. It says whether the work is done.
func (m *Mint) before(w http.ResponseWriter, r *http.Request, kind Kind) bool {
	switch kind {
	case Hang:
		<-r.Context().Done()
	case Drop:
		panic(http.ErrAbortHandler)
	case Unavailable:
		http.Error(w, "down for maintenance", http.StatusServiceUnavailable)
	case Garbage:
		_, _ = io.WriteString(w, "<html>")
	case Huge:
		page := bytes.Repeat([]byte(" "), 64<<10)
		for r.Context().Err() == nil {
			if _, err := w.Write(page); err != nil {
				return false
			}
		}
	case Redirect:
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	case ProofsPending:
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write(answer(&problem{"proofs are pending", 11002}))
	default:
		return true
	}
	return false
}

// after is what happens instead of the answer. It says whether the answer is given.
func (m *Mint) after(w http.ResponseWriter, r *http.Request, kind Kind) bool {
	switch kind {
	case HangAfter:
		<-r.Context().Done()
	case LoseAnswer:
		panic(http.ErrAbortHandler)
	case Truncate:
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, `{"quote":`)
		panic(http.ErrAbortHandler)
	case UnavailableAfter:
		http.Error(w, "bad gateway", http.StatusBadGateway)
	default:
		return true
	}
	return false
}
