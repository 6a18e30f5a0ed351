package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
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
	waiting  bool       // somebody is to be told later
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

// role is what the process is to a save.
func (v *view) role(p *process) role {
	if known, there := v.roles[p]; there {
		return known
	}
	name, program := v.programOf(p)
	found := program.role
	parent := v.processes[p.parent]
	switch {
	case found == launcher && slices.Contains(torchLaunchers, name):
		if seconds, set := v.torchClock(p); set && (v.grace < 0 || time.Duration(seconds)*time.Second >= v.grace-clockMargin) {
			found = patient
		}
	case found == worker && v.isLoader(p, parent):
		found = loader
	}
	v.roles[p], v.programs[p] = found, name
	return found
}

// isLoader says whether a process is a data loader, or another helper of Python's multiprocessing. torch installs a handler
// for SIGTERM in each loader (torch/csrc/DataLoader.cpp), and names it pt_data_worker since 2.6; one that is forked has its
// trainer's command line, one that is spawned that of multiprocessing.spawn. What a launcher has started is none, and
// neither is what has an accelerator open that its parent has not: torch.multiprocessing.spawn starts ranks so.
func (v *view) isLoader(p, parent *process) bool {
	if v.loaders[p.identity] || strings.HasPrefix(p.name, "pt_data_") {
		return true
	}
	if parent == nil || parent == v.self || v.role(parent) != worker && v.role(parent) != loader {
		return false
	}
	arguments, parents := v.arguments(p), v.arguments(parent)
	if len(parents) == 0 || !isPython(programName(parents[0])) || len(arguments) == 0 {
		return v.role(parent) == loader
	}
	for i, argument := range arguments {
		if strings.HasPrefix(argument, "from multiprocessing.") && i > 0 && strings.HasSuffix(arguments[i-1], "c") {
			return !v.hasAccelerator(p) || v.hasAccelerator(parent)
		}
	}
	return slices.Equal(arguments, parents)
}

// keepLoaders remembers the data loaders below a process that saves.
func (v *view) keepLoaders(saver *process) {
	for _, p := range below(saver.children) {
		if !v.loaders[p.identity] && v.role(p) == loader {
			v.loaders[p.identity] = true
		}
	}
}

// devices are the files of accelerators: NVIDIA, AMD, TPU, Intel Gaudi, AWS Neuron, Huawei Ascend, and of DRM.
var devices = []string{"/dev/nvidia", "/dev/kfd", "/dev/dri/render", "/dev/accel", "/dev/vfio/", "/dev/hl", "/dev/neuron", "/dev/davinci"}

func (v *view) hasAccelerator(p *process) bool {
	open, _ := v.openFiles(p, func(target string) bool {
		return target != "/dev/nvidiactl" && slices.ContainsFunc(devices, func(prefix string) bool {
			return strings.HasPrefix(target, prefix)
		})
	})
	return len(open) > 0
}

// rankVariables say that a launcher has started a process as one of several.
var rankVariables = []string{"RANK", "LOCAL_RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK"}

// rankVariable is the variable that shows a rank, and whether the whole container has it, as a pod of a PyTorchJob has RANK.
func (v *view) rankVariable(p *process) (name string, inherited bool) {
	environment := v.environment(p)
	for _, variable := range rankVariables {
		if value, set := environment[variable]; set {
			if name = variable; os.Getenv(variable) != value {
				return name, false
			}
		}
	}
	return name, name != ""
}

// ranks are the processes that catch the signal and are known to save, topmost first and none below another. A variable
// that the whole container has counts only where nothing else shows a rank.
func (v *view) ranks() []action {
	var sure, perhaps []action
	var visit func(p, parent *process)
	visit = func(p, parent *process) {
		if p.zombie || v.ending[p] {
			return
		}
		state := v.told[p.identity].as
		if state.saves() {
			v.savers = append(v.savers, p)
			v.keepLoaders(p)
		}
		if state.covers() {
			return
		}
		role := v.role(p)
		switch {
		case role == loader, role == transport:
			return
		case state != notYet || role != worker && role != patient || !v.catches(p, v.number):
		case role == patient:
			sure = append(sure, action{p, v.number, asRank, v.programs[p] + " has a clock that is long enough"})
			return
		case parent != nil && v.role(parent) == launcher:
			sure = append(sure, action{p, v.number, asRank, fmt.Sprintf("rank: child of %s %d", v.programs[parent], parent.pid)})
			return
		case v.hasAccelerator(p):
			sure = append(sure, action{p, v.number, asRank, "rank: has an accelerator open"})
			return
		default:
			if variable, inherited := v.rankVariable(p); variable != "" && !inherited {
				sure = append(sure, action{p, v.number, asRank, "rank: has " + variable})
				return
			} else if inherited {
				perhaps = append(perhaps, action{p, v.number, asRank, "rank: has " + variable + ", as all of the container"})
				return
			}
		}
		for _, child := range p.children {
			visit(child, p)
		}
	}
	for _, root := range v.roots {
		visit(root, nil)
	}
	if len(sure) > 0 || v.wave == asRank && len(perhaps) == 0 {
		return sure
	}
	return perhaps
}

// actingShells are the topmost shells that catch the signal and can act on it, where all that catches it is below them. A
// shell runs its trap only when its foreground child has ended, so that one with such a child cannot.
func (v *view) actingShells() []action {
	var chosen []action
	beside := false
	var visit func(p *process)
	visit = func(p *process) {
		if p.zombie || v.role(p) == loader || v.role(p) == transport {
			return
		}
		if v.role(p) == shell && v.catches(p, v.number) && !v.waitsForChild(p) && v.told[p.identity].as == notYet {
			chosen = append(chosen, action{p, v.number, asShell, "a script with a trap, and nothing shows a rank"})
			return
		}
		beside = beside || v.role(p) == worker && v.catches(p, v.number)
		for _, child := range p.children {
			visit(child)
		}
	}
	for _, root := range v.roots {
		visit(root)
	}
	if beside {
		return nil
	}
	return chosen
}

// waitsForChild says whether a shell has a child in the foreground. A script's background commands ignore SIGINT and
// SIGQUIT (POSIX, 2.11 Signals and Error Handling).
func (v *view) waitsForChild(p *process) bool {
	return slices.ContainsFunc(p.children, func(child *process) bool {
		ignored, visible := v.signalMask(child, "SigIgn")
		return !child.zombie && visible && !holds(ignored, unix.SIGINT) && !holds(ignored, unix.SIGQUIT)
	})
}

// catchers are the topmost processes that catch the signal, on each branch; covered says whether there is one, or one that
// has been told already. leaves are those that do not catch it and have no child.
//
// Shells, relays and launchers yield to what catches below them. Beside one that catches no leaf is told: the `tee` of
// `train | tee log` would take the trainer's stdout with it. Who has been told covers its branch, whatever it does: a
// second signal makes many handlers give up. What a script does when its trainer has saved, `train; cp checkpoint out`, is
// part of the save.
func (v *view) catchers(as given) (chosen []action, covered bool, leaves []action) {
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
		if role == loader || role == transport {
			v.because(p, "never told: %s", role)
			return false
		}
		caught := v.number
		catches := state == notYet && v.catches(p, caught)
		if state == notYet && !catches && v.number != unix.SIGTERM {
			caught = unix.SIGTERM
			catches = v.catches(p, caught)
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
	return chosen, covered, leaves
}

func (v *view) ignores(p *process) bool {
	mask, _ := v.signalMask(p, "SigIgn")
	return holds(mask, unix.SIGTERM)
}

// isAbove says whether a process waits for one that has been told: it ends with its child's code, and not by the signal.
func (v *view) isAbove(p *process) bool {
	_, above := v.above[p.identity]
	return above && (v.savedAt == 0 || v.at.since(v.savedAt) < barrierTime)
}

// isPartOfTheSave says whether a process is there for what was saved: it came after a trainer had been told, or is the
// shell that waited for one, and goes on now. Between two commands of its script it has no child.
func (v *view) isPartOfTheSave(p *process) bool {
	if v.atSave == nil {
		return false
	}
	if v.cameLater(p) {
		return true
	}
	role := v.role(p)
	return len(v.atSave.processes[p.pid].children) > 0 && (role == shell || role == relay)
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
		for _, child := range p.children {
			if child.zombie || !v.cameLater(child) || child.startedAt() <= told || v.role(child) == transport {
				continue
			}
			if len(actions) == 0 || actions[0].to != p {
				actions = append(actions, action{p, unix.SIGTERM, asLauncher, "it begins new ranks after the save"})
			}
			actions = append(actions, action{child, unix.SIGKILL, asLeaf, "a new rank after the save"})
		}
	}
	return actions
}

func (v *view) savesBelow(p *process) bool {
	return slices.ContainsFunc(below(p.children), func(each *process) bool {
		return !each.zombie && v.told[each.identity].as.saves()
	})
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

// hasOnlyTransports says whether a launcher has started nothing here but what reaches other hosts. Where the end is not
// known nobody could be told shortly before it.
func (v *view) hasOnlyTransports(p *process) bool {
	if v.grace < 0 || v.role(p) != launcher {
		return false
	}
	any := false
	for _, each := range below(p.children) {
		switch v.role(each) {
		case transport:
			any = true
		case worker, loader, patient:
			if !each.zombie {
				return false
			}
		}
	}
	return any
}

// stalled ends those that save, where all of them have written nothing for too long: a rank that has failed leaves the
// others in a collective for ever.
func (v *view) stalled() []action {
	if v.stall <= 0 {
		return nil
	}
	for _, p := range v.savers {
		if v.observe(v.table, p, v.at).quietFor(v.at) < v.stall {
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

// endsWith0 says whether a container whose PID 1 is this process could end with 0 after the signal: it gets it, and no
// launcher's clock cuts it.
func (v *view) endsWith0(p *process) bool {
	if p == nil {
		return false
	}
	switch v.role(p) {
	case launcher:
		return false
	case relay:
		return slices.ContainsFunc(p.children, v.endsWith0)
	case shell:
		return v.catches(p, unix.SIGTERM) && !v.waitsForChild(p)
	}
	return v.catches(p, unix.SIGTERM)
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
