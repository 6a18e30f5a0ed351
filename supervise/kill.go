package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// signalProcess signals the process that was seen, never one that has its PID now. unix.ESRCH: it has ended.
func signalProcess(to identity, number unix.Signal) error {
	descriptor, err := unix.PidfdOpen(to.pid, 0)
	if err == unix.ESRCH {
		return err
	}
	held := err == nil // else a kernel before 5.3, or a seccomp profile that does not know the call
	if held {
		defer unix.Close(descriptor)
	}
	if found := readProcess(procFolder, to.pid); found == nil || found.identity != to {
		return unix.ESRCH
	}
	if held {
		if err := unix.PidfdSendSignal(descriptor, number, nil, 0); err == nil || err == unix.ESRCH {
			return err
		}
	}
	return unix.Kill(to.pid, number)
}

// killDescendants kills all that came of supervise's children.
func killDescendants() {
	t, err := readTable(procFolder)
	if err != nil {
		return
	}
	if self := t.processes[os.Getpid()]; self != nil {
		for _, p := range below(self.children) {
			_ = signalProcess(p.identity, unix.SIGKILL)
		}
	}
}
