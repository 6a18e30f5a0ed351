package main

import (
	"errors"
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
)

type forwardOptions struct {
	folder          folder
	below           bool
	followed        bool          // another container waits for the end of this one
	limit           time.Duration // negative: none
	grace           time.Duration // negative: not known
	stall           time.Duration // 0: none
	number          unix.Signal   // what means "save"
	interruptedCode int           // none, or a code
	trace           bool
	sync            string // a folder of the checkpoint's file system; "": none
	terminationLog  string // "": nothing is written there
	command         []string
}

// forward hands SIGTERM to the processes that can act on it.
type forward struct {
	forwardOptions
	*memory
	signals     signals
	child       *child
	looks       *time.Ticker
	hold        holdWatch
	stage       stage
	since       moment // when the pod was told to stop, valid when stopping
	interrupted bool   // ... and the command ran
	cut         bool   // ... and somebody was told
	endsWith0   bool   // valid when interrupted: without supervise the container could have ended with 0
	idleSince   moment // 0: osmo_exec has work
	ending      bool
	refused     bool // EPERM has been said
	traced      map[identity]string
	message     account
}

func runForward(options forwardOptions, s signals) error {
	f := newForward(options, s)
	if err := f.run(); err != nil {
		return err
	}
	return exitCode(f.code())
}

func newForward(options forwardOptions, s signals) *forward {
	return &forward{
		forwardOptions: options,
		memory:         newMemory(),
		signals:        s,
		hold:           holdWatch{folder: options.folder, mustExist: true},
		traced:         map[identity]string{},
		message:        account{path: options.terminationLog},
	}
}

// run starts the command and waits for its end. The error is an exitCode.
func (f *forward) run() error {
	if f.below || f.followed {
		f.takeLock()
	}
	if pending(f.signals.terminate) {
		f.stop()
		return exitCode(terminatedCode)
	}
	var err error
	if f.child, err = start(f.command, 2, f.signals); err != nil {
		return err
	}
	f.untilEnd()
	f.leave()
	return nil
}

// leave does what is left to do for a checkpoint, when nobody saves any more.
func (f *forward) leave() {
	if f.wave == notYet {
		return
	}
	if f.savedAt == 0 {
		f.savedAt = now()
	}
	f.message.written = 0
	f.message.write(f.account(), now())
	if f.sync != "" {
		left := syncTime
		if f.grace >= 0 {
			left = min(left, f.grace-now().since(f.since))
		}
		syncInChild(f.sync, left)
	}
}

// untilEnd waits for what happens, collects who has ended, and only then acts on it.
func (f *forward) untilEnd() {
	f.looks = time.NewTicker(glance)
	defer f.looks.Stop()
	if !f.below {
		f.looks.Stop() // until SIGTERM there is nothing to look at
	}
	for f.stage != ended {
		act := func() {}
		select {
		case <-f.signals.child:
		case <-f.signals.terminate:
			act = f.stop
		case received := <-f.signals.other:
			if f.below && isStop(received) {
				act = f.stop
			} else {
				act = func() { f.child.pass(received) }
			}
		case <-f.looks.C:
			act = f.look
		}
		f.child.reap()
		if f.child.ended && f.commandAt == 0 {
			f.commandAt = now()
			f.move(commandEnded)
			act = f.look
		}
		if f.stage != ended {
			act()
		}
	}
}

func (f *forward) look() {
	switch {
	case f.stage.stopping():
		f.act()
	case f.below && f.holdFailed():
		f.stop()
	}
}

func (f *forward) move(by event) {
	next := f.stage.after(by)
	if next == outliving && f.below {
		next = ended
	}
	if next != f.stage && f.trace {
		say("%.1f s: %s, then %s", now().since(f.since).Seconds(), f.stage, next)
	}
	f.stage = next
}

// stop begins the end. The time counts from the first in the pod that was told: where the container has a preStop hook,
// the others are told earlier.
func (f *forward) stop() {
	if f.stage != undisturbed {
		return
	}
	f.since = now()
	f.move(stopCame)
	if f.below || f.followed {
		noteStopping(f.folder.taskStopping())
	}
	if f.child != nil {
		f.looks.Reset(scan)
		f.act()
	}
}

// act does what is to be done now; called again and again while stopping.
func (f *forward) act() {
	began := now()
	t, err := readTable(procFolder)
	if err != nil {
		f.withoutTable(err)
		return
	}
	v := f.view(t, began)
	if v == nil {
		return
	}
	f.looks.Reset(max(scan, min(slowScan, scanShare*now().since(began))))
	if f.late() {
		f.killAll(v)
		return
	}
	actions, events := v.plan(f.stage)
	for _, a := range actions {
		f.apply(v, a)
		v.reasons[a.to.identity] = unix.SignalName(a.number) + ": " + a.why
	}
	f.tell(v)
	if f.wave != notYet {
		f.message.write(f.account(), now())
	}
	for _, e := range events {
		f.move(e)
	}
}

// killAll ends everything that still runs when the time is up.
func (f *forward) killAll(v *view) {
	first := f.stage != killing
	f.move(limitReached)
	for _, p := range below(v.roots) {
		if first && !p.zombie && f.told[p.identity].as.saves() {
			f.killed++
		}
		f.send(p, unix.SIGKILL)
		v.reasons[p.identity] = "SIGKILL: the time is up"
	}
	f.tell(v)
}

// view prepares one look; nil where there is nobody to look at.
func (f *forward) view(t *table, at moment) *view {
	f.forget(t)
	self := t.processes[os.Getpid()]
	v := &view{
		table: t, memory: f.memory, at: at, since: f.since, grace: f.grace, stall: f.stall, number: f.number, self: self,
		roles: map[*process]role{}, programs: map[*process]string{}, reasons: map[identity]string{}, ending: map[*process]bool{},
	}
	switch child := t.processes[f.child.pid]; {
	case f.below:
		if v.roots = f.belowLauncher(t.osmoWork(os.Getpid(), f.child.pid)); len(v.roots) == 0 {
			return nil
		}
	case self == nil || !isOwnTable(procFolder):
		f.withoutTable(errNoTable)
		return nil
	case f.commandAt == 0 && (child == nil || child.zombie):
		return nil // it has ended while the table was read
	default:
		if _, visible := t.signalMask(self, "SigCgt"); !visible {
			f.withoutTable(errNoMasks)
			return nil
		}
		v.roots = append(self.children[:len(self.children):len(self.children)], t.visitors(self)...)
	}
	f.interrupt(v)
	return v
}

// apply carries one action out, and remembers it.
func (f *forward) apply(v *view, a action) {
	as := a.as
	if as.saves() {
		v.observe(v.table, a.to, v.at) // before it acts on the signal: what it writes counts from here
	}
	if !f.send(a.to, a.number) {
		as = refused
	}
	f.cut = f.cut || as != refused
	if a.number == unix.SIGKILL && as != refused {
		f.killed++
	}
	if a.number != unix.SIGKILL || as == refused {
		f.note(v.table, a.to, as, now())
	}
	if as.saves() {
		v.keepLoaders(a.to)
	}
}

// tell prints what has been chosen about each process, and why, where it is new.
func (f *forward) tell(v *view) {
	if !f.trace {
		return
	}
	for _, p := range below(v.roots) {
		if reason := v.reasons[p.identity]; reason != "" && reason != f.traced[p.identity] {
			f.traced[p.identity] = reason
			say("%.1f s: process %d (%s): %s", v.at.since(f.since).Seconds(), p.pid, p.name, reason)
		}
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

// send says whether the signal was sent, or the process is gone. One line tells of all that are another user's.
func (f *forward) send(p *process, number unix.Signal) bool {
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

var (
	errNoTable = errors.New("the process table is another namespace's")
	errNoMasks = errors.New("the kernel does not show who catches SIGTERM")
)

// withoutTable hands the signal to the child, where who else could get it cannot be seen.
func (f *forward) withoutTable(err error) {
	f.move(nothingSaves)
	if f.below || f.interrupted {
		return
	}
	say("%v; only the command itself gets SIGTERM", err)
	f.interrupted, f.endsWith0 = true, true
	f.child.send(f.number)
}
