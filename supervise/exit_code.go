package main

import (
	"slices"

	"golang.org/x/sys/unix"
)

// terminatedCode is what a command that SIGTERM ends would end with.
const terminatedCode = 143

// code is what the container ends with: the command's, but where somebody was told while the command ran, and the container
// would not have ended with 0 without supervise, a 0 would make a run that was cut look complete.
func (f *forward) code() int {
	if f.child.code != 0 || !f.interrupted || f.interruptedCode == 0 {
		return f.child.code
	}
	switch {
	case f.below && f.interruptedCode > 0:
		return f.interruptedCode
	case f.below || f.endsWith0 || !f.cut:
		return 0
	case f.interruptedCode > 0:
		return f.interruptedCode
	}
	return terminatedCode
}

// interrupt notes that the command was running when the pod was told to stop.
func (f *forward) interrupt(v *view) {
	if f.interrupted || f.commandAt != 0 {
		return
	}
	f.interrupted = true
	if f.below {
		complain(writeTime(f.folder.interrupted(), now()))
	} else {
		f.endsWith0 = v.endsWith0(v.processes[f.child.pid])
	}
}

// endsWith0 says whether a container whose PID 1 is this process could end with 0 after the signal: it gets it, and no
// launcher's clock cuts it.
func (v *view) endsWith0(p *process) bool {
	if p == nil {
		return false
	}
	switch v.role(p) {
	case launcher:
		return false
	case relay:
		return slices.ContainsFunc(p.children, v.endsWith0)
	case shell:
		return v.catches(p, unix.SIGTERM) && !v.waitsForChild(p)
	}
	return v.catches(p, unix.SIGTERM)
}
