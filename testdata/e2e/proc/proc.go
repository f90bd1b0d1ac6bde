// Package proc runs daemons for tests and benchmarks and sees to it that none outlives them.
// Linux only: it relies on the parent-death signal.
package proc

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Process is a running daemon with its output in a file.
type Process struct {
	// Name is what errors call the process.
	Name string
	// Log is the file that stdout and stderr are appended to.
	Log string

	cmd  *exec.Cmd
	done chan struct{}
}

// Spec says what to run.
type Spec struct {
	// Name is what errors call the process.
	Name string
	// Log is the file that gets stdout and stderr; it is created or appended to.
	Log string
	// Dir is the working directory; empty is the caller's.
	Dir string
	// Env is added to the caller's environment.
	Env []string
	// Path is the program, Args its arguments without the program's name.
	Path string
	Args []string
}

// Start runs the program in a process group of its own. It gets SIGTERM when this process dies,
// even when a time-out kills it.
func Start(s Spec) (*Process, error) {
	out, err := os.OpenFile(s.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the log of %s: %w", s.Name, err)
	}
	defer out.Close()
	cmd := exec.Command(s.Path, s.Args...)
	cmd.Dir = s.Dir
	cmd.Env = append(os.Environ(), s.Env...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := onSpawner(cmd.Start); err != nil {
		return nil, fmt.Errorf("starting %s: %w", s.Name, err)
	}
	p := &Process{Name: s.Name, Log: s.Log, cmd: cmd, done: make(chan struct{})}
	// Owned by p; ends when the program does.
	go func() {
		_ = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

var (
	spawnOnce sync.Once
	spawn     chan func()
)

// onSpawner calls start on a thread that lives as long as this process: the parent-death signal
// is sent when the thread that made the child ends, not when the process does.
func onSpawner(start func() error) error {
	spawnOnce.Do(func() {
		spawn = make(chan func())
		// Owned by the process, ends with it.
		go func() {
			runtime.LockOSThread()
			for f := range spawn {
				f()
			}
		}()
	})
	res := make(chan error, 1)
	spawn <- func() { res <- start() }
	return <-res
}

// Pid is the process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the program has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Running tells whether the program has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Stop sends SIGTERM and waits for the end; after grace it kills and returns an error.
func (p *Process) Stop(grace time.Duration) error {
	if p == nil || !p.Running() {
		return nil
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return nil
	case <-time.After(grace):
		p.Kill()
		return fmt.Errorf("%s did not end within %s of SIGTERM, see %s", p.Name, grace, p.Log)
	}
}

// Kill sends SIGKILL, which no program can catch, and waits for the end.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// Pause freezes the program: its sockets stay open and say nothing, as a peer that hangs.
func (p *Process) Pause() error { return p.signal(syscall.SIGSTOP) }

// Resume ends a Pause.
func (p *Process) Resume() error { return p.signal(syscall.SIGCONT) }

func (p *Process) signal(s syscall.Signal) error {
	if !p.Running() {
		return errors.New(p.Name + " is not running")
	}
	return p.cmd.Process.Signal(s)
}

// ExitCode is the exit status after the end: negative when a signal ended the program.
func (p *Process) ExitCode() int {
	<-p.done
	return p.cmd.ProcessState.ExitCode()
}
