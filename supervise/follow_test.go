package main

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A fake process with PID n began n hundredths of a second after the tenth second.
func TestWhoOfAnUploadersProcessesIsTold(t *testing.T) {
	came := moment(20 * time.Second) // processes from PID 502 on had run for less than half of the command's time
	for _, c := range []struct {
		name  string
		table []fake
		want  string
	}{
		{"the command itself", []fake{{pid: 2, command: "python upload.py", catches: true}}, "2"},
		{
			"not what a script with a trap has started",
			[]fake{{pid: 2, command: "sh", catches: true}, {pid: 3, parent: 2, command: "rclone", catches: true}},
			"2",
		},
		{
			"a program below a shell, and nothing below it",
			[]fake{
				{pid: 2, command: "sh"},
				{pid: 3, parent: 2, command: "python", catches: true},
				{pid: 4, parent: 3, command: "python", catches: true},
			},
			"3",
		},
		{
			"no pass of a loop",
			[]fake{{pid: 2, command: "sh"}, {pid: 600, parent: 2, command: "rclone", catches: true}},
			"",
		},
		{"nobody where nothing catches it", []fake{{pid: 2, command: "sh"}, {pid: 3, parent: 2, command: "sleep"}}, ""},
		{"no zombie", []fake{{pid: 2, command: "sh", catches: true, state: "Z"}}, ""},
		{"a command that has just begun", []fake{{pid: 1500, command: "python", catches: true}}, "1500"},
	} {
		t.Run(c.name, func(t *testing.T) {
			// given
			table := fakeTable(t, c.table)
			// when
			chosen := table.uploaders(table.processes[c.table[0].pid], unix.SIGTERM, came)
			// then
			if pids(chosen) != c.want {
				t.Errorf("%s", pids(chosen))
			}
		})
	}
}
