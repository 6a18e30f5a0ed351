package main

import (
	"maps"
	"time"
)

// given says as what a process was told; what it was then decides what its end means.
type given int

const (
	notYet     given = iota
	asRank           // it saves
	asShell          // a script whose trap ends the training
	asCatcher        // it catches the signal, where nothing shows who saves
	asOther          // it catches the signal, and was told when those above had ended
	asLauncher       // a launcher that was passed over before
	asLeaf           // it does not catch the signal, and has no child
	refused          // it cannot be signalled: another user's
)

func (g given) String() string {
	return [...]string{"-", "rank", "shell", "catcher", "other", "launcher", "leaf", "refused"}[g]
}

// saves says whether the others wait for its end.
func (g given) saves() bool { return g == asRank || g == asShell || g == asCatcher }

// covers says whether what is below it is left to it.
func (g given) covers() bool { return g.saves() || g == asOther || g == asLauncher }

type telling struct {
	as given
	at moment
}

// memory is what supervise keeps from one look at the process table to the next.
type memory struct {
	told      map[identity]telling
	above     map[identity]moment // ancestors of who saves, and since when that one has been told
	loaders   map[identity]bool   // data loaders below who saves: they stay what they are when it has ended
	atSave    *table              // who was there when the first that saves was told; nil: none was
	wave      given               // as what the first were told
	savedAt   moment              // when the last that saves had ended; 0: not yet
	commandAt moment              // when the command had ended; 0: not yet
	activity  map[identity]*activity
	// For the account: how many that save were told, what those wrote that have ended, how many were killed.
	toldSavers   int
	writtenBytes uint64
	killed       int
}

func newMemory() *memory {
	return &memory{
		told:     map[identity]telling{},
		above:    map[identity]moment{},
		loaders:  map[identity]bool{},
		activity: map[identity]*activity{},
	}
}

// forget drops those that have ended: another process may come by their PID.
func (m *memory) forget(t *table) {
	gone := func(of identity) bool {
		p := t.processes[of.pid]
		return p == nil || p.identity != of
	}
	maps.DeleteFunc(m.told, func(of identity, _ telling) bool { return gone(of) })
	maps.DeleteFunc(m.above, func(of identity, _ moment) bool { return gone(of) })
	maps.DeleteFunc(m.loaders, func(of identity, _ bool) bool { return gone(of) })
	maps.DeleteFunc(m.activity, func(of identity, a *activity) bool {
		if gone(of) {
			m.writtenBytes += a.total - a.first
		}
		return gone(of)
	})
}

// note keeps that a process has been told.
func (m *memory) note(t *table, p *process, as given, at moment) {
	m.told[p.identity] = telling{as, at}
	if !as.saves() {
		return
	}
	m.toldSavers++
	if m.atSave == nil {
		m.atSave, m.wave = t, as
	}
	for parent := t.processes[p.parent]; parent != nil; parent = t.processes[parent.parent] {
		if _, known := m.above[parent.identity]; known {
			break
		}
		m.above[parent.identity] = at
	}
}

// cameLater says whether a process began after the first that saves had been told, so that it belongs to the save.
func (m *memory) cameLater(p *process) bool {
	if m.atSave == nil {
		return false
	}
	then := m.atSave.processes[p.pid]
	return then == nil || then.identity != p.identity
}

// activity is what a process has written, and when.
type activity struct {
	first uint64 // when it was first looked at
	total uint64
	grew  moment // when it last wrote anything
	mark  uint64
	much  moment // when it had last written muchWritten more than before
}

const muchWritten = 1 << 20 // more than logs have, less than a checkpoint

// observe counts what the processes and all below them have written until now.
func (m *memory) observe(t *table, p *process, at moment) *activity {
	var total uint64
	busy := false
	for _, each := range below([]*process{p}) {
		written, visible := t.written(each)
		total += written
		// What waits for its disk, or cannot be seen, counts as writing.
		busy = busy || each.state == 'D' || !visible && !each.zombie
	}
	a := m.activity[p.identity]
	if a == nil {
		a = &activity{first: total, total: total, grew: at, mark: total, much: at}
		m.activity[p.identity] = a
	}
	// A process below that has ended takes what it has written with it.
	if total > a.total || busy {
		a.grew = at
	}
	if total >= a.mark+muchWritten || busy {
		a.mark, a.much = total, at
	}
	a.total = max(a.total, total)
	return a
}

// bytesWritten is what those that save have written since they were told, as far as it could be seen.
func (m *memory) bytesWritten() uint64 {
	written := m.writtenBytes
	for of, a := range m.activity {
		if m.told[of].as.saves() {
			written += a.total - a.first
		}
	}
	return written
}

func (a *activity) quietFor(at moment) time.Duration { return at.since(a.grew) }
