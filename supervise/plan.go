package main

import (
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// barrierTime is how long an agent whose ranks have ended may wait for its peers: torch's exit_barrier_timeout.
	barrierTime = 300 * time.Second
	// leafDelay lets a pipe and a waiting parent end by themselves when the last that saves has ended.
	leafDelay = time.Second
	// transportsLeft is what is left of the grace when a launcher is told whose ranks are all on other hosts.
	transportsLeft = 15 * time.Second
	// trapTime is how long what a trap may have told must have written little, before it is told (again).
	trapTime = 5 * time.Second
	// outliveTime is how long the container may live on for what saves when its command has ended.
	outliveTime = time.Minute
	// quietTime is how long what outlives the command may write nothing.
	quietTime = 10 * time.Second
	// clockMargin is what a launcher's clock may be shorter than the grace: gracekeeper itself gives it 5 s less.
	clockMargin = 10 * time.Second
)

// action is one signal that is to be sent, and why.
type action struct {
	to     *process
	number unix.Signal
	as     given
	why    string
}

// view is one look at the process table, and what the choice goes by.
type view struct {
	*table
	*memory
	at       moment
	since    moment        // when the pod was told to stop
	grace    time.Duration // how long the command has from then on; negative: not known
	stall    time.Duration // how long those that save may write nothing; 0: any time
	number   unix.Signal   // the signal that means "save"
	self     *process
	roots    []*process
	roles    map[*process]role
	programs map[*process]string
	savers   []*process // told, and alive
	waiting  bool       // somebody is to be told now or later
	ending   map[*process]bool
	reasons  map[identity]string
}

// because keeps why a process is told, or not, for --trace; the first reason of a look stands.
func (v *view) because(p *process, format string, values ...any) {
	if _, known := v.reasons[p.identity]; !known {
		v.reasons[p.identity] = fmt.Sprintf(format, values...)
	}
}

// plan says whom to signal at this stage, and what happened meanwhile.
func (v *view) plan(s stage) ([]action, []event) {
	actions := append(v.restarts(), v.transportsOnly()...)
	for _, a := range actions {
		v.ending[a.to] = true
	}
	for _, p := range below(v.roots) {
		if v.isJustForked(p) {
			v.ending[p] = true
			v.because(p, "waits: the shell's copy, which becomes what the shell starts")
		}
	}
	ranks := v.ranks()
	switch s {
	case looking, saving:
		first := v.first(ranks)
		actions = append(actions, first...)
		switch {
		case slices.ContainsFunc(first, func(a action) bool { return a.as.saves() }):
			return actions, []event{saverTold}
		case s == saving && len(v.savers) == 0:
			v.savedAt = v.at
			return actions, []event{saversEnded}
		case s == saving:
			actions = append(actions, v.stalled()...)
		}
	case finishing, outliving:
		actions = append(actions, v.rest()...)
		if s == outliving && !v.saves() {
			return actions, []event{nothingSaves}
		}
	}
	return actions, nil
}

// first chooses those that save: ranks; where there are none a shell whose trap ends the training, alone; where there is
// none, everybody that catches the signal; where nobody does, the leaves.
func (v *view) first(ranks []action) []action {
	switch {
	case v.wave == asShell:
		return nil
	case len(ranks) > 0 || v.wave == asRank:
		return ranks
	case v.wave == notYet:
		if shells := v.actingShells(); len(shells) > 0 {
			return shells
		}
	}
	catchers, covered, leaves := v.catchers(asCatcher)
	if covered {
		return catchers
	}
	return leaves
}

// rest chooses what else is in the container, when those that save have ended.
func (v *view) rest() []action {
	if len(v.savers) > 0 {
		return nil // they have outlived the command
	}
	if v.savedAt == 0 {
		v.savedAt = v.at
	}
	catchers, covered, leaves := v.catchers(asOther)
	if v.wave == asShell && v.at.since(v.savedAt) < outliveTime {
		catchers = slices.DeleteFunc(catchers, v.mayHaveBeenTold)
	}
	v.waiting = v.waiting || len(catchers) > 0
	if covered || v.at.since(v.savedAt) < leafDelay {
		return catchers
	}
	return leaves
}

// mayHaveBeenTold says whether the trap of a script that has ended may have told a process, which saves now.
func (v *view) mayHaveBeenTold(a action) bool {
	if v.at.since(v.observe(v.table, a.to, v.at).much) >= trapTime {
		return false
	}
	v.because(a.to, "waits: the script's trap may have told it")
	v.waiting = true
	return true
}

// restarts ends launchers that begin new ranks when those that were told have ended, as torchrun does with --max-restarts.
// The new ranks have nothing to save.
func (v *view) restarts() []action {
	var actions []action
	for _, p := range below(v.roots) {
		told, above := v.above[p.identity]
		if !above || p.zombie || v.role(p) != launcher || v.told[p.identity].as != notYet || v.savesBelow(p) {
			continue
		}
		before := len(actions)
		for _, child := range p.children {
			if !child.zombie && v.cameLater(child) && child.startedAt() > told && v.role(child) != transport {
				actions = append(actions, action{child, unix.SIGKILL, asLeaf, "a new rank after the save"})
			}
		}
		if len(actions) > before {
			actions = append(actions, action{p, unix.SIGTERM, asLauncher, "it begins new ranks after the save"})
		}
	}
	return actions
}

// transportsOnly tells launchers whose ranks are all on other hosts, shortly before the end: they have had the time.
func (v *view) transportsOnly() []action {
	var actions []action
	if v.grace < 0 || v.grace-v.at.since(v.since) > transportsLeft {
		return nil
	}
	for _, p := range below(v.roots) {
		if !p.zombie && v.told[p.identity].as == notYet && v.hasOnlyTransports(p) && v.catches(p, unix.SIGTERM) {
			actions = append(actions, action{p, unix.SIGTERM, asLauncher, "its ranks are on other hosts, and the end is near"})
		}
	}
	return actions
}

// stalled ends those that save, where all of them have written nothing for too long: a rank that has failed leaves the
// others in a collective for ever.
func (v *view) stalled() []action {
	if v.stall <= 0 {
		return nil
	}
	for _, p := range v.savers {
		if v.activity[p.identity].quietFor(v.at) < v.stall {
			return nil
		}
	}
	var actions []action
	for _, p := range v.savers {
		actions = append(actions, action{p, unix.SIGKILL, v.told[p.identity].as, "nobody that saves has written for --stall-seconds"})
	}
	return actions
}

// saves says whether anybody that has been told, or is still to be, goes on writing, within its time after the command.
func (v *view) saves() bool {
	if v.at.since(v.commandAt) >= outliveTime {
		return false
	}
	return v.waiting || slices.ContainsFunc(below(v.roots), func(p *process) bool {
		told := v.told[p.identity]
		if p.zombie || !told.as.saves() && told.as != asOther {
			return false
		}
		return v.observe(v.table, p, v.at).quietFor(v.at) < quietTime || v.at.since(told.at) < quietTime
	})
}
