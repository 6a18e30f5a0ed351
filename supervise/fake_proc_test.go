package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// fake is a process of an invented /proc.
type fake struct {
	pid, parent    int
	command        string   // words; the program is the first
	arguments      []string // in place of words
	catches        bool
	group, session int      // 0: the parent's, or its own PID where the parent is not there
	exe            string   // "": /bin/ and the first word; "-": cannot be read
	state          string   // "": S
	pipes          []string // open files
	noDescriptors  bool     // they cannot be seen
	name           string   // in the process table
	environment    string   // words
	background     bool     // SIGINT and SIGQUIT are ignored
	written        int
	catchesUSR1    bool
	ignores        bool   // SIGTERM
	torch          string // the version that it has loaded
}

func fakeTable(t *testing.T, fakes []fake) *table {
	t.Helper()
	folder := t.TempDir()
	known := map[int]*fake{}
	for i := range fakes {
		f := &fakes[i]
		parent := known[f.parent]
		if f.group == 0 {
			f.group = f.pid
			if parent != nil {
				f.group = parent.group
			}
		}
		if f.session == 0 {
			f.session = f.pid
			if parent != nil {
				f.session = parent.session
			}
		}
		known[f.pid] = f
		f.write(t, filepath.Join(folder, strconv.Itoa(f.pid)))
	}
	if err := os.Mkdir(filepath.Join(folder, "sys"), 0o755); err != nil {
		t.Fatal(err)
	}
	read, err := readTable(folder)
	if err != nil {
		t.Fatal(err)
	}
	return read
}

func (f *fake) write(t *testing.T, folder string) {
	t.Helper()
	words := strings.Fields(f.command)
	if f.arguments != nil {
		words = f.arguments
	}
	state := f.state
	if state == "" {
		state = "S"
	}
	mask := "0000000180000000"
	if f.catches {
		mask = "0000000180004002"
	}
	if f.catchesUSR1 {
		mask = "0000000180000202"
	}
	ignored := "0000000000000000"
	if f.background {
		ignored = "0000000000000006"
	}
	if f.ignores {
		ignored = "0000000000004000"
	}
	name := f.name
	if name == "" {
		name = "a ) S 1 (b" // a name may look like the rest of the line
	}
	files := map[string]string{
		"stat": fmt.Sprintf("%d (%s) %s %d %d %d 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 %d 1000 20\n",
			f.pid, name, state, f.parent, f.group, f.session, 1000+f.pid),
		"status":  "Name:\tx\nSigIgn:\t" + ignored + "\nSigCgt:\t" + mask + "\nCapInh:\t0\n",
		"environ": strings.Join(strings.Fields(f.environment), "\x00") + "\x00",
		"io":      fmt.Sprintf("rchar: 1\nwchar: %d\nsyscr: 2\n", f.written),
		"cmdline": strings.Join(words, "\x00") + "\x00",
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	exe := f.exe
	if exe == "" {
		exe = "/bin/" + filepath.Base(strings.Join(words[:min(len(words), 1)], ""))
	}
	if exe != "-" {
		if err := os.Symlink(exe, filepath.Join(folder, "exe")); err != nil {
			t.Fatal(err)
		}
	}
	if f.torch != "" {
		f.writeTorch(t, folder)
	}
	if f.noDescriptors {
		return
	}
	if err := os.Mkdir(filepath.Join(folder, "fd"), 0o755); err != nil {
		t.Fatal(err)
	}
	for i, pipe := range f.pipes {
		if err := os.Symlink(pipe, filepath.Join(folder, "fd", strconv.Itoa(i+1))); err != nil {
			t.Fatal(err)
		}
	}
}

// writeTorch writes what shows the version of a torch from PyPI.
func (f *fake) writeTorch(t *testing.T, folder string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(folder, "root", "opt", "torch"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"maps":                      "7f00-7f01 r-xp 00000000 00:00 1    /opt/torch/_C.cpython-313-x86_64-linux-gnu.so\n",
		"root/opt/torch/version.py": "from typing import Optional\n\n__version__ = '" + f.torch + "'\ndebug = False\n",
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func pids(processes []*process) string {
	var found []string
	for _, p := range processes {
		found = append(found, strconv.Itoa(p.pid))
	}
	return strings.Join(found, " ")
}
