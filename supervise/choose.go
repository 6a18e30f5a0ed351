package main

import (
	"bytes"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// ranks are the processes that catch the signal and are known to save, topmost first and none below another. A variable
// that the whole container has counts only where nothing else shows a rank.
func (v *view) ranks() []action {
	var sure, perhaps []action
	walk(v.roots, func(p *process) (descend bool) {
		if p.zombie || v.ending[p] {
			return false
		}
		state := v.told[p.identity].as
		if state.saves() {
			v.savers = append(v.savers, p)
			v.keepLoaders(p)
			v.observe(v.table, p, v.at)
		}
		if role := v.role(p); state.covers() || role.isNeverTold() || role == service {
			return false
		}
		if state == notYet && v.catches(p, v.number) {
			reason, certain := v.signOfRank(p)
			if a := (action{p, v.number, asRank, reason}); certain {
				sure = append(sure, a)
				return false
			} else if reason != "" {
				perhaps = append(perhaps, a)
				return false
			}
		}
		return true
	})
	if len(sure) > 0 {
		return sure
	}
	return perhaps
}

// actingShells are the topmost shells that catch the signal and can act on it, where all that catches it is below them. A
// shell runs its trap only when its foreground child has ended, so that one with such a child cannot.
func (v *view) actingShells() []action {
	var chosen []action
	beside := false
	walk(v.roots, func(p *process) (descend bool) {
		if p.zombie || v.ending[p] || v.role(p).isNeverTold() || v.role(p) == service {
			return false
		}
		if v.role(p) == shell && v.catches(p, v.number) && !v.waitsForChild(p) && v.told[p.identity].as == notYet {
			chosen = append(chosen, action{p, v.number, asShell, "a script with a trap, and nothing shows a rank"})
			return false
		}
		beside = beside || v.role(p) == worker && v.catches(p, v.number)
		return true
	})
	if beside {
		return nil
	}
	return chosen
}

// catchers are the topmost processes that catch the signal, on each branch; covered says whether there is one, or one that
// has been told already. leaves are those that do not catch it and have no child.
//
// Shells, relays and launchers yield to what catches below them. Beside one that catches no leaf is told: the `tee` of
// `train | tee log` would take the trainer's stdout with it. Who has been told covers its branch, whatever it does: a
// second signal makes many handlers give up. What a script does when its trainer has saved, `train; cp checkpoint out`, is
// part of the save. Services come after the others, or first where nobody else catches.
func (v *view) catchers(as given) (chosen []action, covered bool, leaves []action) {
	var services []action
	var visit func(p *process) (covered bool)
	visit = func(p *process) bool {
		state := v.told[p.identity].as
		if p.zombie {
			return false
		}
		if state.covers() || v.ending[p] {
			return true
		}
		role := v.role(p)
		if role.isNeverTold() {
			v.because(p, "never told: %s", role)
			return false
		}
		caught := v.number
		catches := state == notYet && v.catches(p, caught)
		if state == notYet && !catches && v.number != unix.SIGTERM {
			caught = unix.SIGTERM
			catches = v.catches(p, caught)
		}
		if role == service && catches {
			services = append(services, action{p, caught, as, "a service, and nobody that saves is there"})
			return true
		}
		yields := role == shell || role == relay || role == launcher
		spared := v.isAbove(p)
		choose := func() bool {
			chosen = append(chosen, action{p, caught, as, "catches " + unix.SignalName(caught)})
			return true
		}
		if catches && !yields && !spared {
			return choose()
		}
		covered, leaf := false, true
		for _, child := range p.children {
			leaf = leaf && (child.zombie || v.role(child) == loader)
			covered = visit(child) || covered
		}
		if covered {
			if catches {
				v.because(p, "passed over: a %s, and what is below it catches the signal", role)
			}
			return true
		}
		if catches && yields && !spared && !(leaf && v.isPartOfTheSave(p)) && !v.hasOnlyTransports(p) {
			return choose()
		}
		switch {
		case spared:
			v.because(p, "spared: above who has saved")
		case leaf && v.isPartOfTheSave(p):
			v.because(p, "spared: part of the save")
		case leaf && v.ignores(p):
			v.because(p, "ignores SIGTERM")
		case leaf && state == notYet:
			leaves = append(leaves, action{p, unix.SIGTERM, asLeaf, "catches nothing, nothing is below it, and nobody saves"})
		}
		return false
	}
	for _, root := range v.roots {
		covered = visit(root) || covered
	}
	return v.withServices(chosen, services, as), covered, leaves
}

// withServices adds the services to the catchers, if nobody needs them any more.
func (v *view) withServices(catchers, services []action, as given) []action {
	if as == asOther || v.wave == notYet && len(catchers) == 0 {
		return append(catchers, services...)
	}
	for _, a := range services {
		v.because(a.to, "waits: a service of those that save")
	}
	return catchers
}

// visitors are the processes that came into the container from outside, by kubectl exec, and have no terminal. They have
// no parent here. Only where supervise is PID 1 are they known from the main processes of other containers and of the node.
func (t *table) visitors(self *process) []*process {
	if self.pid != 1 {
		return nil
	}
	cgroup, err := os.ReadFile(t.file(self, "cgroup"))
	if err != nil {
		return nil
	}
	var visitors []*process
	for _, p := range t.processes {
		theirs, err := os.ReadFile(t.file(p, "cgroup"))
		if p.parent == 0 && p != self && p.terminal == 0 && err == nil && bytes.Equal(theirs, cgroup) {
			visitors = append(visitors, p)
		}
	}
	slices.SortFunc(visitors, func(a, b *process) int { return a.pid - b.pid })
	return visitors
}
