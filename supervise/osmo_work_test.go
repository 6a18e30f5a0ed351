package main

import "testing"

func TestWhatRunsBelowOsmoExec(t *testing.T) {
	exec := "/osmo/bin/osmo_exec -socketPath /osmo/s -userBinPath /osmo/usr/bin -checkpoint a;b;60; -command python"
	for _, c := range []struct {
		name      string
		processes []fake // osmo_exec is 2
		roots     string
		uploading bool
	}{
		{name: "not yet begun", roots: ""},
		{
			name:      "the user command leads a group",
			processes: []fake{{pid: 3, parent: 2, command: "python train.py", group: 3}},
			roots:     "3",
		},
		{
			name: "osmo uploads from osmo_exec's own group",
			processes: []fake{
				{pid: 3, parent: 2, command: "python train.py", group: 3},
				{pid: 4, parent: 2, command: "osmo data upload", catches: true},
			},
			roots: "3", uploading: true,
		},
		{
			name: "rsync is no user command",
			processes: []fake{
				{pid: 3, parent: 2, command: "/osmo/usr/bin/rsync --daemon", group: 3},
				{pid: 4, parent: 2, command: "rsync from to", group: 4},
			},
			roots: "4",
		},
		{
			name:      "an interactive shell has a session of its own",
			processes: []fake{{pid: 3, parent: 2, command: "bash", group: 3, session: 3}},
			roots:     "",
		},
		{
			name:      "a fork that is yet to become somebody",
			processes: []fake{{pid: 3, parent: 2, command: exec, group: 3}},
			roots:     "",
		},
		{
			name:      "a command that has ended",
			processes: []fake{{pid: 3, parent: 2, command: "python", group: 3, state: "Z"}},
			roots:     "",
		},
		{
			name: "orphans belong to a running command, a leftover of an upload does not",
			processes: []fake{
				{pid: 3, parent: 2, command: "sh -c x", group: 3},
				{pid: 4, parent: 1, command: "python train.py", group: 4, session: 4},
				{pid: 5, parent: 1, command: "osmo-cli", group: 2, session: 2},
				{pid: 6, parent: 1, command: "/osmo/usr/bin/rsync --daemon", group: 6, session: 6},
			},
			roots: "3 4", uploading: true,
		},
		{
			name: "an orphan that has osmo_exec's pipe is the command still",
			processes: []fake{
				{pid: 3, parent: 1, command: "sh -c x", group: 3, session: 3},
				{pid: 4, parent: 3, command: "python train.py", pipes: []string{"socket:[9]", "pipe:[71]"}},
			},
			roots: "3",
		},
		{
			name: "another orphan is not, once the command is over",
			processes: []fake{
				{pid: 3, parent: 1, command: "sh", group: 3, session: 2, pipes: []string{"pipe:[99]"}},
				{pid: 4, parent: 1, command: "sh", group: 4, session: 4},
			},
			roots: "",
		},
		{
			name: "where descriptors cannot be seen, the session decides",
			processes: []fake{
				{pid: 3, parent: 1, command: "train", group: 3, session: 2, noDescriptors: true},
				{pid: 4, parent: 1, command: "other", group: 4, session: 4, noDescriptors: true},
			},
			roots: "3 4",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			// given
			table := fakeTable(t, append([]fake{
				{pid: 1, command: "supervise forward"},
				{pid: 2, parent: 1, command: exec, group: 2, session: 2, pipes: []string{"pipe:[71]"}},
			}, c.processes...))
			// when
			work := table.osmoWork(1, 2)
			// then
			if pids(work.roots) != c.roots || work.uploading != c.uploading || !work.uploads {
				t.Errorf("found %q, uploading %v, uploads %v", pids(work.roots), work.uploading, work.uploads)
			}
		})
	}
}

func TestGoFlagsAreReadAsGoReadsThem(t *testing.T) {
	for _, c := range []struct {
		command []string
		want    string
		given   bool
	}{
		{[]string{"x", "-name", "a"}, "a", true},
		{[]string{"x", "--name", "a"}, "a", true},
		{[]string{"x", "-name=a=b"}, "a=b", true},
		{[]string{"x", "--name="}, "", true},
		{[]string{"x", "-named", "a", "name=a"}, "", false},
		{[]string{"x", "-name"}, "", false},
	} {
		// when
		value, given := goFlag(c.command, "name")
		// then
		if value != c.want || given != c.given {
			t.Errorf("%q: %q %v", c.command, value, given)
		}
	}
}

func TestBelowGivesParentsFirst(t *testing.T) {
	// given
	table := fakeTable(t, []fake{{pid: 2}, {pid: 5, parent: 2}, {pid: 3, parent: 2}, {pid: 9, parent: 5}, {pid: 7, parent: 1}})
	// when
	found := below([]*process{table.processes[2]})
	// then
	if pids(found) != "2 3 5 9" {
		t.Errorf("found %s", pids(found))
	}
}
