package main

import (
	"bytes"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// flushTime is what an uploader has left of the grace where the trainer does not end: Kubernetes' default for a whole pod.
const flushTime = 30 * time.Second

type followOptions struct {
	folder     folder
	grace      time.Duration
	toldWithin time.Duration // by then the trainer has SIGTERM too, if the pod is told to stop; negative: not known
	command    []string
}

// follow runs an uploader beside a trainer, and hands SIGTERM to it when the trainer's container has ended.
//
// The trainer's supervise holds task/lock for life. The kernel gives it back however that container ends, and where it never
// started there is no lock: nobody waits for the dead.
type follow struct {
	followOptions
	signals signals
	child   *child
	looks   *time.Ticker
	number  unix.Signal // what told this container to stop; 0: nothing yet
	since   moment      // ... at this time, valid with number
	told    bool        // it has been handed on
}

func runFollow(options followOptions, s signals) error {
	f := &follow{followOptions: options, signals: s, looks: time.NewTicker(glance)}
	f.looks.Stop() // until SIGTERM there is nothing to look at
	var err error
	if f.child, err = start(options.command, 2, s); err != nil {
		return err
	}
	f.untilEnd()
	return exitCode(f.child.code)
}

func (f *follow) untilEnd() {
	for !f.child.ended {
		select {
		case <-f.signals.child:
			f.child.reap()
		case <-f.signals.terminate:
			f.stop(unix.SIGTERM)
		case received := <-f.signals.other:
			if number, known := received.(unix.Signal); known && isStop(received) {
				f.stop(number)
			} else {
				f.child.pass(received)
			}
		case <-f.looks.C:
			f.look()
		}
	}
}

func (f *follow) stop(number unix.Signal) {
	if f.number != 0 {
		return
	}
	f.number, f.since = number, now()
	f.looks.Reset(glance)
	f.look()
}

// look hands the signal on when nothing that the trainer saves can be missed by it. It looks again while nobody catches the
// signal: a program that has just begun has no handler yet.
func (f *follow) look() {
	if f.told || f.trainerSaves() {
		return
	}
	if f.told = f.tell(); f.told {
		f.looks.Stop()
	}
}

// trainerSaves says whether the trainer's container may still save something.
func (f *follow) trainerSaves() bool {
	if stateOf(f.folder.taskLock()) != lockHeld {
		return false
	}
	waited := now().since(f.since)
	if f.toldWithin >= 0 && waited >= f.toldWithin {
		// As where a liveness probe has failed: then only this container is to stop.
		if _, trainerToo := read(f.folder.taskStopping()); !trainerToo {
			return false
		}
	}
	return waited < max(f.grace/2, f.grace-flushTime)
}

// tell signals the uploader, and says whether there is nothing left to try.
func (f *follow) tell() bool {
	t, err := readTable(procFolder)
	if err != nil || !isOwnTable(procFolder) {
		f.child.send(f.number)
		return true
	}
	command := t.processes[f.child.pid]
	if command == nil || command.zombie {
		return true
	}
	if _, visible := t.signalMask(command, "SigCgt"); !visible {
		f.child.send(f.number)
		return true
	}
	told := false
	for _, p := range t.uploaders(command, f.number, f.since) {
		told = signalProcess(p.identity, f.number) == nil || told
	}
	return told
}

// uploaders are the topmost processes that act on the signal. One that does not would not be ended by it as PID 1, and may
// upload in a loop: it works on. What such a loop starts is one pass of it, and not to be cut. So a process below the command
// counts only where it had run for more than half of the command's time when the signal came.
func (t *table) uploaders(command *process, number unix.Signal, came moment) []*process {
	began := command.startedAt()
	half := began.after(came.since(began) / 2)
	var chosen []*process
	walk([]*process{command}, func(p *process) (descend bool) {
		if p.zombie {
			return false
		}
		if (p == command || p.startedAt() < half) && t.actsOn(p, number) {
			chosen = append(chosen, p)
			return false
		}
		return true
	})
	return chosen
}

// actsOn says whether the process has a handler for the signal, blocks it to read it from a descriptor, or waits for it as tini
// does: sigtimedwait(2) shows it as neither blocked nor caught.
func (t *table) actsOn(p *process, number unix.Signal) bool {
	blocked, _ := t.signalMask(p, "SigBlk")
	waitsIn, _ := os.ReadFile(t.file(p, "wchan"))
	return holds(blocked, number) || t.catches(p, number) || bytes.Contains(waitsIn, []byte("sigtimedwait"))
}
