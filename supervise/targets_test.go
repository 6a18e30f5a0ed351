package main

import "testing"

func TestSIGTERMGoesToTheTopmostThatCatchesOnEachBranch(t *testing.T) {
	for _, c := range []struct {
		name      string
		processes []fake // the child is 2
		already   map[int]given
		spared    int
		want      string
		as        given
	}{
		{
			name:      "a trainer alone",
			processes: []fake{{pid: 2, parent: 1, command: "python train.py", catches: true}},
			want:      "2", as: asCatcher,
		},
		{
			name:      "nothing catches: the leaf",
			processes: []fake{{pid: 2, parent: 1, command: "sh -c x"}, {pid: 3, parent: 2, command: "sleep 9"}},
			want:      "3", as: asLeaf,
		},
		{
			name: "nothing below one that catches",
			processes: []fake{
				{pid: 2, parent: 1, command: "python train.py", catches: true},
				{pid: 3, parent: 2, command: "python train.py", catches: true},
				{pid: 4, parent: 2, command: "python train.py"},
			},
			want: "2", as: asCatcher,
		},
		{
			name: "train | tee log: tee lives on",
			processes: []fake{
				{pid: 2, parent: 1, command: "sh -c x"},
				{pid: 3, parent: 2, command: "python train.py", catches: true},
				{pid: 4, parent: 2, command: "tee log"},
			},
			want: "3", as: asCatcher,
		},
		{
			name: "a shell with a trap yields to the trainer",
			processes: []fake{
				{pid: 2, parent: 1, command: "bash run.sh", catches: true},
				{pid: 3, parent: 2, command: "bash inner.sh", catches: true},
				{pid: 4, parent: 3, command: "python train.py", catches: true},
			},
			want: "4", as: asCatcher,
		},
		{
			name: "a shell with a trap, where nothing below it catches",
			processes: []fake{
				{pid: 2, parent: 1, command: "bash run.sh", catches: true},
				{pid: 3, parent: 2, command: "sleep 9"},
			},
			want: "2", as: asCatcher,
		},
		{
			name: "the lower of two shells with traps",
			processes: []fake{
				{pid: 2, parent: 1, command: "bash run.sh", catches: true},
				{pid: 3, parent: 2, command: "sh inner.sh", catches: true},
			},
			want: "3", as: asCatcher,
		},
		{
			name: "each branch for itself",
			processes: []fake{
				{pid: 2, parent: 1, command: "sh -c x"},
				{pid: 3, parent: 2, command: "python one.py", catches: true},
				{pid: 4, parent: 2, command: "bash -c x", catches: true},
				{pid: 5, parent: 4, command: "go-trainer", catches: true},
				{pid: 6, parent: 2, command: "bash trap.sh", catches: true},
				{pid: 7, parent: 6, command: "sleep 9"},
			},
			want: "3 5 6", as: asCatcher,
		},
		{
			name: "an orphan is a branch of its own",
			processes: []fake{
				{pid: 2, parent: 1, command: "sleep 9"},
				{pid: 3, parent: 1, command: "python train.py", catches: true, session: 3},
			},
			want: "3", as: asCatcher,
		},
		{
			name: "who has got it covers its branch, even without a handler by now",
			processes: []fake{
				{pid: 2, parent: 1, command: "python train.py"},
				{pid: 3, parent: 2, command: "python loader", catches: true},
			},
			already: map[int]given{2: asCatcher},
			want:    "", as: asCatcher,
		},
		{
			name: "work that appears later beside it",
			processes: []fake{
				{pid: 2, parent: 1, command: "sh -c x"},
				{pid: 3, parent: 2, command: "python train.py", catches: true},
				{pid: 4, parent: 2, command: "python other.py", catches: true},
			},
			already: map[int]given{3: asCatcher},
			want:    "4", as: asCatcher,
		},
		{
			name: "no leaf while somebody saves",
			processes: []fake{
				{pid: 2, parent: 1, command: "sh -c x"},
				{pid: 3, parent: 2, command: "python train.py", catches: true},
				{pid: 4, parent: 2, command: "sleep 9"},
			},
			already: map[int]given{3: asCatcher},
			want:    "", as: asCatcher,
		},
		{
			name: "a leaf that ignored it does not get it twice, and hides no other",
			processes: []fake{
				{pid: 2, parent: 1, command: "sh -c x"},
				{pid: 3, parent: 2, command: "stubborn"},
				{pid: 4, parent: 2, command: "sleep 9"},
			},
			already: map[int]given{3: asLeaf},
			want:    "4", as: asLeaf,
		},
		{
			name: "another user's process that refused it: what is below",
			processes: []fake{
				{pid: 2, parent: 1, command: "sudo train", catches: true, exe: "-"},
				{pid: 3, parent: 2, command: "python train.py", catches: true},
			},
			already: map[int]given{2: refused},
			want:    "3", as: asCatcher,
		},
		{
			name: "a zombie is nobody",
			processes: []fake{
				{pid: 2, parent: 1, command: "sh -c x"},
				{pid: 3, parent: 2, command: "python train.py", catches: true, state: "Z"},
			},
			want: "2", as: asLeaf,
		},
		{
			name: "what a script does after the save runs to its end",
			processes: []fake{
				{pid: 2, parent: 1, command: "sh -c train;cp"},
				{pid: 4, parent: 2, command: "cp checkpoint out"},
			},
			spared: 4,
			want:   "", as: asLeaf,
		},
		{
			name: "a shell with a trap goes on when its trainer has saved",
			processes: []fake{
				{pid: 2, parent: 1, command: "bash run.sh", catches: true},
				{pid: 3, parent: 2, command: "python train.py", catches: true, state: "Z"},
			},
			spared: 2,
			want:   "", as: asLeaf,
		},
		{
			name: "programs that signal whole groups yield",
			processes: []fake{
				{pid: 2, parent: 1, command: "dumb-init timeout 9 train", catches: true},
				{pid: 3, parent: 2, command: "timeout 9 train", catches: true},
				{pid: 4, parent: 3, command: "python train.py", catches: true},
			},
			want: "4", as: asCatcher,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			// given
			table := fakeTable(t, append([]fake{{pid: 1, command: "supervise forward"}}, c.processes...))
			already := map[identity]given{}
			for pid, what := range c.already {
				already[table.processes[pid].identity] = what
			}
			// when
			chosen, as := table.targets(table.processes[1].children, already, func(p *process) bool { return c.spared == p.pid })
			// then
			if pids(chosen) != c.want || as != c.as {
				t.Errorf("chose %q as %d, want %q as %d", pids(chosen), as, c.want, c.as)
			}
		})
	}
}

func TestProgramsThatYieldAreKnownByWhatRuns(t *testing.T) {
	for _, c := range []struct {
		command, exe string
		yields       bool
	}{
		{"bash run.sh", "/usr/bin/bash", true},
		{"-bash", "/usr/bin/bash", true},
		{"-zsh", "-", true},
		{"/bin/sh -c x", "/bin/busybox", true},
		{"busybox sh x", "/bin/busybox", true},
		{"busybox httpd", "/bin/busybox", false},
		{"sleep 9", "/bin/busybox.static", false},
		{"/bin/sh run.sh", "/usr/bin/dash (deleted)", true},
		{"bash", "/opt/bash-5.2", true},
		{"ksh93 x", "/bin/ksh93", true},
		{"python train.sh", "/usr/bin/python3.13", false},
		{"ray::train", "/usr/bin/python3", false},
		{"timeout 9 x", "/usr/bin/timeout", true},
		{"timeout 9 x", "/usr/bin/coreutils", true},
		{"/usr/bin/su me", "-", true},
		{"fishing", "-", false},
		{"", "-", false},
	} {
		t.Run(c.command+" "+c.exe, func(t *testing.T) {
			// given
			table := fakeTable(t, []fake{{pid: 2, command: c.command, exe: c.exe}})
			// when
			yields := table.yields(table.processes[2])
			// then
			if yields != c.yields {
				t.Errorf("yields: %v", yields)
			}
		})
	}
}

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
