package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// complain says the first trouble with the folder: where it is full or read-only, the rest is more of the same.
func complain(err error) {
	if err != nil {
		firstTrouble.Do(func() { say("%v", err) })
	}
}

var firstTrouble sync.Once

// folder holds the small files through which the containers of a pod talk. Whoever reads one cannot trust who wrote it:
// all that is in task/ may come from user code.
type folder string

func (f folder) started() string      { return filepath.Join(string(f), "hold", "started") }
func (f folder) result() string       { return filepath.Join(string(f), "hold", "result") }
func (f folder) holdLock() string     { return filepath.Join(string(f), "hold", "lock") }
func (f folder) holdStopping() string { return filepath.Join(string(f), "hold", "stopping") }
func (f folder) taskLock() string     { return filepath.Join(string(f), "task", "lock") }
func (f folder) taskStopping() string { return filepath.Join(string(f), "task", "stopping") }
func (f folder) interrupted() string  { return filepath.Join(string(f), "task", "interrupted") }

const (
	success = "success"
	failed  = "failed"
	// longest content of a file; all that is longer was not written by supervise.
	longest = 64
)

// stoppingSince is the time at which the pod was first seen to be told to stop; never later than now.
func (f folder) stoppingSince() (moment, bool) {
	earliest, found := now(), false
	for _, path := range []string{f.holdStopping(), f.taskStopping()} {
		text, there := read(path)
		if !there {
			continue
		}
		found = true
		if written, err := strconv.ParseInt(text, 10, 64); err == nil {
			earliest = max(0, min(earliest, moment(written)))
		}
	}
	return earliest, found
}

// writeOnce makes a file whole, or not at all; one that is there already stays as it is.
//
// A link appears at once and never replaces anything, and a name that user code has laid out as a trap (a symbolic
// link, a FIFO) is not followed.
func writeOnce(path, content string) error {
	temporary := fmt.Sprintf("%s/.%s.%d.%d", filepath.Dir(path), filepath.Base(path), os.Getpid(), now())
	descriptor, err := unix.Open(temporary, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o444)
	if err != nil {
		return pathError("write", path, err)
	}
	defer unix.Unlink(temporary)
	defer unix.Close(descriptor)
	// Other containers read it, under other users; the umask is the image's.
	if err := unix.Fchmod(descriptor, 0o444); err != nil {
		return pathError("write", path, err)
	}
	if written, err := unix.Write(descriptor, []byte(content)); err != nil || written < len(content) {
		return pathError("write", path, err)
	}
	if err := unix.Link(temporary, path); err != nil && err != unix.EEXIST {
		return pathError("write", path, err)
	}
	return nil
}

func writeTime(path string, at moment) error {
	return writeOnce(path, strconv.FormatInt(int64(at), 10))
}

// read gives the content of a file that supervise may have written. It never waits and never follows a link.
func read(path string) (string, bool) {
	descriptor, err := openRegular(path)
	if err != nil {
		return "", false
	}
	defer unix.Close(descriptor)
	content := make([]byte, longest+1)
	length, err := unix.Read(descriptor, content)
	if err != nil || length > longest {
		return "", false
	}
	return strings.TrimSpace(string(content[:length])), true
}

var errNotRegular = errors.New("not a regular file")

func openRegular(path string) (int, error) {
	descriptor, err := unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	var status unix.Stat_t
	if err := unix.Fstat(descriptor, &status); err != nil || status.Mode&unix.S_IFMT != unix.S_IFREG {
		unix.Close(descriptor)
		return -1, errNotRegular
	}
	return descriptor, nil
}

// lock is held for life: the kernel gives it back however the process ends, so that nobody waits for the dead.
type lock struct{ descriptor int }

// createLock makes the lock's file; os.ErrExist where it is there already.
func createLock(path string) (*lock, error) {
	descriptor, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o444)
	if err != nil {
		return nil, pathError("make", path, err)
	}
	unix.Fchmod(descriptor, 0o444)
	return &lock{descriptor}, nil
}

// openLock opens a lock's file that is there.
func openLock(path string) (*lock, error) {
	descriptor, err := openRegular(path)
	if err != nil {
		return nil, pathError("open", path, err)
	}
	return &lock{descriptor}, nil
}

// take takes the lock where that is possible at once: user code may sit on it, and those who look whether it is free
// hold it for an instant.
func (l *lock) take() bool {
	return l != nil && unix.Flock(l.descriptor, unix.LOCK_EX|unix.LOCK_NB) == nil
}

// release gives the lock back for good.
func (l *lock) release() {
	if l != nil {
		unix.Close(l.descriptor)
	}
}

type lockState int

const (
	lockMissing lockState = iota
	lockFree
	lockHeld
)

// stateOf says whether the owner of a lock lives.
func stateOf(path string) lockState {
	descriptor, err := openRegular(path)
	if err != nil {
		return lockMissing
	}
	defer unix.Close(descriptor)
	if unix.Flock(descriptor, unix.LOCK_SH|unix.LOCK_NB) != nil {
		return lockHeld
	}
	return lockFree
}

func pathError(doing, path string, err error) error {
	if err == nil {
		err = unix.ENOSPC // a short write
	}
	return &os.PathError{Op: doing, Path: path, Err: err}
}
