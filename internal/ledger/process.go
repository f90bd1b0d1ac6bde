package ledger

// Process names a process so that another one on the same machine can tell whether it has ended.
// It is for others who keep something for a process in the storage.
type Process struct{ processID }

// CurrentProcess names the one that asks.
func CurrentProcess() Process { return Process{currentProcess()} }

// Ended tells whether the process ran on this machine and is surely gone. In all doubt it returns
// false, as it does where nothing can be proved.
func (p Process) Ended() bool { return p.surelyEnded(currentProcess()) }
