// Holds a pod's namespaces: the first process of a sandbox, which reaps orphans where the pod shares its processes.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCHLD)
	for received := range signals {
		if received != syscall.SIGCHLD {
			return
		}
		for {
			ended, _ := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
			if ended <= 0 {
				break
			}
		}
	}
}
