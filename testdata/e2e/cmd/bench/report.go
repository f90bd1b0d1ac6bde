package main

import (
	"fmt"
	"io"
	"time"
)

// ratios are the comparisons that matter, each between two candidates, with the figure to reach.
var ratios = []struct {
	over, under, aim string
}{
	{paidRespond, plainRespond, "≥ 0.93"},
	{paidProxy, plainProxy, "≥ 0.93"},
	{unpaidProxy, plainProxy, "LND makes each invoice"},
	{paidProxy, paidAperture, "≥ 5"},
}

// report prints the medians and their ratios, and the spread of the ratio over the rounds.
func report(w io.Writer, results map[string][]sample) {
	fmt.Fprintf(w, "%-50s %12s %10s\n", "candidate", "requests/s", "p99")
	for _, name := range []string{plainRespond, paidRespond, plainProxy, paidProxy, unpaidProxy, paidAperture} {
		fmt.Fprintf(w, "%-50s %12.0f %10s\n", name, rate(results[name]), median(late(results[name])))
	}
	fmt.Fprintf(w, "\n%-50s %8s %16s   %s\n", "ratio", "median", "over the rounds", "aim")
	for _, r := range ratios {
		var each []float64
		for i := range results[r.over] {
			each = append(each, results[r.over][i].perSecond/results[r.under][i].perSecond)
		}
		low, high := each[0], each[0]
		for _, v := range each {
			low, high = min(low, v), max(high, v)
		}
		fmt.Fprintf(w, "%s\n  : %s %*.3f %8.3f…%.3f   %s\n", r.over, r.under, max(0, 54-len(r.under)), median(each), low, high, r.aim)
	}
}

func rate(samples []sample) float64 {
	var all []float64
	for _, s := range samples {
		all = append(all, s.perSecond)
	}
	return median(all)
}

func late(samples []sample) []time.Duration {
	var all []time.Duration
	for _, s := range samples {
		all = append(all, s.p99)
	}
	return all
}
