package ledger

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// processID names a process so that another one on the same machine can tell whether it still
// runs. The fields are empty where they cannot be found out.
type processID struct {
	Boot  string `json:"boot,omitempty"`  // the kernel's boot id
	Space string `json:"space,omitempty"` // the process namespace
	PID   int    `json:"pid,omitempty"`
	Start string `json:"start,omitempty"` // in ticks since boot
}

func currentProcess() processID {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return processID{}
	}
	space, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return processID{}
	}
	_, start, ok := processState(os.Getpid())
	if !ok {
		return processID{}
	}
	return processID{Boot: strings.TrimSpace(string(boot)), Space: space, PID: os.Getpid(), Start: start}
}

// processState reads the state letter and the start time of a process.
func processState(pid int) (state, start string, ok bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", "", false
	}
	// The name in parentheses may hold anything; the fields after it do not.
	i := strings.LastIndexByte(string(b), ')')
	f := strings.Fields(string(b[i+1:]))
	if i < 0 || len(f) < 20 {
		return "", "", false
	}
	return f[0], f[19], true
}

// surelyEnded tells whether p ran on this machine, in this process namespace, and is gone. In all
// doubt it returns false.
func (p processID) surelyEnded(self processID) bool {
	if p.Boot == "" || p.PID <= 0 || p.Start == "" || p.Boot != self.Boot || p.Space != self.Space {
		return false
	}
	if err := syscall.Kill(p.PID, 0); err != nil {
		return errors.Is(err, syscall.ESRCH)
	}
	state, start, ok := processState(p.PID)
	return ok && (start != p.Start || state == "Z" || state == "X")
}
