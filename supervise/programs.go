package main

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// role says what a process is to a save that others make.
type role int

const (
	worker    role = iota // anything that is not below: a trainer, or a program beside it
	shell                 // acts on a trap only when its foreground child has ended
	relay                 // hands the signal on, or to a whole group
	launcher              // ends its ranks on a clock of its own
	patient               // a launcher that is told itself: its ranks have the time they need
	service               // serves those that save, as Ray does its driver: what is below it ends in the moment it is told
	loader                // a data loader: its end kills its trainer
	transport             // its end kills what it has started on another host
)

func (r role) String() string {
	return [...]string{"worker", "shell", "relay", "launcher", "patient launcher", "service", "data loader", "transport"}[r]
}

// isNeverTold says whether the end of such a process would end a save.
func (r role) isNeverTold() bool { return r == loader || r == transport }

// known is one program whose role its name tells.
type known struct {
	role   role
	source string
}

// executables are known by the name of the file that runs, without version.
//
// Facts "run" come from runs of the real programs, told and traced; the others from the sources that are named.
var executables = map[string]known{
	"sh": {shell, "POSIX, sh: a trap waits for the foreground command"}, "bash": {shell, "sh"}, "dash": {shell, "sh"},
	"ash": {shell, "sh"}, "rbash": {shell, "sh"}, "zsh": {shell, "sh"}, "ksh": {shell, "sh"}, "mksh": {shell, "sh"},
	"yash": {shell, "sh"}, "fish": {shell, "sh"}, "csh": {shell, "sh"}, "tcsh": {shell, "sh"}, "rc": {shell, "sh"},

	"timeout":     {relay, "coreutils, timeout.c: signals its whole group"},
	"dumb-init":   {relay, "dumb-init.c: signals the child's whole session"},
	"su":          {relay, "util-linux, su-common.c: SIGKILL 2 s after SIGTERM"},
	"runuser":     {relay, "util-linux, su-common.c: as su"},
	"uv":          {relay, "run: catches SIGTERM and only passes it on"},
	"tini":        {relay, "tini.c: waits for signals and passes them on"},
	"tini-static": {relay, "tini"}, "docker-init": {relay, "tini"},
	"catatonit": {relay, "catatonit.c: as tini"},

	"mpirun":          {launcher, "run, Open MPI 5.0.7: SIGKILL 0.5 s after SIGTERM"},
	"mpiexec":         {launcher, "mpirun by another name"},
	"orterun":         {launcher, "mpirun of Open MPI 4"},
	"prterun":         {launcher, "run: what mpirun of Open MPI 5 is in the process table"},
	"prte":            {launcher, "PRRTE, prterun's server"},
	"prted":           {launcher, "PRRTE: starts the ranks of one host"},
	"orted":           {launcher, "Open MPI 4: starts the ranks of one host"},
	"hydra_pmi_proxy": {launcher, "MPICH, Hydra: starts the ranks of one host"},

	"raylet":     {service, "run, ray 2.60: its workers end by themselves in the moment it tells them"},
	"gcs_server": {service, "Ray's control store: raylets and drivers end without it"},

	"ssh":     {transport, "OpenSSH, clientloop.c: catches SIGTERM and ends the remote command"},
	"rsh":     {transport, "as ssh"},
	"kubectl": {transport, "a Go program: SIGTERM ends it and its exec"},
	"pdsh":    {transport, "pdsh, dsh.c: SIGTERM ends its ssh"},
	"srun":    {transport, "Slurm, srun: passes SIGTERM on to every node, and gives up"},
}

// scripts are known by the file that Python runs, modules by what follows -m.
var scripts = map[string]known{
	"torchrun":          {launcher, "run, torch 2.6 and 2.11: SIGKILL 30 s after SIGTERM"},
	"accelerate":        {launcher, "run, accelerate 1.15: torchrun in the same process"},
	"accelerate-launch": {launcher, "accelerate launch"},
	"deepspeed":         {launcher, "run, DeepSpeed 0.19.8: no handler"},
	"deepspeed.pt":      {launcher, "deepspeed"},
	"ds":                {launcher, "deepspeed"},
	"dlrover-run":       {patient, "dlrover, elastic agent: saves what the ranks left in shared memory"},
	"ft_launcher":       {patient, "run, nvidia-resiliency-ext 0.4.1: 1800 s"},
	"ray":               {service, "run, ray 2.60: ray start --block is told, and tells raylet 30 s later"},
	"conda":             {relay, "run: waits for its child"},
	"mamba":             {relay, "conda"},
}

var modules = map[string]known{
	"torch.distributed.run":                          {launcher, "torchrun"},
	"torch.distributed.launch":                       {launcher, "torchrun"},
	"accelerate.commands.launch":                     {launcher, "accelerate launch"},
	"accelerate.commands.accelerate_cli":             {launcher, "accelerate launch"},
	"deepspeed.launcher.runner":                      {launcher, "deepspeed"},
	"deepspeed.launcher.launch":                      {launcher, "run: tells its ranks one after the other, 30 s each"},
	"nvidia_resiliency_ext.fault_tolerance.launcher": {patient, "ft_launcher"},
	"dlrover.trainer.torch.elastic_run":              {patient, "dlrover-run"},
	"dlrover.trainer.torch.main":                     {patient, "dlrover-run"},
}

// torchLaunchers hold torch's elastic agent, whose clock a variable sets from torch 2.12 on.
var torchLaunchers = []string{
	"torchrun", "accelerate", "accelerate-launch",
	"torch.distributed.run", "torch.distributed.launch", "accelerate.commands.launch", "accelerate.commands.accelerate_cli",
}

// ftLaunchers have time enough, and hand the signal on as torch's do.
var ftLaunchers = []string{"ft_launcher", "nvidia_resiliency_ext.fault_tolerance.launcher"}

// programOf is what the process runs: the key of one of the tables above, and its entry. The name in the process table is the
// script's where it begins with #!, so it goes by the program.
func (t *table) programOf(p *process) (string, known) {
	arguments := t.arguments(p)
	first := ""
	if len(arguments) > 0 {
		first = strings.TrimPrefix(programName(arguments[0]), "-") // a login shell
	}
	name := first
	// Another user's cannot be read. A program of many names says which by its arguments.
	if path, err := os.Readlink(t.file(p, "exe")); err == nil && !slices.Contains(manyNames, programName(path)) {
		name = programName(strings.TrimSuffix(path, " (deleted)"))
	}
	if slices.Contains(manyNames, name) && len(arguments) > 1 {
		name = arguments[1]
	}
	if isPython(first) || isPython(name) {
		script, module := pythonTarget(arguments)
		if entry, there := modules[module]; there {
			return module, entry
		}
		return script, scripts[script]
	}
	for _, key := range []string{name, first} {
		if entry, there := executables[key]; there && (key == name || entry.role == launcher) {
			return key, entry
		}
	}
	return name, known{}
}

func isPython(name string) bool { return strings.HasPrefix(name, "python") || name == "pypy" }

// pythonTarget is the name of the script's file, or the module after -m, of a Python's command line.
func pythonTarget(arguments []string) (script, module string) {
	for i := 1; i < len(arguments); i++ {
		argument := arguments[i]
		switch {
		case !strings.HasPrefix(argument, "-"):
			return filepath.Base(argument), ""
		case strings.HasPrefix(argument, "--"):
			continue
		case argument == "-X", argument == "-W":
			i++
		case strings.HasSuffix(argument, "m") && i+1 < len(arguments):
			return "", arguments[i+1]
		case strings.HasSuffix(argument, "c"), argument == "-":
			return "", ""
		}
	}
	return "", ""
}

var manyNames = []string{"busybox", "toybox", "coreutils"}

// programName is the name of a program without folder and version: bash for /usr/local/bin/bash-5.2.
func programName(path string) string {
	name := filepath.Base(path)
	if end := strings.IndexAny(name, ".0123456789"); end > 0 {
		name = strings.TrimSuffix(name[:end], "-")
	}
	return name
}

// torchClock is how long a torch launcher lets its ranks save after SIGTERM, in seconds: what its command line or its
// environment says, where its torch is 2.12 or newer and so reads it; else false. 2.12: torch/distributed/launcher/api.py.
func (t *table) torchClock(p *process) (int, bool) {
	major, minor, seen := t.torchVersion(p)
	if !seen || major < 2 || major == 2 && minor < 12 {
		return 0, false
	}
	arguments := t.arguments(p)
	for i, argument := range arguments {
		text, is := strings.CutPrefix(strings.ReplaceAll(argument, "_", "-"), "--shutdown-timeout")
		if is && text == "" && i+1 < len(arguments) {
			text = "=" + arguments[i+1]
		}
		if number, err := strconv.Atoi(strings.TrimPrefix(text, "=")); is && err == nil {
			return number, true
		}
	}
	environment := t.environment(p)
	for _, name := range []string{"PET_SHUTDOWN_TIMEOUT", "TORCH_ELASTIC_SHUTDOWN_TIMEOUT"} {
		if number, err := strconv.Atoi(environment[name]); err == nil {
			return number, true
		}
	}
	return 0, false
}

// torchVersion reads the version of the torch that the process has loaded: version.py lies beside torch/_C.*.so, which is
// in its memory map.
func (t *table) torchVersion(p *process) (major, minor int, seen bool) {
	maps, err := os.ReadFile(t.file(p, "maps"))
	if err != nil {
		return 0, 0, false
	}
	before, _, there := strings.Cut(string(maps), "/torch/_C.")
	if !there {
		return 0, 0, false
	}
	line := before[strings.LastIndexByte(before, '\n')+1:]
	folder := line[max(0, strings.IndexByte(line, '/')):]
	content, err := os.ReadFile(filepath.Join(t.file(p, "root"), folder, "torch", "version.py"))
	if err != nil {
		return 0, 0, false
	}
	_, after, there := strings.Cut("\n"+string(content), "\n__version__ = ")
	parts := strings.SplitN(strings.Trim(after, `"'`), ".", 3)
	if !there || len(parts) < 3 {
		return 0, 0, false
	}
	major, errMajor := strconv.Atoi(parts[0])
	minor, errMinor := strconv.Atoi(parts[1])
	return major, minor, errMajor == nil && errMinor == nil
}
