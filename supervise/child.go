package main

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a process that is to end has between SIGTERM and SIGKILL.
const patience = time.Second

// child is the command that supervise runs. All children and adopted orphans are reaped by it: what is in the process
// table under its PID is the child itself, until reap has seen its end.
type child struct {
	pid            int
	ended          bool
	code           int  // as a shell would say it: 128 + n for signal n; valid when ended
	bySignal       bool // valid when ended
	sharesTerminal bool // the terminal sends its signals to the child as well
	endingSince    moment
	refused        bool // a signal could not be sent, and that has been said
}

// start runs the command with what supervise was given: descriptors, environment, folder. The error is an exitCode.
//
// The child leads a session of its own, as it did when it was PID 1 itself; osmo_exec is recognised by that, too. A
// terminal goes with it, so that Ctrl-C comes to the child's foreground group and only there.
func start(command []string, stderr uintptr, s signals) (*child, error) {
	// Orphans come here also where PID 1 is somebody else (shareProcessNamespace).
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		say("cannot adopt orphans: %v", err)
	}
	c := &child{}
	path, err := exec.LookPath(command[0])
	if err == nil || errors.Is(err, exec.ErrDot) {
		attributes := &syscall.SysProcAttr{Setsid: true}
		c.sharesTerminal = handTerminal(attributes, stderr == 2, s)
		c.pid, err = syscall.ForkExec(path, command, &syscall.ProcAttr{
			Env:   childEnvironment(os.Environ()),
			Files: []uintptr{0, 1, stderr},
			Sys:   attributes,
		})
	}
	switch {
	case err == nil:
		return c, nil
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		say("%s: not found", command[0])
		return nil, exitCode(127)
	}
	var failed *exec.Error
	if errors.As(err, &failed) {
		err = failed.Err
	}
	say("%s: cannot be run: %v", command[0], err)
	return nil, exitCode(126)
}

// handTerminal lets the child take supervise's controlling terminal over. Where supervise does not lead its session (a
// person runs it from a shell) it cannot; then both stay in one group and get the terminal's signals both: true.
func handTerminal(attributes *syscall.SysProcAttr, withStderr bool, s signals) bool {
	session, err := unix.Getsid(0)
	if err != nil {
		return false
	}
	descriptors := 2
	if withStderr {
		descriptors = 3
	}
	for descriptor := range descriptors {
		if of, err := unix.IoctlGetInt(descriptor, unix.TIOCGSID); err != nil || of != session {
			continue
		}
		if session != os.Getpid() {
			attributes.Setsid = false
			return true
		}
		// Who leads a session and gives up its terminal is sent SIGHUP and SIGCONT.
		hangUpIgnored := signal.Ignored(syscall.SIGHUP)
		signal.Ignore(syscall.SIGHUP, syscall.SIGCONT)
		err := unix.IoctlSetInt(descriptor, unix.TIOCNOTTY, 0)
		signal.Notify(s.other, syscall.SIGCONT)
		if !hangUpIgnored {
			signal.Notify(s.other, syscall.SIGHUP)
		}
		if err == nil {
			attributes.Setctty, attributes.Ctty = true, descriptor
		}
		return false
	}
	return false
}

// reap collects all children that have ended.
func (c *child) reap() {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		if pid != c.pid {
			continue
		}
		c.ended = true
		c.code, c.bySignal = status.ExitStatus(), status.Signaled()
		if c.bySignal {
			c.code = 128 + int(status.Signal())
		}
	}
}

// pass hands a signal to the child, unless a terminal has done so already.
func (c *child) pass(received os.Signal) {
	number, known := received.(syscall.Signal)
	if !known || c.ended || c.sharesTerminal && fromTerminal(number) {
		return
	}
	c.send(number)
}

func (c *child) send(number syscall.Signal) {
	if err := syscall.Kill(c.pid, number); err != nil && err != syscall.ESRCH && !c.refused {
		c.refused = true
		say("cannot signal the command (%d): %v", c.pid, err)
	}
}

func fromTerminal(number syscall.Signal) bool {
	switch number {
	case syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTSTP, syscall.SIGWINCH, syscall.SIGHUP, syscall.SIGCONT:
		return true
	}
	return false
}

// end ends the child and, a moment later, all that came of it. To be called again, now and then, until it has ended.
func (c *child) end() {
	if c.ended {
		return
	}
	if c.endingSince == 0 {
		c.endingSince = now()
		c.send(syscall.SIGTERM)
		c.send(syscall.SIGCONT) // a stopped process sees SIGTERM only then
		return
	}
	if now().since(c.endingSince) >= patience {
		killDescendants()
		c.send(syscall.SIGKILL)
	}
}
