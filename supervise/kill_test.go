package main

import (
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAPIDThatWasReusedIsNeverSignalled(t *testing.T) {
	// given
	command := exec.Command("sleep", "600")
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	seen := readProcess(procFolder, command.Process.Pid)
	if seen == nil {
		t.Fatal("not in the process table")
	}
	another := identity{seen.pid, seen.started - 1}
	// when, then
	if err := signalProcess(another, unix.SIGKILL); err != unix.ESRCH {
		t.Errorf("another process of that PID: %v", err)
	}
	if found := readProcess(procFolder, seen.pid); found == nil || found.zombie {
		t.Fatal("it was hit")
	}
	if err := signalProcess(seen.identity, unix.SIGTERM); err != nil {
		t.Errorf("the process itself: %v", err)
	}
	if err := command.Wait(); err == nil || err.Error() != "signal: terminated" {
		t.Errorf("ended with %v", err)
	}
	if err := signalProcess(seen.identity, unix.SIGTERM); err != unix.ESRCH {
		t.Errorf("one that has gone: %v", err)
	}
}
