package main

import (
	"maps"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// scan is the time between two looks at the process table while stopping.
	scan = 200 * time.Millisecond
	// scanShare keeps the looks below 1/20 of the time where there are thousands of processes.
	scanShare = 20
	slowScan  = time.Second
	// idleAfter is how long osmo_exec may have neither a command nor an upload before it is ended; longer where it
	// uploads checkpoints, because it sleeps for up to 32 s when the service has put an upload off (its exit code 75).
	idleAfter          = 5 * time.Second
	idleBetweenUploads = 40 * time.Second
	// terminatedCode is what a command that SIGTERM ends would end with.
	terminatedCode = 143
)

type forwardOptions struct {
	folder          folder
	below           bool
	limit           time.Duration // negative: none
	interruptedCode int           // none, or a code
	command         []string
}

// forward hands SIGTERM to the processes that can act on it.
type forward struct {
	forwardOptions
	signals     signals
	child       *child
	looks       *time.Ticker
	hold        holdWatch
	stopping    bool
	since       moment // when the pod was told to stop, valid when stopping
	interrupted bool   // ... and the command ran
	already     map[identity]given
	atSave      *table // who was there when the first that catches was given SIGTERM; nil: none was
	idleSince   moment // 0: osmo_exec has work
	ending      bool
	refused     bool // EPERM has been said
}

func runForward(options forwardOptions, s signals) error {
	f := &forward{
		forwardOptions: options,
		signals:        s,
		hold:           holdWatch{folder: options.folder, mustExist: true},
		already:        map[identity]given{},
	}
	if f.below {
		f.takeLock()
	}
	if pending(s.terminate) {
		f.stop()
		return exitCode(terminatedCode)
	}
	var err error
	if f.child, err = start(options.command, 2, s); err != nil {
		return err
	}
	f.untilChildEnds()
	if f.child.code == 0 && f.interrupted && f.interruptedCode >= 0 {
		return exitCode(f.interruptedCode)
	}
	return exitCode(f.child.code)
}

// takeLock shows that this container lives. Whether it could is of no account here.
func (f *forward) takeLock() {
	path := f.folder.taskLock()
	made, err := createLock(path)
	if err != nil {
		made, err = openLock(path)
	}
	complain(err)
	made.take()
}

func (f *forward) untilChildEnds() {
	f.looks = time.NewTicker(glance)
	defer f.looks.Stop()
	if !f.below {
		f.looks.Stop() // until SIGTERM there is nothing to look at
	}
	for !f.child.ended {
		select {
		case <-f.signals.child:
			f.child.reap()
		case <-f.signals.terminate:
			f.stop()
		case received := <-f.signals.other:
			if f.below && isStop(received) {
				f.stop()
			} else {
				f.child.pass(received)
			}
		case <-f.looks.C:
			if f.stopping {
				f.act()
			} else if f.holdFailed() {
				f.stop()
			}
		}
	}
}

func (f *forward) holdFailed() bool {
	result, there := read(f.folder.result())
	return there && result == failed || f.hold.dead()
}

// stop begins the end. The time counts from the first in the pod that was told: where the container has a preStop hook,
// the others are told earlier.
func (f *forward) stop() {
	if f.stopping {
		return
	}
	f.stopping, f.since = true, now()
	if f.below {
		noteStopping(f.folder.taskStopping())
	}
	if f.child != nil {
		f.looks.Reset(scan)
		f.act()
	}
}

// act does what is to be done now; called again and again while stopping.
func (f *forward) act() {
	// A command that has ended already was not interrupted.
	if f.child.reap(); f.child.ended {
		return
	}
	began := now()
	t, err := readTable(procFolder)
	if err != nil {
		f.withoutTable(err)
		return
	}
	f.looks.Reset(max(scan, min(slowScan, scanShare*now().since(began))))
	maps.DeleteFunc(f.already, func(of identity, _ given) bool {
		p := t.processes[of.pid]
		return p == nil || p.identity != of
	})
	self := os.Getpid()
	var roots []*process
	if f.below {
		roots = f.belowLauncher(t.osmoWork(self, f.child.pid))
		if len(roots) == 0 {
			return
		}
	} else if child := t.processes[f.child.pid]; child == nil || child.zombie {
		return // it has ended while the table was read
	} else if supervise := t.processes[self]; supervise != nil {
		roots = supervise.children
	}
	f.interrupt()
	if f.late() {
		for _, p := range below(roots) {
			f.signal(p, unix.SIGKILL)
		}
		return
	}
	chosen, as := t.targets(roots, f.already, func(p *process) bool { return f.isPartOfTheSave(t, p) })
	if as == asCatcher && len(chosen) > 0 && f.atSave == nil {
		f.atSave = t
	}
	for _, p := range chosen {
		f.already[p.identity] = as
		if !f.signal(p, unix.SIGTERM) {
			f.already[p.identity] = refused
		}
	}
}

// isPartOfTheSave says whether a process is there for what was saved: it came after a trainer had been given SIGTERM, or is
// the shell that waited for one, and goes on now. Between two commands of its script it has no child.
func (f *forward) isPartOfTheSave(t *table, p *process) bool {
	if f.atSave == nil {
		return false
	}
	then := f.atSave.processes[p.pid]
	return then == nil || then.identity != p.identity || len(then.children) > 0 && t.yields(p)
}

// belowLauncher is what may be signalled, where the child is a launcher that must not be. It ends the launcher where it
// has nothing left to do.
func (f *forward) belowLauncher(work osmoWork) []*process {
	if f.ending = f.ending || len(work.roots) == 0 && f.over(work); f.ending {
		f.child.end()
		return nil
	}
	if len(work.roots) > 0 {
		f.idleSince = 0
	}
	return work.roots
}

// over says whether a launcher without a command has nothing to do any more, or must not begin.
func (f *forward) over(work osmoWork) bool {
	if _, started := read(f.folder.started()); !started {
		return true // or the training would begin after SIGTERM
	}
	if work.uploading {
		f.idleSince = 0
		return false
	}
	if f.idleSince == 0 {
		f.idleSince = now()
	}
	if work.uploads {
		return now().since(f.idleSince) >= idleBetweenUploads
	}
	return now().since(f.idleSince) >= idleAfter
}

// interrupt notes that the command was running when the pod was told to stop.
func (f *forward) interrupt() {
	if f.interrupted {
		return
	}
	f.interrupted = true
	if f.below {
		complain(writeTime(f.folder.interrupted(), now()))
	}
}

// late says whether the time is up.
func (f *forward) late() bool {
	if f.limit < 0 {
		return false
	}
	since := f.since
	if f.below {
		if written, there := f.folder.stoppingSince(); there {
			since = min(since, written)
		}
	}
	return now().since(since) >= f.limit
}

// signal says whether the signal was sent, or the process is gone. One line tells of all that are another user's.
func (f *forward) signal(p *process, number unix.Signal) bool {
	err := signalProcess(p.identity, number)
	if err == nil || err == unix.ESRCH {
		return true
	}
	if !f.refused {
		f.refused = true
		say("cannot signal process %d: %v", p.pid, err)
	}
	return false
}

// withoutTable hands SIGTERM to the child, where who else could get it cannot be seen.
func (f *forward) withoutTable(err error) {
	if f.below || f.interrupted {
		return
	}
	say("%v; only the command itself gets SIGTERM", err)
	f.interrupt()
	f.child.send(unix.SIGTERM)
}
