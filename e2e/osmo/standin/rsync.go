package main

import "time"

// serveRsync is the daemon that osmo_exec starts beside the user command: it serves until it is killed.
func serveRsync() {
	note("rsync begins", "")
	for {
		time.Sleep(time.Hour)
	}
}
