// Command bench measures the gateway over real sockets with wrk and prints ratios. It brings up
// btcd, two LND nodes, a backend, one Caddy with and without the directive, and Aperture on the
// same LND and backend, buys a token from each, and runs them in turns, so that whatever else
// the machine does hits all of them. Medians are compared, and no figure is a test's verdict.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() (err error) {
	caddy := flag.String("caddy", "", "the Caddy to measure")
	peers := flag.String("peers", "", "the folder with btcd, lnd and aperture")
	rounds := flag.Int("rounds", 5, "how often each candidate runs")
	each := flag.Duration("each", 3*time.Second, "how long a run lasts, in whole seconds")
	connections := flag.Int("connections", 32, "how many connections wrk keeps open")
	flag.Parse()
	if *caddy == "" || *peers == "" {
		return fmt.Errorf("-caddy and -peers are needed: use xcaddy/bench.sh")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	dir, err := os.MkdirTemp("", "l402-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	bed, err := makeBed(ctx, dir, *caddy, *peers)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := bed.close(); err == nil {
			err = closeErr
		}
	}()
	load := wrk{each: *each, connections: *connections}
	if err := load.prepare(); err != nil {
		return err
	}
	fmt.Printf("%s/%s, %d CPUs, wrk with 1 thread and %d connections, %d rounds of %s each, medians\n\n",
		runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), *connections, *rounds, *each)
	results, err := load.interleave(ctx, bed.candidates, *rounds)
	if err != nil {
		return err
	}
	report(os.Stdout, results)
	return nil
}
