package ledger_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-l402/caddy-l402/internal/ledger"
	"github.com/caddy-l402/caddy-l402/internal/ledger/ledgertest"
)

// The crash test kills a process that works on a ledger, again and again, and then compares what
// the process had answered with what the ledger says. The process tells by lines:
//
//	try <token>      before Commit
//	ok <token>       after Commit: from here on the request counts as answered
//	paid <n>         a settlement was recorded and flushed
//
// Tokens below crashSingles have one use, the others crashUses.

const (
	crashDirEnv  = "LEDGER_CRASH_DIR"
	crashKillEnv = "LEDGER_KILLS" // how often to kill, default 100
	crashSingles = 600
	crashTokens  = 604
	crashUses    = 4000
)

func crashHash(token int) (h [32]byte) {
	binary.BigEndian.PutUint64(h[:], uint64(token+1)*0x9e3779b97f4a7c15)
	h[31] = byte(token)
	return h
}

func crashRequest(token int) ledger.UseRequest {
	n := int64(crashUses)
	if token < crashSingles {
		n = 1
	}
	return ledgertest.Uses(crashHash(token), n)
}

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDirEnv); dir != "" {
		crashChild(dir)
		return
	}
	os.Exit(m.Run())
}

// crashChild works until it is killed.
func crashChild(dir string) {
	opts := ledgertest.Fast(&certmagic.FileStorage{Path: dir})
	opts.CompactAfter = 8
	opts.CommitEvery = 0 // the default
	opts.LeaseTTL = 10 * time.Second
	l, err := ledger.Open(context.Background(), opts)
	if err != nil {
		fmt.Println("error opening:", err)
		os.Exit(1)
	}
	var out sync.Mutex
	say := func(format string, args ...any) {
		out.Lock()
		defer out.Unlock()
		fmt.Fprintf(os.Stdout, format+"\n", args...)
	}
	say("open")
	for range 4 {
		go func() { // ends with the process
			for {
				token := rand.IntN(crashTokens)
				if rand.IntN(2) == 0 {
					token = crashSingles + rand.IntN(crashTokens-crashSingles)
				}
				r, err := l.Reserve(context.Background(), crashRequest(token))
				if err != nil {
					if errors.Is(err, ledger.ErrUnavailable) {
						say("error reserving %d: %v", token, err)
					}
					continue
				}
				if rand.IntN(4) == 0 {
					r.Release()
					continue
				}
				say("try %d", token)
				if err := r.Commit(context.Background()); err == nil {
					say("ok %d", token)
				}
				time.Sleep(time.Duration(rand.IntN(1000)) * time.Microsecond)
			}
		}()
	}
	for {
		s := ledger.Settlement{PaymentHash: ledgertest.Hash(), AmountMsat: 1, Service: "crash"}
		if _, err := l.RecordSettlement(s); err != nil {
			say("error recording: %v", err)
		}
		if err := l.Flush(context.Background()); err == nil {
			say("paid %x", s.PaymentHash)
		}
	}
}

// crashTally is what the killed processes said.
type crashTally struct {
	mu         sync.Mutex
	tries, oks [crashTokens]int
	paid       []string
	errors     []string
	opened     int
}

func (c *crashTally) read(line string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	verb, rest, _ := strings.Cut(line, " ")
	n, _ := strconv.Atoi(rest)
	switch verb {
	case "open":
		c.opened++
	case "try":
		c.tries[n]++
	case "ok":
		c.oks[n]++
	case "paid":
		c.paid = append(c.paid, rest)
	default:
		c.errors = append(c.errors, line)
	}
}

func TestKilledAtAnyMoment(t *testing.T) {
	kills := 100
	if v := os.Getenv(crashKillEnv); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			t.Fatal(err)
		}
		kills = n
	}
	dir := t.TempDir()
	var tally crashTally
	var wg sync.WaitGroup
	for i := range 2 { // two processes at a time, each killed while the other works
		wg.Go(func() {
			for range (kills + i) / 2 {
				crashOnce(t, dir, &tally)
			}
		})
	}
	wg.Wait()
	for _, e := range tally.errors {
		t.Errorf("a process said: %s", e)
	}
	if tally.opened < kills*9/10 {
		t.Errorf("only %d of %d processes got as far as opening the ledger", tally.opened, kills)
	}

	// A last process takes what is left.
	opts := ledgertest.Fast(&certmagic.FileStorage{Path: dir})
	opts.LeaseTTL = 10 * time.Second
	l := ledgertest.Open(t, opts)
	over := 0
	for token := range crashTokens {
		req := crashRequest(token)
		rest := 0
		for {
			r, err := l.Reserve(t.Context(), req)
			if errors.Is(err, ledger.ErrExhausted) {
				break
			}
			if err == nil {
				err = r.Commit(t.Context())
			}
			if err != nil {
				t.Fatalf("token %d: %v", token, err)
			}
			rest++
		}
		limit := int(req.Limit.Uses)
		// Nothing is lost to the payer: whatever was not even tried is still there.
		if tally.tries[token]+rest < limit {
			t.Errorf("token %d: %d tries and %d left, bought %d", token, tally.tries[token], rest, limit)
		}
		if limit == 1 {
			if tally.oks[token]+rest > 1 {
				t.Errorf("token %d of a single use: answered %d times, then %d left", token, tally.oks[token], rest)
			}
			continue
		}
		over += max(tally.oks[token]+rest-limit, 0)
	}
	// What a crash may give away: the uses of the last CommitEvery and Store.
	t.Logf("%d kills: tries %v, %d uses given away, %d settlements", kills, tally.tries[crashSingles:], over, len(tally.paid))
	if most := kills * 400; over > most {
		t.Errorf("%d uses were given away by %d crashes", over, kills)
	}
	found := make(map[string]bool)
	for s, err := range l.Settlements(t.Context(), ledger.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		found[fmt.Sprintf("%x", s.PaymentHash)] = true
	}
	for _, p := range tally.paid {
		if !found[p] {
			t.Errorf("settlement %s was flushed and is lost", p)
		}
	}
	if n := l.Stats().Damaged; n != 0 {
		t.Errorf("%d damaged objects", n)
	}
}

// crashOnce starts a process and kills it some time after it opened the ledger, or before.
func crashOnce(t *testing.T, dir string, tally *crashTally) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), crashDirEnv+"="+dir)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Error(err)
		return
	}
	if err := cmd.Start(); err != nil {
		t.Error(err)
		return
	}
	opened := make(chan struct{})
	read := make(chan struct{})
	go func() { // ends when the process is dead
		defer close(read)
		lines := bufio.NewScanner(stdout)
		for first := true; lines.Scan(); first = false {
			if first {
				close(opened)
			}
			tally.read(lines.Text())
		}
		if lines.Err() != nil {
			tally.read("error reading: " + lines.Err().Error())
		}
	}()
	select {
	case <-opened:
	case <-time.After(10 * time.Second):
		t.Error("a process did not open the ledger within 10 s")
	}
	time.Sleep(time.Duration(rand.IntN(100)) * time.Millisecond)
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	<-read
	_ = cmd.Wait() // it was killed
}
