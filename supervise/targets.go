package main

import (
	"path/filepath"
	"slices"
	"strings"
)

// given says what a process was when it was given SIGTERM.
type given int

const (
	notYet given = iota
	asCatcher
	asLeaf
	refused // it cannot be signalled: another user's
)

// targets chooses who is to get SIGTERM now, among the processes at and below the roots, and as what.
//
// On each branch it is the topmost process that catches SIGTERM and is no shell, and nothing below it: data-loader
// workers inherit the trainer's handler, and their death kills the trainer. A shell that traps SIGTERM acts on it only
// when its foreground child has ended, or dies and orphans it, so it is chosen only where nothing below it catches; so
// are programs that hand SIGTERM to a whole group, those workers included, or lose patience with their child.
// Where nothing catches at all, the leaves are chosen; but beside one that does, none: the `tee` of `train | tee log`
// would take the trainer's stdout with it. Who has been given SIGTERM covers its branch, whatever it does: a second one
// makes many handlers give up. A leaf that is spared is not chosen: what a script does when its trainer has saved, `train;
// cp checkpoint out`, is part of the save.
func (t *table) targets(roots []*process, already map[identity]given, spared func(*process) bool) ([]*process, given) {
	var catchers, leaves []*process
	var visit func(p *process) (covered bool)
	visit = func(p *process) bool {
		state := already[p.identity]
		if p.zombie {
			return false
		}
		if state == asCatcher {
			return true
		}
		catches := state == notYet && t.catches(p)
		choose := func() bool {
			catchers = append(catchers, p)
			return true
		}
		yields := catches && t.yields(p)
		if catches && !yields {
			return choose()
		}
		covered, leaf := false, true
		for _, child := range p.children {
			leaf = leaf && child.zombie
			covered = visit(child) || covered
		}
		if covered {
			return true
		}
		// A shell with a trap that has waited for the trainer is between two commands of its script.
		if yields && !(leaf && spared(p)) {
			return choose()
		}
		if leaf && state == notYet && !spared(p) {
			leaves = append(leaves, p)
		}
		return false
	}
	covered := false
	for _, root := range roots {
		covered = visit(root) || covered
	}
	if covered {
		return catchers, asCatcher
	}
	return leaves, asLeaf
}

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
