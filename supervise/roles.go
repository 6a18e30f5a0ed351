package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// role is what the process is to a save.
func (v *view) role(p *process) role {
	if known, there := v.roles[p]; there {
		return known
	}
	name, program := v.programOf(p)
	v.roles[p], v.programs[p] = program.role, name
	switch {
	case slices.Contains(torchLaunchers, name) && v.torchClockIsLong(p) && !v.signalEndsSave(p):
		v.roles[p] = patient
	case slices.Contains(ftLaunchers, name) && (v.isFork(p) || v.signalEndsSave(p)):
		v.roles[p] = launcher
	case program.role == worker && v.isLoader(p, v.processes[p.parent]):
		v.roles[p] = loader
	}
	return v.roles[p]
}

func (v *view) torchClockIsLong(p *process) bool {
	clock, set := v.torchClock(p)
	return set && (v.grace < 0 || time.Duration(clock)*time.Second >= v.grace-clockMargin)
}

// signalEndsSave says whether the signal that a launcher hands on ends a save. It goes to the process group of each rank
// (torch 2.15 and ft_launcher 0.4.1, subprocess_handler.py), so that data loaders die, and torch raises in their trainer.
// A launcher whose ranks have been told stays passed over when their loaders have ended.
func (v *view) signalEndsSave(p *process) bool {
	_, passedOver := v.above[p.identity]
	return passedOver || slices.ContainsFunc(below(p.children), func(each *process) bool { return v.role(each) == loader })
}

// isFork says whether a process is a copy of its parent, as the rank monitors of ft_launcher are.
func (v *view) isFork(p *process) bool {
	parent := v.processes[p.parent]
	return parent != nil && slices.Equal(v.arguments(p), v.arguments(parent))
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

// signOfRank says why a process that catches the signal is a rank, or as good as one; "" where nothing shows it.
func (v *view) signOfRank(p *process) (reason string, certain bool) {
	parent := v.processes[p.parent]
	switch role := v.role(p); {
	case role == patient:
		return v.programs[p] + " has a clock that is long enough", true
	case role != worker:
		return "", false
	case parent != nil && parent != v.self && v.role(parent) == launcher:
		return fmt.Sprintf("rank: child of %s %d", v.programs[parent], parent.pid), true
	case v.hasAccelerator(p):
		return "rank: has an accelerator open", true
	}
	variable, inherited := v.rankVariable(p)
	switch {
	case variable == "":
		return "", false
	case inherited:
		return "rank: has " + variable + ", as all of the container has", false
	}
	return "rank: has " + variable, true
}

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

// waitsForChild says whether a shell has a child in the foreground. A script's background commands ignore SIGINT and
// SIGQUIT (POSIX, 2.11 Signals and Error Handling).
func (v *view) waitsForChild(p *process) bool {
	return slices.ContainsFunc(p.children, func(child *process) bool {
		ignored, visible := v.signalMask(child, "SigIgn")
		return !child.zombie && visible && !holds(ignored, unix.SIGINT) && !holds(ignored, unix.SIGQUIT)
	})
}

// forkTime is how long a shell's new child may take to become the program that it is for.
const forkTime = time.Second

// isJustForked says whether a process is the copy of a shell that is about to execute something. It catches what the shell
// catches, so it would be told, and what it becomes would never be told again. Only at first: a subshell stays a copy.
func (v *view) isJustForked(p *process) bool {
	parent := v.processes[p.parent]
	return v.at.since(v.since) < forkTime && v.at.since(p.startedAt()) < forkTime && parent != nil &&
		v.role(parent) == shell && slices.Equal(v.arguments(p), v.arguments(parent))
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

func (v *view) savesBelow(p *process) bool {
	return slices.ContainsFunc(below(p.children), func(each *process) bool {
		return !each.zombie && v.told[each.identity].as.saves()
	})
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
		case worker, loader, patient, service:
			if !each.zombie {
				return false
			}
		}
	}
	return any
}
