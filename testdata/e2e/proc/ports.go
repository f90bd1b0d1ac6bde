package proc

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports from here up to highest are below Linux's range for outgoing connections, so that none
// of those takes a port between its choice and the daemon's start.
const (
	lowest  = 12000
	highest = 32000
)

// FreePorts finds n different TCP ports that nobody listens on at 127.0.0.1. It panics when the
// machine has none left.
func FreePorts(n int) []int {
	ports := make([]int, 0, n)
	for try := 0; len(ports) < n; try++ {
		if try > 1000 {
			panic(fmt.Sprintf("no %d free ports at 127.0.0.1", n))
		}
		port := lowest + rand.IntN(highest-lowest)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		// Held until all are found, so that none is chosen twice.
		defer l.Close()
		ports = append(ports, port)
	}
	return ports
}
