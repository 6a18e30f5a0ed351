package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

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
	terminal               int    // the controlling terminal's device; 0: none
	name                   string // at most 15 bytes, and the program may change it
	state                  byte   // as in proc_pid_stat(5)
	zombie                 bool
	children               []*process // by PID
}

// startedAt is when the process began, good to 10 ms: proc_pid_stat(5) counts hundredths of a second after boot.
func (p *process) startedAt() moment { return moment(time.Duration(p.started) * 10 * time.Millisecond) }

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

// isOwnTable says whether the folder tells of supervise's own PID namespace.
func isOwnTable(folder string) bool {
	self, err := os.Readlink(filepath.Join(folder, "self"))
	return err == nil && self == strconv.Itoa(os.Getpid())
}

// readProcess reads /proc/PID/stat (proc_pid_stat(5)); nil where the process has gone.
func readProcess(folder string, pid int) *process {
	content, err := os.ReadFile(filepath.Join(folder, strconv.Itoa(pid), "stat"))
	if err != nil {
		return nil
	}
	// The name, the second field, may hold spaces and brackets.
	nameEnd := bytes.LastIndexByte(content, ')')
	fields := bytes.Fields(content[nameEnd+1:])
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
		terminal: number(7),
		name:     string(content[bytes.IndexByte(content, '(')+1 : nameEnd]),
		state:    state,
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

// walk visits the processes and what is below them, parents first; below one only where the visit says so.
func walk(roots []*process, visit func(p *process) (descend bool)) {
	for _, p := range roots {
		if visit(p) {
			walk(p.children, visit)
		}
	}
}

func (t *table) file(p *process, name string) string {
	return filepath.Join(t.folder, strconv.Itoa(p.pid), name)
}

// signalMask reads one of the masks of proc_pid_status(5), such as SigCgt; false where the kernel does not show it.
func (t *table) signalMask(p *process, mask string) (uint64, bool) {
	status, err := os.ReadFile(t.file(p, "status"))
	if err != nil {
		return 0, false
	}
	_, after, there := strings.Cut(string(status), "\n"+mask+":")
	if !there {
		return 0, false
	}
	text, _, _ := strings.Cut(after, "\n")
	value, err := strconv.ParseUint(strings.TrimSpace(text), 16, 64)
	return value, err == nil
}

func holds(mask uint64, number unix.Signal) bool { return mask&(1<<(number-1)) != 0 }

// catches says whether the process has a handler for the signal.
func (t *table) catches(p *process, number unix.Signal) bool {
	mask, _ := t.signalMask(p, "SigCgt")
	return holds(mask, number)
}

// environment is what the process was started with; nil where it cannot be seen (another user's).
func (t *table) environment(p *process) map[string]string {
	content, err := os.ReadFile(t.file(p, "environ"))
	if err != nil {
		return nil
	}
	variables := map[string]string{}
	for entry := range strings.SplitSeq(string(content), "\x00") {
		if name, value, whole := strings.Cut(entry, "="); whole {
			variables[name] = value
		}
	}
	return variables
}

// written is how many bytes the process has handed to write(2) and its kin; false where that cannot be seen.
func (t *table) written(p *process) (uint64, bool) {
	content, err := os.ReadFile(t.file(p, "io"))
	if err != nil {
		return 0, false
	}
	_, after, there := strings.Cut("\n"+string(content), "\nwchar: ")
	if !there {
		return 0, false
	}
	text, _, _ := strings.Cut(after, "\n")
	value, err := strconv.ParseUint(text, 10, 64)
	return value, err == nil
}

func (t *table) arguments(p *process) []string {
	line, err := os.ReadFile(t.file(p, "cmdline"))
	if err != nil || len(line) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
}

// pipes are the pipes that a process has open; false where that cannot be seen (another user's).
func (t *table) pipes(p *process) (map[string]bool, bool) {
	return t.openFiles(p, func(target string) bool { return strings.HasPrefix(target, "pipe:") })
}

// openFiles are those that a process has open and that are wanted; false where that cannot be seen (another user's).
func (t *table) openFiles(p *process, wanted func(target string) bool) (map[string]bool, bool) {
	folder := t.file(p, "fd")
	descriptors, err := os.ReadDir(folder)
	if err != nil {
		return nil, false
	}
	open := map[string]bool{}
	for _, descriptor := range descriptors {
		if target, err := os.Readlink(filepath.Join(folder, descriptor.Name())); err == nil && wanted(target) {
			open[target] = true
		}
	}
	return open, true
}
