package main

import (
	"time"
)

const (
	// glance is the time between two looks at what another container has written. A look is four system calls: 2 looks
	// a second cost nothing that can be measured, and need nothing (inotify) that a node can run out of.
	glance = 500 * time.Millisecond
	// deadAfter is how long hold's lock must be free: a restarted one takes it again.
	deadAfter = 15 * time.Second
)

// runGate keeps the pod alive until hold has a result. It is a container of its own because the kubelet starts the
// clock of a sidecar when the last regular container has ended: were it the user's, that could be an OOM kill with the
// upload still to come.
func runGate(f folder, s signals) error {
	look := time.NewTicker(glance)
	defer look.Stop()
	hold := holdWatch{folder: f, freeSince: now()}
	for {
		if result, there := read(f.result()); there {
			return resultError(result)
		}
		if hold.dead() {
			// It may have written its result as its last act.
			if result, there := read(f.result()); there {
				return resultError(result)
			}
			say("the container that uploads has gone without a result")
			return exitCode(1)
		}
		select {
		case <-s.terminate:
			noteStopping(f.taskStopping())
		case received := <-s.other:
			if isStop(received) {
				noteStopping(f.taskStopping())
			}
		case <-s.child: // none of its own, but a shared process namespace may bring it orphans
			(&child{}).reap()
		case <-look.C:
		}
	}
}

func resultError(result string) error {
	if result == success {
		return nil
	}
	return exitCode(1)
}

// holdWatch tells whether hold is gone for good.
type holdWatch struct {
	folder    folder
	freeSince moment // 0: not known to be free
	mustExist bool   // a lock that was never there is one that is yet to come
}

func (w *holdWatch) dead() bool {
	state := stateOf(w.folder.holdLock())
	switch {
	case state == lockHeld, state == lockMissing && w.mustExist:
		w.freeSince = 0
		return false
	case w.freeSince == 0:
		w.freeSince = now()
	}
	return now().since(w.freeSince) >= deadAfter
}

// noteStopping writes that the pod was told to stop; the first note stands.
func noteStopping(path string) {
	if _, there := read(path); there {
		return
	}
	complain(writeTime(path, now()))
}
