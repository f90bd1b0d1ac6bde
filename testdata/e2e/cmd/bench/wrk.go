package main

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// wrk is the load generator and its settings.
type wrk struct {
	each        time.Duration
	connections int
}

func (w wrk) prepare() error {
	if _, err := exec.LookPath("wrk"); err != nil {
		return fmt.Errorf("wrk is needed (Debian package wrk): %w", err)
	}
	return nil
}

// sample is the outcome of one run.
type sample struct {
	perSecond float64
	p99       time.Duration
}

var (
	rateLine   = regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`)
	tailLine   = regexp.MustCompile(`99%\s+([0-9.]+)(us|ms|s)`)
	totalLine  = regexp.MustCompile(`(\d+) requests in `)
	refuseLine = regexp.MustCompile(`Non-2xx or 3xx responses: (\d+)`)
	errorsLine = regexp.MustCompile(`Socket errors: .*`)
)

// once puts one candidate under load.
func (w wrk) once(ctx context.Context, c candidate) (sample, error) {
	args := []string{
		"-t1", fmt.Sprintf("-c%d", w.connections), fmt.Sprintf("-d%ds", int(w.each.Seconds())),
		"--latency", "--timeout", "30s",
	}
	if c.authorization != "" {
		args = append(args, "-H", "Authorization: "+c.authorization)
	}
	out, err := exec.CommandContext(ctx, "wrk", append(args, c.url)...).CombinedOutput()
	if err != nil {
		return sample{}, fmt.Errorf("running wrk on %s: %w\n%s", c.name, err, out)
	}
	return parse(c, string(out))
}

// parse reads wrk's report, and makes sure that what was measured is what should be: all answers
// of a paid candidate are good ones, none of an unpaid one is.
func parse(c candidate, out string) (sample, error) {
	rate, late, total := rateLine.FindStringSubmatch(out), tailLine.FindStringSubmatch(out), totalLine.FindStringSubmatch(out)
	if rate == nil || late == nil || total == nil || errorsLine.MatchString(out) {
		return sample{}, fmt.Errorf("wrk's report on %s is not one to go by:\n%s", c.name, out)
	}
	refused := "0"
	if m := refuseLine.FindStringSubmatch(out); m != nil {
		refused = m[1]
	}
	want := "0"
	if c.refuses {
		want = total[1]
	}
	if refused != want {
		return sample{}, fmt.Errorf("%s refused %s of %s requests, want %s:\n%s", c.name, refused, total[1], want, out)
	}
	perSecond, err := strconv.ParseFloat(rate[1], 64)
	if err != nil {
		return sample{}, err
	}
	p99, err := time.ParseDuration(late[1] + late[2])
	return sample{perSecond, p99}, err
}

// interleave runs all candidates once to warm them up, and then rounds times in turns.
func (w wrk) interleave(ctx context.Context, all []candidate, rounds int) (map[string][]sample, error) {
	results := make(map[string][]sample)
	for round := range rounds + 1 {
		for _, c := range all {
			s, err := w.once(ctx, c)
			if err != nil {
				return nil, err
			}
			if round > 0 {
				results[c.name] = append(results[c.name], s)
			}
		}
	}
	return results, nil
}

// median is the middle of the values; of two in the middle it is the lower.
func median[T float64 | time.Duration](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)-1)/2]
}
