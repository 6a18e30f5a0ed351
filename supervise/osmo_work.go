package main

import (
	"path/filepath"
	"slices"
	"strings"
)

// osmoWork is what goes on below osmo_exec.
type osmoWork struct {
	roots     []*process // the user command and what it has orphaned; none: it is over, or not yet there
	uploading bool       // an `osmo` process (a checkpoint upload) is there
	uploads   bool       // the command line asks for checkpoint uploads
}

// osmoWork tells apart what runs in the container of the osmo_exec that supervise has started.
//
// The user command is a child of osmo_exec that leads its own group in osmo_exec's session; so is rsync, known by its
// name. `osmo` stays in osmo_exec's own group. Interactive shells (`osmo workflow exec`) have sessions of their own.
func (t *table) osmoWork(self, launcher int) osmoWork {
	var work osmoWork
	exec, supervise := t.processes[launcher], t.processes[self]
	if exec == nil || supervise == nil {
		return work
	}
	command := t.arguments(exec)
	rsync := "/osmo/usr/bin/rsync"
	if path, given := goFlag(command, "userBinPath"); given {
		rsync = filepath.Clean(path) + "/rsync"
	}
	_, work.uploads = goFlag(command, "checkpoint")
	isRsync := func(p *process) bool {
		arguments := t.arguments(p)
		return len(arguments) > 0 && arguments[0] == rsync
	}
	for _, p := range exec.children {
		switch {
		case p.zombie:
		case p.group == exec.group:
			work.uploading = true
		case p.group == p.pid && p.session == exec.session && !isRsync(p):
			// Between fork and exec it bears the launcher's own arguments, and may become rsync.
			if !slices.Equal(t.arguments(p), command) {
				work.roots = append(work.roots, p)
			}
		}
	}
	var orphans []*process
	for _, p := range supervise.children {
		switch {
		case p == exec, p.zombie, isRsync(p):
		case p.group == exec.group:
			work.uploading = true
		default:
			orphans = append(orphans, p)
		}
	}
	// For osmo_exec the command goes on while anything has its stdout or stderr open. What else is left behind, or came
	// from `kubectl exec`, does not make a command that is over run.
	if len(work.roots) > 0 || t.keepsRunning(orphans, exec) {
		work.roots = append(work.roots, orphans...)
	}
	return work
}

func (t *table) keepsRunning(orphans []*process, exec *process) bool {
	if len(orphans) == 0 {
		return false
	}
	ours, seen := t.pipes(exec)
	return slices.ContainsFunc(below(orphans), func(p *process) bool {
		theirs, visible := t.pipes(p)
		if !seen || !visible {
			return p.session == exec.session
		}
		for pipe := range theirs {
			if ours[pipe] {
				return true
			}
		}
		return false
	})
}

// goFlag is the value of a flag in a command line, written in any way that Go's flag package understands.
func goFlag(command []string, name string) (value string, given bool) {
	for i, argument := range command {
		flag := strings.TrimPrefix(strings.TrimPrefix(argument, "-"), "-")
		if flag == argument {
			continue
		}
		if value, found := strings.CutPrefix(flag, name+"="); found {
			return value, true
		}
		if flag == name && i+1 < len(command) {
			return command[i+1], true
		}
	}
	return "", false
}
