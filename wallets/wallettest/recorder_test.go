package wallettest

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// recorder is a testing.TB whose failures can be looked at. What it does not override goes to
// the real test.
type recorder struct {
	testing.TB

	mu       sync.Mutex
	failures []string
	cleanups []func()
}

// record runs one check against a subject and returns what failed.
func record(t *testing.T, h Harness, name string) []string {
	t.Helper()
	h, err := h.complete()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range checks {
		if c.name == name {
			r := &recorder{TB: t}
			r.run(func() { perform(r, h, c) })
			return r.failures
		}
	}
	t.Fatalf("there is no check %q", name)
	return nil
}

// run calls f and then the cleanups, each in a goroutine of its own since FailNow ends it.
func (r *recorder) run(f func()) {
	alone(f)
	for {
		r.mu.Lock()
		if len(r.cleanups) == 0 {
			r.mu.Unlock()
			return
		}
		last := r.cleanups[len(r.cleanups)-1]
		r.cleanups = r.cleanups[:len(r.cleanups)-1]
		r.mu.Unlock()
		alone(last)
	}
}

func alone(f func()) {
	done := make(chan struct{})
	// Ends with f; waited for below.
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

func (r *recorder) fail(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, text)
}

func (r *recorder) Helper()                   {}
func (r *recorder) Log(args ...any)           {}
func (r *recorder) Logf(string, ...any)       {}
func (r *recorder) Error(args ...any)         { r.fail(fmt.Sprint(args...)) }
func (r *recorder) Errorf(f string, a ...any) { r.fail(fmt.Sprintf(f, a...)) }
func (r *recorder) Fail()                     { r.fail("failed") }
func (r *recorder) Context() context.Context  { return context.Background() }

func (r *recorder) FailNow() {
	r.fail("failed at once")
	runtime.Goexit()
}

func (r *recorder) Fatal(args ...any) {
	r.Error(args...)
	runtime.Goexit()
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.failures) > 0
}

func (r *recorder) Cleanup(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cleanups = append(r.cleanups, f)
}

// says tells whether one of the texts holds the words.
func says(texts []string, words string) bool {
	return strings.Contains(strings.Join(texts, "\n"), words)
}
