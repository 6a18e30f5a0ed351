package main

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"
)

const (
	// backlogTime is what osmo_ctrl gets after its uploads: it sends one buffered log line in 100 ms, and asks the
	// service for an answer that may never come.
	backlogTime = 30 * time.Second
	// reserve is kept of the grace for ending.
	reserve = 5 * time.Second
	// stopCode is what osmo_ctrl itself ends with on SIGTERM.
	stopCode = 1
	// killedCode stands for an uploader that was killed together with its supervise.
	killedCode = 137
)

type holdOptions struct {
	folder          folder
	sidecar         bool
	grace           time.Duration
	interruptedCode int // none, or a code
	terminationLog  string
	command         []string
}

// hold keeps SIGTERM from an uploader until nothing can be lost.
type hold struct {
	holdOptions
	signals  signals
	lock     *lock
	locked   bool
	child    *child
	stderr   *stderrCopy
	phase    phase
	told     bool   // SIGTERM has come
	stopping bool   // the pod has been told to stop
	since    moment // ... at this time, valid when stopping
	safeAt   moment // when stopping and safe were first true together
	endsAs   string // the result, where hold ends the child itself
}

func runHold(options holdOptions, s signals) error {
	h := &hold{holdOptions: options, signals: s}
	if again := h.takeLock(); again {
		return h.afterRestart()
	}
	if pending(s.terminate) {
		h.terminate()
	}
	h.look()
	if h.stopping {
		return h.finish(failed, stopCode)
	}
	stderr, err := newStderrCopy()
	if err != nil {
		return err
	}
	h.child, err = start(options.command, uintptr(stderr.writer), s)
	syscall.Close(stderr.writer)
	if err != nil {
		var code exitCode
		errors.As(err, &code)
		return h.finish(failed, int(code))
	}
	h.stderr = stderr
	go stderr.run(os.Stderr)
	h.untilChildEnds()
	result, code := h.outcome()
	return h.finish(result, code)
}

// takeLock makes the lock and says whether it was there before: then the container has been restarted. A folder that
// cannot be written must not stop an upload.
func (h *hold) takeLock() (again bool) {
	path := h.folder.holdLock()
	made, err := createLock(path)
	if errors.Is(err, fs.ErrExist) {
		again = true
		made, err = openLock(path)
	}
	complain(err) // the upload is protected all the same
	h.lock = made
	h.locked = made.take()
	return again
}

// afterRestart starts nothing: the first osmo_ctrl is gone, and osmo_exec speaks to no second one.
func (h *hold) afterRestart() error {
	terminationMessage(h.terminationLog).write(killedCode)
	return h.finish(failed, killedCode)
}

func (h *hold) untilChildEnds() {
	glances := time.NewTicker(glance)
	defer glances.Stop()
	for {
		h.act()
		if h.child.ended {
			return
		}
		select {
		case <-h.signals.child:
			h.child.reap()
		case <-h.signals.terminate:
			h.terminate()
		case received := <-h.signals.other:
			if isStop(received) {
				h.terminate()
			} else {
				h.child.pass(received)
			}
		case reached := <-h.stderr.phases:
			h.enter(reached)
		case <-glances.C:
			h.locked = h.locked || h.lock.take()
			h.look()
		}
	}
}

func (h *hold) terminate() {
	h.told = true
	noteStopping(h.folder.holdStopping())
	if !h.stopping {
		h.stopping, h.since = true, now()
	}
	h.look()
}

// look reads whether the pod has been told to stop: another container may have seen it first.
func (h *hold) look() {
	if since, there := h.folder.stoppingSince(); there {
		if !h.stopping || since < h.since {
			h.since = since
		}
		h.stopping = true
	}
}

func (h *hold) enter(reached phase) {
	h.phase = reached
	// Both phases may come in one piece; the first note stands.
	complain(writeTime(h.folder.started(), now()))
}

// act ends the child where nothing can be lost by it.
func (h *hold) act() {
	// What came together with SIGTERM came before it.
	select {
	case reached := <-h.stderr.phases:
		h.enter(reached)
	default:
	}
	if h.stopping && h.endsAs == "" {
		switch h.phase {
		case preparing:
			h.endsAs = failed
		case safe:
			if h.safeAt == 0 {
				h.safeAt = now()
			}
			if now() >= min(h.safeAt.after(backlogTime), h.since.after(h.grace-reserve)) {
				h.endsAs = success
			}
		case running:
		}
	}
	if h.endsAs != "" {
		h.child.end()
	}
}

// outcome is the result and the code that the child's end means.
func (h *hold) outcome() (string, int) {
	message := terminationMessage(h.terminationLog)
	switch {
	case h.endsAs == failed:
		return failed, stopCode
	case h.endsAs != success && h.child.code != 0:
		if h.child.bySignal && message.empty() {
			message.write(h.child.code)
		}
		return failed, h.child.code
	}
	code := 0
	if _, interrupted := read(h.folder.interrupted()); interrupted && h.interruptedCode >= 0 {
		code = h.interruptedCode
	}
	if code != 0 || h.endsAs == success && message.empty() {
		message.write(code)
	}
	return success, code
}

// finish tells the result and ends with the code; a sidecar when SIGTERM has come.
func (h *hold) finish(result string, code int) error {
	if err := writeOnce(h.folder.result(), result); err != nil {
		complain(err)
		h.lock.release() // nobody must wait for a result that never comes
	}
	var done chan struct{} // nil: all of stderr is out
	if h.stderr != nil {
		killDescendants() // as the kernel does when a PID 1 ends; a sidecar lives on
		h.stderr.finish()
		done = h.stderr.done
	}
	var late <-chan time.Time
	for {
		if done == nil && (h.told || !h.sidecar) {
			return exitCode(code)
		}
		if h.told && late == nil {
			h.look()
			late = time.After(max(0, h.grace-reserve-now().since(h.since)))
		}
		select {
		case <-done:
			done = nil
		case <-late: // nobody reads stderr
			done = nil
		case <-h.signals.terminate:
			h.terminate()
		case received := <-h.signals.other:
			if isStop(received) {
				h.terminate()
			}
		case <-h.signals.child:
			(&child{}).reap()
		}
	}
}
