package main

import (
	"os"
	"os/signal"
	"syscall"
)

// signals that come to supervise. Each channel has its own room, so that a flood of one kind hides no other.
type signals struct {
	terminate chan os.Signal // SIGTERM
	child     chan os.Signal // SIGCHLD: one tells of any number of ended children
	other     chan os.Signal // what is passed on to the child
}

const lastSignal = 64

// listen takes over every signal that can be. It is the first thing that happens: a SIGTERM before it has no effect on
// a PID 1, or ends the process.
func listen() signals {
	s := signals{
		terminate: make(chan os.Signal, 1),
		child:     make(chan os.Signal, 1),
		other:     make(chan os.Signal, lastSignal),
	}
	signal.Notify(s.terminate, syscall.SIGTERM)
	signal.Notify(s.child, syscall.SIGCHLD)
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // else a stderr that nobody reads any more ends supervise
	for number := syscall.Signal(1); number <= lastSignal; number++ {
		// What the parent has ignored (nohup) stays ignored in the child only if it is not listened to here.
		if passedOn(number) && !signal.Ignored(number) {
			signal.Notify(s.other, number)
		}
	}
	return s
}

// passedOn says which signals mean the child. Not faults of supervise itself, not those that a terminal sends to
// background groups, not SIGURG, which Go sends itself many times, and not those that the C library (32, 33) and Go (34)
// keep for themselves.
func passedOn(number syscall.Signal) bool {
	switch number {
	case syscall.SIGTERM, syscall.SIGCHLD, syscall.SIGPIPE, syscall.SIGKILL, syscall.SIGSTOP, syscall.SIGURG,
		syscall.SIGILL, syscall.SIGTRAP, syscall.SIGABRT, syscall.SIGBUS, syscall.SIGFPE, syscall.SIGSEGV, syscall.SIGSYS,
		syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGPROF, 32, 33, 34:
		return false
	}
	return true
}

// isStop says whether a signal is one that an image can name as its STOPSIGNAL, which container runtimes send in
// SIGTERM's place. Where SIGTERM must not reach the child, neither must these. 37 is SIGRTMIN+3, systemd's.
func isStop(received os.Signal) bool {
	return received == syscall.SIGINT || received == syscall.SIGQUIT || received == syscall.Signal(37)
}

// pending says, without waiting, whether a signal has come.
func pending(channel <-chan os.Signal) bool {
	select {
	case <-channel:
		return true
	default:
		return false
	}
}
