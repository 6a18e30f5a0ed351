package main

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var supervise = fake{pid: 1, command: "supervise forward"}

// viewOf is a first look at these processes, of which 1 is supervise and 2 its child.
func viewOf(t *testing.T, processes []fake, already map[int]given) *view {
	t.Helper()
	table := fakeTable(t, append([]fake{supervise}, processes...))
	memory := newMemory()
	for pid, as := range already {
		memory.told[table.processes[pid].identity] = telling{as, 0}
	}
	return &view{
		table: table, memory: memory, at: moment(time.Hour), since: moment(time.Hour), grace: none, number: unix.SIGTERM,
		self: table.processes[1], roots: table.processes[1].children,
		roles: map[*process]role{}, programs: map[*process]string{}, reasons: map[identity]string{}, ending: map[*process]bool{},
	}
}

func stageOf(wave given) stage {
	if wave == notYet {
		return looking
	}
	return saving
}

// told compares who is to get SIGTERM, and as what; -9 after a PID: it gets SIGKILL.
func told(t *testing.T, actions []action, want string, as given) {
	t.Helper()
	var words []string
	for _, a := range actions {
		word := strconv.Itoa(a.to.pid)
		if a.number == unix.SIGKILL {
			word += "-9"
		} else if a.as != as {
			t.Errorf("%d is told as %s (%s), not as %s", a.to.pid, a.as, a.why, as)
		}
		words = append(words, word)
	}
	if chosen := strings.Join(words, " "); chosen != want {
		t.Errorf("chose %q, want %q", chosen, want)
	}
}

func TestWhereNothingShowsWhoSavesSIGTERMGoesToTheTopmostThatCatchesOnEachBranch(t *testing.T) {
	for _, c := range []struct {
		name      string
		processes []fake // the child is 2
		already   map[int]given
		wave      given
		then      []fake // who was there when the first that saves was told
		want      string
		as        given
	}{
		{
			name:      "a trainer alone",
			processes: []fake{{pid: 2, parent: 1, command: "python train.py", catches: true}},
			want:      "2", as: asCatcher,
		},
		{
			name:      "nothing catches: the leaf",
			processes: []fake{{pid: 2, parent: 1, command: "sh -c x"}, {pid: 3, parent: 2, command: "sleep 9"}},
			want:      "3", as: asLeaf,
		},
		{
			name: "nothing below one that catches",
			processes: []fake{
				{pid: 2, parent: 1, command: "python train.py", catches: true},
				{pid: 3, parent: 2, command: "python train.py", catches: true},
				{pid: 4, parent: 2, command: "python train.py"},
			},
			want: "2", as: asCatcher,
		},
		{
			name: "train | tee log: tee lives on",
			processes: []fake{
				{pid: 2, parent: 1, command: "sh -c x"},
				{pid: 3, parent: 2, command: "python train.py", catches: true},
				{pid: 4, parent: 2, command: "tee log"},
			},
			want: "3", as: asCatcher,
		},
		{
			name: "a shell with a trap yields to the trainer",
			processes: []fake{
				{pid: 2, parent: 1, command: "bash run.sh", catches: true},
				{pid: 3, parent: 2, command: "bash inner.sh", catches: true},
				{pid: 4, parent: 3, command: "python train.py", catches: true},
			},
			want: "4", as: asCatcher,
		},
		{
			name: "a shell with a trap, where nothing below it catches",
			processes: []fake{
				{pid: 2, parent: 1, command: "bash run.sh", catches: true},
				{pid: 3, parent: 2, command: "sleep 9"},
			},
			want: "2", as: asCatcher,
		},
		{
			name: "the lower of two shells with traps",
			processes: []fake{
				{pid: 2, parent: 1, command: "bash run.sh", catches: true},
				{pid: 3, parent: 2, command: "sh inner.sh", catches: true},
			},
			want: "3", as: asShell,
		},
		{
			name: "each branch for itself",
			processes: []fake{
				{pid: 2, parent: 1, command: "sh -c x"},
				{pid: 3, parent: 2, command: "python one.py", catches: true},
				{pid: 4, parent: 2, command: "bash -c x", catches: true},
				{pid: 5, parent: 4, command: "go-trainer", catches: true},
				{pid: 6, parent: 2, command: "bash trap.sh", catches: true},
				{pid: 7, parent: 6, command: "sleep 9"},
			},
			want: "3 5 6", as: asCatcher,
		},
		{
			name: "an orphan is a branch of its own",
			processes: []fake{
				{pid: 2, parent: 1, command: "sleep 9"},
				{pid: 3, parent: 1, command: "python train.py", catches: true, session: 3},
			},
			want: "3", as: asCatcher,
		},
		{
			name: "who has got it covers its branch, even without a handler by now",
			processes: []fake{
				{pid: 2, parent: 1, command: "python train.py"},
				{pid: 3, parent: 2, command: "python loader", catches: true},
			},
			already: map[int]given{2: asCatcher},
			wave:    asCatcher,
		},
		{
			name: "work that appears later beside it",
			processes: []fake{
				{pid: 2, parent: 1, command: "sh -c x"},
				{pid: 3, parent: 2, command: "python train.py", catches: true},
				{pid: 4, parent: 2, command: "python other.py", catches: true},
			},
			already: map[int]given{3: asCatcher},
			wave:    asCatcher,
			want:    "4", as: asCatcher,
		},
		{
			name: "no leaf while somebody saves",
			processes: []fake{
				{pid: 2, parent: 1, command: "sh -c x"},
				{pid: 3, parent: 2, command: "python train.py", catches: true},
				{pid: 4, parent: 2, command: "sleep 9"},
			},
			already: map[int]given{3: asCatcher},
			wave:    asCatcher,
		},
		{
			name: "a leaf that ignored it does not get it twice, and hides no other",
			processes: []fake{
				{pid: 2, parent: 1, command: "sh -c x"},
				{pid: 3, parent: 2, command: "stubborn"},
				{pid: 4, parent: 2, command: "sleep 9"},
			},
			already: map[int]given{3: asLeaf},
			want:    "4", as: asLeaf,
		},
		{
			name: "another user's process that refused it: what is below",
			processes: []fake{
				{pid: 2, parent: 1, command: "sudo train", catches: true, exe: "-"},
				{pid: 3, parent: 2, command: "python train.py", catches: true},
			},
			already: map[int]given{2: refused},
			want:    "3", as: asCatcher,
		},
		{
			name: "a zombie is nobody",
			processes: []fake{
				{pid: 2, parent: 1, command: "sh -c x"},
				{pid: 3, parent: 2, command: "python train.py", catches: true, state: "Z"},
			},
			want: "2", as: asLeaf,
		},
		{
			name: "what a script does after the save runs to its end",
			processes: []fake{
				{pid: 2, parent: 1, command: "sh -c train;cp"},
				{pid: 4, parent: 2, command: "cp checkpoint out"},
			},
			wave: asCatcher,
			then: []fake{{pid: 2, parent: 1, command: "sh -c train;cp"}, {pid: 3, parent: 2, command: "python train.py"}},
		},
		{
			name: "a shell with a trap goes on when its trainer has saved",
			processes: []fake{
				{pid: 2, parent: 1, command: "bash run.sh", catches: true},
				{pid: 3, parent: 2, command: "python train.py", catches: true, state: "Z"},
			},
			wave: asCatcher,
			then: []fake{{pid: 2, parent: 1, command: "bash run.sh", catches: true}, {pid: 3, parent: 2, command: "python train.py"}},
		},
		{
			name: "programs that signal whole groups yield",
			processes: []fake{
				{pid: 2, parent: 1, command: "dumb-init timeout 9 train", catches: true},
				{pid: 3, parent: 2, command: "timeout 9 train", catches: true},
				{pid: 4, parent: 3, command: "python train.py", catches: true},
			},
			want: "4", as: asCatcher,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			// given
			v := viewOf(t, c.processes, c.already)
			v.wave = c.wave
			if c.then != nil {
				v.atSave = fakeTable(t, append([]fake{supervise}, c.then...))
			}
			// when
			actions, _ := v.plan(stageOf(c.wave))
			// then
			told(t, actions, c.want, c.as)
		})
	}
}

func TestWhoSavesIsToldFirst(t *testing.T) {
	const torchrun, trainer = "/usr/bin/python3 /usr/bin/torchrun train.py", "/usr/bin/python3 -u train.py"
	for _, c := range []struct {
		name      string
		processes []fake
		already   map[int]given
		wave      given
		want      string
		as        given
	}{
		{
			name: "the ranks of a launcher, and neither the launcher nor what runs beside it",
			processes: []fake{
				{pid: 2, parent: 1, command: "bash -c x"},
				{pid: 3, parent: 2, command: torchrun, catches: true},
				{pid: 4, parent: 3, command: trainer, catches: true},
				{pid: 5, parent: 3, command: trainer, catches: true},
				{pid: 6, parent: 2, command: "sync", catches: true},
			},
			want: "4 5", as: asRank,
		},
		{
			name: "a rank that does not catch it waits for those that do",
			processes: []fake{
				{pid: 2, parent: 1, command: torchrun, catches: true},
				{pid: 3, parent: 2, command: trainer, catches: true},
				{pid: 4, parent: 2, command: trainer},
			},
			want: "3", as: asRank,
		},
		{
			name: "a rank that comes to catch it later",
			processes: []fake{
				{pid: 2, parent: 1, command: torchrun, catches: true},
				{pid: 3, parent: 2, command: trainer, catches: true},
				{pid: 4, parent: 2, command: trainer, catches: true},
			},
			already: map[int]given{3: asRank}, wave: asRank,
			want: "4", as: asRank,
		},
		{
			name: "a launcher whose workers do not catch it",
			processes: []fake{
				{pid: 2, parent: 1, command: torchrun, catches: true},
				{pid: 3, parent: 2, command: trainer},
			},
			want: "2", as: asCatcher,
		},
		{
			name: "ranks below a shell that the launcher has started, by their variables",
			processes: []fake{
				{pid: 2, parent: 1, command: torchrun, catches: true},
				{pid: 3, parent: 2, command: "bash run.sh", catches: true, environment: "LOCAL_RANK=0"},
				{pid: 4, parent: 3, command: trainer, catches: true, environment: "LOCAL_RANK=0"},
				{pid: 5, parent: 4, command: "helper", catches: true, environment: "LOCAL_RANK=0"},
			},
			want: "4", as: asRank,
		},
		{
			name: "a trainer that has a GPU open, before the service beside it",
			processes: []fake{
				{pid: 2, parent: 1, command: "bash -c x"},
				{pid: 3, parent: 2, command: trainer, catches: true, pipes: []string{"/dev/nvidia0"}},
				{pid: 4, parent: 2, command: "exporter", catches: true, pipes: []string{"/dev/nvidiactl"}},
			},
			want: "3", as: asRank,
		},
		{
			name: "a launcher that waits for a launcher",
			processes: []fake{
				{pid: 2, parent: 1, command: "/usr/bin/python3 /usr/bin/deepspeed train.py"},
				{pid: 3, parent: 2, command: "/usr/bin/python3 -u -m deepspeed.launcher.launch train.py", catches: true},
				{pid: 4, parent: 3, command: trainer, catches: true},
			},
			want: "4", as: asRank,
		},
		{
			name: "a launcher that has the time itself",
			processes: []fake{
				{pid: 2, parent: 1, command: "/usr/bin/python3 /usr/bin/ft_launcher train.py", catches: true},
				{pid: 3, parent: 2, command: trainer, catches: true, environment: "RANK=0"},
			},
			want: "2", as: asRank,
		},
		{
			name: "data loaders never: forked, spawned, named, and below a trainer that does not catch it",
			processes: []fake{
				{pid: 2, parent: 1, command: torchrun, catches: true},
				{pid: 3, parent: 2, command: trainer, catches: true},
				{pid: 4, parent: 3, command: trainer, catches: true},
				{pid: 5, parent: 2, command: trainer},
				{pid: 6, parent: 5, command: trainer, catches: true, environment: "RANK=1"},
				{pid: 7, parent: 5, command: "python -c spawn", catches: true, name: "pt_data_worker", environment: "RANK=1"},
			},
			want: "3", as: asRank,
		},
		{
			name: "a trainer without a handler, whose loaders have one, is a leaf",
			processes: []fake{
				{pid: 2, parent: 1, command: "sh -c x"},
				{pid: 3, parent: 2, command: trainer},
				{pid: 4, parent: 3, command: trainer, catches: true},
			},
			want: "3", as: asLeaf,
		},
		{
			name: "a script that ends its training itself is told alone",
			processes: []fake{
				{pid: 2, parent: 1, command: "bash run.sh", catches: true},
				{pid: 3, parent: 2, command: trainer, catches: true, background: true},
			},
			want: "2", as: asShell,
		},
		{
			name: "a script that waits for the trainer in the foreground cannot act",
			processes: []fake{
				{pid: 2, parent: 1, command: "bash run.sh", catches: true},
				{pid: 3, parent: 2, command: trainer, catches: true},
				{pid: 4, parent: 2, command: "sleep 9", background: true},
			},
			want: "3", as: asCatcher,
		},
		{
			name: "a shell's copy that is about to become the trainer is waited for",
			processes: []fake{
				{pid: 2, parent: 1, command: "bash run.sh", catches: true},
				{pid: 358_990, parent: 2, command: "bash run.sh", catches: true}, // began a tenth of a second ago
			},
		},
		{
			name: "a subshell with a trap of its own is told",
			processes: []fake{
				{pid: 2, parent: 1, command: "bash run.sh"},
				{pid: 358_000, parent: 2, command: "bash run.sh", catches: true}, // began 10 s ago
			},
			want: "358000", as: asShell,
		},
		{
			name: "a sync loop with a trap does not keep the signal from the trainer beside it",
			processes: []fake{
				{pid: 2, parent: 1, command: trainer, catches: true},
				{pid: 3, parent: 1, command: "bash sync.sh", catches: true},
				{pid: 4, parent: 3, command: "sleep 9", background: true},
			},
			want: "2 3", as: asCatcher,
		},
		{
			name: "nobody else while a script ends its training",
			processes: []fake{
				{pid: 2, parent: 1, command: "bash run.sh", catches: true},
				{pid: 3, parent: 2, command: trainer, catches: true, background: true},
			},
			already: map[int]given{2: asShell}, wave: asShell,
		},
		{
			name: "what reaches other hosts never",
			processes: []fake{
				{pid: 2, parent: 1, command: "bash -c x"},
				{pid: 3, parent: 2, command: "ssh host train", catches: true},
				{pid: 4, parent: 2, command: "kubectl exec x", catches: true},
			},
		},
		{
			name:      "a leaf that ignores it is not told",
			processes: []fake{{pid: 2, parent: 1, command: "sleep 9", ignores: true}},
		},
		{
			name: "a relay yields",
			processes: []fake{
				{pid: 2, parent: 1, command: "uv run train.py", catches: true},
				{pid: 3, parent: 2, command: trainer, catches: true},
			},
			want: "3", as: asCatcher,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			// given
			v := viewOf(t, c.processes, c.already)
			v.wave = c.wave
			// when
			actions, _ := v.plan(stageOf(c.wave))
			// then
			told(t, actions, c.want, c.as)
		})
	}
}

func TestSpawnedRanksAreNoDataLoaders(t *testing.T) {
	// given: torch.multiprocessing.spawn, and a loader that is spawned
	const spawned = "/usr/bin/python3 -c"
	for _, c := range []struct {
		parents, own []string
		loader       bool
	}{
		{nil, nil, true},
		{nil, []string{"/dev/nvidia0"}, false},
		{[]string{"/dev/nvidia0"}, []string{"/dev/nvidia0"}, true},
	} {
		v := viewOf(t, []fake{
			{pid: 2, parent: 1, command: "/usr/bin/python3 train.py", pipes: c.parents},
			{pid: 3, parent: 2, arguments: append(strings.Fields(spawned), "from multiprocessing.spawn import spawn_main; x"), pipes: c.own},
		}, nil)
		// when, then
		if isLoader := v.role(v.processes[3]) == loader; isLoader != c.loader {
			t.Errorf("with %v below one with %v: a loader is %v", c.own, c.parents, isLoader)
		}
	}
}

func TestTheRestIsToldWhenThoseThatSaveHaveEnded(t *testing.T) {
	const torchrun, trainer = "/usr/bin/python3 /usr/bin/torchrun train.py", "/usr/bin/python3 -u train.py"
	before := []fake{
		{pid: 2, parent: 1, command: "bash -c x"},
		{pid: 3, parent: 2, command: torchrun, catches: true},
		{pid: 4, parent: 3, command: trainer, catches: true},
		{pid: 5, parent: 2, command: "tee log"},
		{pid: 6, parent: 2, command: "sync", catches: true},
	}
	for _, c := range []struct {
		name      string
		processes []fake
		seconds   int // since the last that saves ended
		want      string
		as        given
	}{
		{"what runs beside them", []fake{before[0], before[1], before[3], before[4]}, 0, "6", asOther},
		{"a leaf a second later", []fake{before[0], before[1], before[3]}, 2, "5", asLeaf},
		{"no leaf at once: a pipe ends by itself", []fake{before[0], before[1], before[3]}, 0, "", notYet},
		{"not the launcher in its exit barrier", []fake{before[0], before[1]}, 299, "", notYet},
		{"the launcher when the barrier is over", []fake{before[0], before[1]}, 300, "3", asOther},
		{"ranks of a launcher that do not catch it", []fake{before[0], before[1], {pid: 7, parent: 3, command: trainer}}, 2, "7", asLeaf},
	} {
		t.Run(c.name, func(t *testing.T) {
			// given
			v := viewOf(t, c.processes, nil)
			then := fakeTable(t, append([]fake{supervise, {pid: 7, parent: 3, command: trainer}}, before...))
			v.note(then, then.processes[4], asRank, v.at)
			v.savedAt = v.at
			v.at = v.at.after(seconds(c.seconds))
			// when
			actions, _ := v.plan(finishing)
			// then
			told(t, actions, c.want, c.as)
		})
	}
}

func TestRaysOwnProcessesAreToldWhenTheDriverHasSaved(t *testing.T) {
	const raylet, gcs, start = "/opt/ray/raylet --x", "/opt/ray/gcs_server --x", "/usr/bin/python3 /usr/bin/ray start --head --block"
	daemons := []fake{
		{pid: 8, parent: 1, command: gcs, catches: true, session: 8},
		{pid: 9, parent: 1, command: raylet, catches: true, session: 9},
		{pid: 10, parent: 9, command: "ray::Actor.train", exe: "/usr/bin/python3", catches: true},
	}
	script := fake{pid: 2, parent: 1, command: "bash -c x"}
	driver := fake{pid: 3, parent: 2, command: "python train.py", catches: true}
	for _, c := range []struct {
		name      string
		processes []fake
		already   map[int]given
		stage     stage
		want      string
		as        given
	}{
		{"a driver that begins a cluster below it", []fake{
			{pid: 2, parent: 1, command: "python train.py", catches: true},
			{pid: 3, parent: 2, command: gcs, catches: true},
			{pid: 4, parent: 2, command: raylet, catches: true},
			{pid: 5, parent: 4, command: "ray::Actor.train", exe: "/usr/bin/python3", catches: true},
		}, nil, looking, "2", asCatcher},
		{"a driver after ray start", append([]fake{script, driver}, daemons...), nil, looking, "3", asCatcher},
		{"the driver saves", append([]fake{script, driver}, daemons...), map[int]given{3: asCatcher}, saving, "", 0},
		{"the driver has ended", append([]fake{script}, daemons...), map[int]given{2: notYet}, finishing, "8 9", asOther},
		{"no driver", append([]fake{script}, daemons...), nil, looking, "8 9", asCatcher},
		{"ray start --block behind a shell", []fake{
			script,
			{pid: 3, parent: 2, command: start, catches: true},
			{pid: 4, parent: 3, command: raylet, catches: true},
			{pid: 5, parent: 4, command: "ray::Actor.train", exe: "/usr/bin/python3", catches: true},
		}, nil, looking, "3", asCatcher},
		{"a trap that waits for ray start --block", []fake{
			{pid: 2, parent: 1, command: "bash run.sh", catches: true},
			{pid: 3, parent: 2, command: start, catches: true},
			{pid: 4, parent: 3, command: raylet, catches: true},
		}, nil, looking, "3", asCatcher},
	} {
		t.Run(c.name, func(t *testing.T) {
			// given
			v := viewOf(t, c.processes, c.already)
			if c.stage != looking {
				v.wave, v.atSave = asCatcher, fakeTable(t, append([]fake{supervise, script, driver}, daemons...))
			}
			// when
			actions, _ := v.plan(c.stage)
			// then
			told(t, actions, c.want, c.as)
		})
	}
}

const longClock = "TORCH_ELASTIC_SHUTDOWN_TIMEOUT=70"

// newerTorch is a torchrun whose torch reads the variable, 2, and its ranks, 3 and 4.
func newerTorch() []fake {
	const torchrun, trainer = "/usr/bin/python3 /usr/bin/torchrun train.py", "/usr/bin/python3 -u train.py"
	return []fake{
		{pid: 2, parent: 1, command: torchrun, catches: true, environment: longClock, torch: "2.15.0+cu132"},
		{pid: 3, parent: 2, command: trainer, catches: true, environment: longClock + " RANK=0", session: 3},
		{pid: 4, parent: 2, command: trainer, catches: true, environment: longClock + " RANK=1", session: 4},
	}
}

func TestTorchrunWithALongClockIsToldItselfUnlessItsSignalWouldEndDataLoaders(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func([]fake) []fake
		want   string
	}{
		{"its clock is long enough", func(p []fake) []fake { return p }, "2"},
		{"an older torch does not read the variable", func(p []fake) []fake { p[0].torch = "2.6.0"; return p }, "3 4"},
		{"no variable", func(p []fake) []fake { p[0].environment = ""; return p }, "3 4"},
		{"a rank has a data loader", func(p []fake) []fake {
			return append(p, fake{pid: 5, parent: 4, command: p[2].command, catches: true, name: "pt_data_worker"})
		}, "3 4"},
		{"a rank has a helper of Python's multiprocessing", func(p []fake) []fake {
			return append(p, fake{pid: 5, parent: 4, arguments: []string{"/usr/bin/python3", "-c", "from multiprocessing.spawn import spawn_main"}})
		}, "3 4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			// given
			v := viewOf(t, c.change(newerTorch()), nil)
			// when
			actions, _ := v.plan(looking)
			// then
			told(t, actions, c.want, asRank)
		})
	}
}

func TestFtLauncherIsToldItselfUnlessItsSignalWouldEndDataLoaders(t *testing.T) {
	const command, trainer = "/usr/bin/python3 /usr/bin/ft_launcher train.py", "/usr/bin/python3 -u train.py"
	processes := []fake{
		{pid: 2, parent: 1, command: command, catches: true},
		{pid: 3, parent: 2, command: command, catches: true}, // a rank's monitor, forked
		{pid: 4, parent: 2, command: trainer, catches: true, session: 4},
	}
	loader := fake{pid: 5, parent: 4, command: trainer, catches: true, name: "pt_data_worker"}
	for _, c := range []struct {
		name      string
		processes []fake
		already   map[int]given
		want      string
	}{
		{"its clock is long enough", processes, nil, "2"},
		{"a rank has a data loader", append(processes[:3:3], loader), nil, "4"},
		{"its rank has been told, and the loader has ended", processes, map[int]given{4: asRank}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			// given
			v := viewOf(t, c.processes, nil)
			for pid, as := range c.already {
				v.note(v.table, v.processes[pid], as, 1)
			}
			// when
			actions, _ := v.plan(stageOf(v.wave))
			// then
			told(t, actions, c.want, asRank)
		})
	}
}

func TestTorchrunThatWasPassedOverIsNotToldWhenItsRanksLoadersHaveEnded(t *testing.T) {
	for _, c := range []struct {
		name  string
		alive int
	}{{"its ranks save", 3}, {"its ranks have ended", 1}} {
		t.Run(c.name, func(t *testing.T) {
			// given
			v := viewOf(t, newerTorch()[:c.alive], nil)
			then := fakeTable(t, append([]fake{supervise}, newerTorch()...))
			for _, pid := range []int{3, 4} {
				v.note(then, then.processes[pid], asRank, 1)
			}
			// when
			actions, _ := v.plan(saving)
			// then
			told(t, actions, "", asRank)
		})
	}
}

func TestALauncherThatBeginsAgainAfterTheSaveIsEnded(t *testing.T) {
	// given
	const torchrun, trainer = "/usr/bin/python3 /usr/bin/torchrun train.py", "/usr/bin/python3 -u train.py"
	v := viewOf(t, []fake{
		{pid: 2, parent: 1, command: torchrun, catches: true},
		{pid: 5, parent: 2, command: trainer, catches: true},
		{pid: 6, parent: 2, command: trainer},
	}, nil)
	then := fakeTable(t, []fake{supervise, {pid: 2, parent: 1, command: torchrun, catches: true}, {pid: 3, parent: 2, command: trainer, catches: true}})
	v.note(then, then.processes[3], asRank, 1)
	// when
	actions, events := v.plan(saving)
	// then
	told(t, actions, "5-9 6-9 2", asLauncher)
	if len(events) != 1 || events[0] != saversEnded {
		t.Errorf("events %v", events)
	}
}

func TestALauncherWhoseRanksAreElsewhereIsToldShortlyBeforeTheEnd(t *testing.T) {
	for _, c := range []struct {
		seconds int
		want    string
	}{{0, ""}, {44, ""}, {45, "2"}} {
		// given
		v := viewOf(t, []fake{
			{pid: 2, parent: 1, command: "mpirun -np 2 x", catches: true},
			{pid: 3, parent: 2, command: "ssh worker prted", catches: true},
		}, nil)
		v.grace = time.Minute
		v.at = v.since.after(seconds(c.seconds))
		// when
		actions, _ := v.plan(looking)
		// then
		told(t, actions, c.want, asLauncher)
	}
}

func TestAnotherSignalGoesToWhoCatchesItAndSIGTERMToTheOthers(t *testing.T) {
	// given
	v := viewOf(t, []fake{
		{pid: 2, parent: 1, command: "/usr/bin/python3 /usr/bin/torchrun train.py", catches: true},
		{pid: 3, parent: 2, command: "/usr/bin/python3 -u train.py", catchesUSR1: true},
	}, nil)
	v.number = unix.SIGUSR1
	// when
	actions, _ := v.plan(looking)
	// then
	told(t, actions, "3", asRank)
	if actions[0].number != unix.SIGUSR1 {
		t.Errorf("it gets %s", unix.SignalName(actions[0].number))
	}
}

func TestThoseThatSaveAreEndedWhenAllOfThemHaveWrittenNothingForTooLong(t *testing.T) {
	for _, c := range []struct {
		name     string
		written  int
		expected string
	}{{"nothing", 0, "2-9"}, {"something", 1, ""}} {
		t.Run(c.name, func(t *testing.T) {
			// given
			v := viewOf(t, []fake{{pid: 2, parent: 1, command: "train", catches: true, written: 100 + c.written}}, map[int]given{2: asRank})
			v.wave, v.stall = asRank, 10*time.Second
			p := v.processes[2]
			v.activity[p.identity] = &activity{total: 100, grew: v.at}
			v.at = v.at.after(10 * time.Second)
			// when
			actions, _ := v.plan(saving)
			// then
			told(t, actions, c.expected, asRank)
		})
	}
}

func TestWhatATrapMayHaveToldIsToldOnlyWhenItWritesLittle(t *testing.T) {
	for _, c := range []struct {
		name    string
		written int
		seconds int
		want    string
	}{
		{"it has just been seen", 0, 0, ""},
		{"it saves", muchWritten, 6, ""},
		{"it only logs", 1000, 6, "2"},
		{"it saves for ever", muchWritten, 60, "2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			// given
			v := viewOf(t, []fake{{pid: 2, parent: 1, command: "train", catches: true, written: c.written}}, nil)
			v.wave, v.savedAt = asShell, v.at
			v.activity[v.processes[2].identity] = &activity{grew: v.at, much: v.at}
			v.at = v.at.after(seconds(c.seconds))
			// when
			actions, _ := v.plan(finishing)
			// then
			told(t, actions, c.want, asOther)
		})
	}
}

func TestEveryStageHasItsTransitions(t *testing.T) {
	for s := undisturbed; s <= ended; s++ {
		moves, known := transitions[s]
		if !known {
			t.Errorf("%s has none", s)
		}
		for e, next := range moves {
			if next <= s {
				t.Errorf("%s goes back to %s by %d", s, next, e)
			}
		}
		if s != ended && s.after(commandEnded) == s && s.after(nothingSaves) == s {
			t.Errorf("%s never ends", s)
		}
	}
}
