package main

import (
	"time"

	"golang.org/x/sys/unix"
)

// moment is CLOCK_BOOTTIME: one clock for all containers of a node, which nobody sets and which goes on in suspend.
type moment time.Duration

func now() moment {
	var read unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &read); err != nil {
		panic(err) // Linux has had this clock since 2.6.39
	}
	return moment(read.Nano())
}

func (m moment) since(earlier moment) time.Duration { return time.Duration(m - earlier) }

func (m moment) after(wait time.Duration) moment { return m + moment(wait) }
