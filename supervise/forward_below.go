package main

import "time"

// What forward does beside the rest with --below, where its child is osmo_exec.

const (
	// idleAfter is how long osmo_exec may have neither a command nor an upload before it is ended; longer where it
	// uploads checkpoints, because it sleeps for up to 32 s when the service has put an upload off (its exit code 75).
	idleAfter          = 5 * time.Second
	idleBetweenUploads = 40 * time.Second
)

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

func (f *forward) holdFailed() bool {
	result, there := read(f.folder.result())
	return there && result == failed || f.hold.dead()
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
