package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// say writes one line to stderr, or drops it where nobody has read stderr for a second: what supervise has to do must
// not wait for what it has to say.
func say(format string, values ...any) {
	writable := []unix.PollFd{{Fd: 2, Events: unix.POLLOUT}}
	if ready, err := unix.Poll(writable, 1000); ready == 0 && err == nil {
		return
	}
	fmt.Fprintf(os.Stderr, "supervise: "+format+"\n", values...)
}
