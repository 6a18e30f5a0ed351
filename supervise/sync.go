package main

import (
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// syncTime bounds how long a container lives on so that its checkpoint reaches the disk.
const syncTime = 30 * time.Second

// local are the file systems of this node's disks, by their number in statfs(2). Any other, such as NFS or FUSE, may hang.
var local = []int64{unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC, 0x2fc12fc1}

// syncFiles writes out the file system of a folder where it is a local one. Even to open the folder may hang, so it is a
// process of its own that does it.
func syncFiles(path string) error {
	descriptor, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "sync", Path: path, Err: err}
	}
	defer unix.Close(descriptor)
	var status unix.Statfs_t
	if err := unix.Fstatfs(descriptor, &status); err != nil {
		return err
	}
	if !slices.Contains(local, int64(status.Type)) {
		return nil
	}
	return unix.Syncfs(descriptor)
}

// syncInChild waits for `supervise sync PATH`, at most this long.
func syncInChild(path string, most time.Duration) {
	pid, err := syscall.ForkExec("/proc/self/exe", []string{"supervise", "sync", path}, &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{0, 1, 2},
	})
	if err != nil {
		say("sync of %s: %v", path, err)
		return
	}
	for end := now().after(most); now() < end; time.Sleep(20 * time.Millisecond) {
		if reaped, err := unix.Wait4(pid, nil, unix.WNOHANG, nil); reaped == pid || err != nil && err != unix.EINTR {
			return
		}
	}
	say("sync of %s: not within %s", path, most)
}
