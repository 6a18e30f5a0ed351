package main

import (
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// rehearse runs a command as forward does, tells it to stop as a kubelet would, and says what became of it.
func rehearse(options forwardOptions, after time.Duration, s signals) error {
	options.trace, options.limit = true, options.grace
	f := newForward(options, s)
	tellStop := time.AfterFunc(after, func() {
		say("SIGTERM comes now; SIGKILL would come in %s", options.grace)
		select {
		case s.terminate <- syscall.SIGTERM:
		case <-time.After(time.Second): // it has come already
		}
	})
	defer tellStop.Stop()
	if err := f.run(); err != nil {
		return err
	}
	code := f.code()
	for _, line := range f.verdict(code) {
		say("%s", line)
	}
	return exitCode(code)
}

// verdict says who saved and what was cut.
func (f *forward) verdict(code int) []string {
	if !f.interrupted {
		return []string{"the command ended before SIGTERM came: nothing was rehearsed; see --after"}
	}
	lines := []string{}
	took := f.commandAt.since(f.since).Round(100 * time.Millisecond)
	switch {
	case f.wave == notYet && f.late():
		lines = append(lines, "CUT: nobody catches "+unix.SignalName(f.number)+", and the command was killed when the grace was over")
	case f.wave == notYet:
		lines = append(lines, "NOBODY SAVED: nobody catches "+unix.SignalName(f.number)+", so the command ended at once")
	case f.killed > 0:
		lines = append(lines, fmt.Sprintf("CUT: %d of %d that were told were killed", f.killed, f.toldSavers))
	default:
		lines = append(lines, fmt.Sprintf("%d were told and ended by themselves, the last after %.1f s", f.toldSavers,
			f.savedAt.since(f.since).Seconds()))
	}
	return append(lines, fmt.Sprintf("they wrote %d bytes; the command ended after %s; the container ends with %d",
		f.bytesWritten(), took, code))
}
