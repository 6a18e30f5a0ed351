package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const procFolder = "/proc"

// identity names a process beyond the reuse of its PID.
type identity struct {
	pid     int
	started uint64 // clock ticks after boot
}

// process is one line of the process table.
type process struct {
	identity
	parent, group, session int
	zombie                 bool
	children               []*process // by PID
}

// table is the process table, as /proc told it a moment ago.
type table struct {
	folder    string
	processes map[int]*process
}

// readTable reads all processes that can be seen. It fails only where there is no /proc.
func readTable(folder string) (*table, error) {
	opened, err := os.Open(folder)
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	names, err := opened.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	t := &table{folder: folder, processes: make(map[int]*process, len(names))}
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			if found := readProcess(folder, pid); found != nil {
				t.processes[pid] = found
			}
		}
	}
	for _, found := range t.processes {
		if parent := t.processes[found.parent]; parent != nil {
			parent.children = append(parent.children, found)
		}
	}
	for _, found := range t.processes {
		slices.SortFunc(found.children, func(a, b *process) int { return a.pid - b.pid })
	}
	return t, nil
}

// readProcess reads /proc/PID/stat (proc_pid_stat(5)); nil where the process has gone.
func readProcess(folder string, pid int) *process {
	content, err := os.ReadFile(filepath.Join(folder, strconv.Itoa(pid), "stat"))
	if err != nil {
		return nil
	}
	// The name, the second field, may hold spaces and brackets.
	fields := bytes.Fields(content[bytes.LastIndexByte(content, ')')+1:])
	if len(fields) < 20 {
		return nil
	}
	number := func(field int) int {
		value, _ := strconv.Atoi(string(fields[field-3]))
		return value
	}
	started, _ := strconv.ParseUint(string(fields[22-3]), 10, 64)
	state := fields[0][0]
	return &process{
		identity: identity{pid, started},
		parent:   number(4),
		group:    number(5),
		session:  number(6),
		zombie:   state == 'Z' || state == 'X',
	}
}

// below is the processes and all that came of them, parents first.
func below(roots []*process) []*process {
	found := slices.Clone(roots)
	for i := 0; i < len(found); i++ {
		found = append(found, found[i].children...)
	}
	return found
}

func (t *table) file(p *process, name string) string {
	return filepath.Join(t.folder, strconv.Itoa(p.pid), name)
}

// catches says whether the process has a handler for SIGTERM.
func (t *table) catches(p *process) bool {
	status, err := os.ReadFile(t.file(p, "status"))
	if err != nil {
		return false
	}
	_, after, found := strings.Cut(string(status), "\nSigCgt:")
	if !found {
		return false
	}
	text, _, _ := strings.Cut(after, "\n")
	mask, err := strconv.ParseUint(strings.TrimSpace(text), 16, 64)
	return err == nil && mask&(1<<(unix.SIGTERM-1)) != 0
}

func (t *table) arguments(p *process) []string {
	line, err := os.ReadFile(t.file(p, "cmdline"))
	if err != nil || len(line) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
}

// Programs that catch SIGTERM for their own ends, and yield to what is below them.
var (
	shells = []string{"sh", "bash", "dash", "ash", "rbash", "zsh", "ksh", "mksh", "yash", "fish", "csh", "tcsh", "rc"}
	// timeout and dumb-init signal whole groups; su and runuser SIGKILL their child 2 s after SIGTERM.
	relays = []string{"timeout", "dumb-init", "su", "runuser"}
)

// yields goes by the program; the name in the process table is the script's where it begins with #!.
func (t *table) yields(p *process) bool {
	arguments := t.arguments(p)
	name := ""
	if len(arguments) > 0 {
		name = strings.TrimPrefix(program(arguments[0]), "-") // a login shell
	}
	// Another user's cannot be read. A program of many names says which by its arguments.
	if path, err := os.Readlink(t.file(p, "exe")); err == nil && !slices.Contains(manyNames, program(path)) {
		name = program(strings.TrimSuffix(path, " (deleted)"))
	}
	if slices.Contains(manyNames, name) && len(arguments) > 1 {
		name = arguments[1]
	}
	return slices.Contains(shells, name) || slices.Contains(relays, name)
}

var manyNames = []string{"busybox", "toybox", "coreutils"}

// program is the name of a program without folder and version: bash for /usr/local/bin/bash-5.2.
func program(path string) string {
	name := filepath.Base(path)
	if end := strings.IndexAny(name, ".0123456789"); end > 0 {
		name = strings.TrimSuffix(name[:end], "-")
	}
	return name
}

// pipes are the pipes that a process has open; false where that cannot be seen (another user's).
func (t *table) pipes(p *process) (map[string]bool, bool) {
	folder := t.file(p, "fd")
	descriptors, err := os.ReadDir(folder)
	if err != nil {
		return nil, false
	}
	found := map[string]bool{}
	for _, descriptor := range descriptors {
		if target, err := os.Readlink(filepath.Join(folder, descriptor.Name())); err == nil && strings.HasPrefix(target, "pipe:") {
			found[target] = true
		}
	}
	return found, true
}
