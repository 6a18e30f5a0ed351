package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestACommandLineThatCannotBeUnderstoodIsOneLineAndTwo(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"", "no subcommand"},
		{"keep", "unknown subcommand keep"},
		{"hold --grace 30", "hold: no command"},
		{"hold --grace 30 --", "hold: no command"},
		{"hold -- true", "hold: --grace SECONDS is needed"},
		{"hold --grace soon -- true", `hold: invalid value "soon" for flag -grace`},
		{"forward", "forward: no command"},
		{"forward --patience 30 -- true", "forward: flag provided but not defined: -patience"},
		{"forward --signal SIGNONE -- true", "forward: --signal: no signal is named SIGNONE"},
		{"follow -- true", "follow: --grace SECONDS is needed"},
		{"follow --grace 30", "follow: no command"},
		{"gate now", "gate: unexpected now"},
		{"install --folder", "install: flag needs an argument: -folder"},
	} {
		t.Run(c.line, func(t *testing.T) {
			// when
			err := dispatch(strings.Fields(c.line), signals{})
			// then
			var usage usageError
			if !errors.As(err, &usage) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v", err)
			}
			if code := run(strings.Fields(c.line), signals{}); code != 2 {
				t.Errorf("ends with %d", code)
			}
		})
	}
}

func TestASecondLifeLeavesNoTraceInTheChildsEnvironment(t *testing.T) {
	for _, c := range []struct{ environment, want string }{
		{"A=1 B=2", "A=1 B=2"},
		{"A=1 GOMAXPROCS=4", "A=1 GOMAXPROCS=4"},
		{"A=1 GOMAXPROCS=1 " + restored, "A=1"},
		{"A=1 GOMAXPROCS=1 " + restored + "GOMAXPROCS=200", "A=1 GOMAXPROCS=200"},
	} {
		// when
		found := strings.Join(childEnvironment(strings.Fields(c.environment)), " ")
		// then
		if found != c.want {
			t.Errorf("%s: %s", c.environment, found)
		}
	}
}

func TestSignalsThatGoIsSentOrThatAreFaultsAreNotPassedOn(t *testing.T) {
	// given
	passed := 0
	// when
	for number := range lastSignal {
		if passedOn(syscall.Signal(number + 1)) {
			passed++
		}
	}
	// then
	if passed != lastSignal-19 {
		t.Errorf("%d are passed on", passed)
	}
	for _, number := range []syscall.Signal{1, 2, 3, 10, 12, 14, 18, 20, 28, 35, 64} {
		if !passedOn(number) {
			t.Errorf("%d is not", number)
		}
	}
}

func TestSIGTERMBeforeTheStartStartsNothing(t *testing.T) {
	for name, begin := range map[string]func(folder, string, signals) error{
		"forward": func(f folder, trace string, s signals) error {
			return runForward(forwardOptions{folder: f, below: true, command: []string{"touch", trace}}, s)
		},
		"hold": func(f folder, trace string, s signals) error {
			return runHold(holdOptions{folder: f, sidecar: true, command: []string{"touch", trace}}, s)
		},
	} {
		t.Run(name, func(t *testing.T) {
			// given
			f, trace := installed(t), filepath.Join(t.TempDir(), "trace")
			s := signals{terminate: make(chan os.Signal, 1)}
			s.terminate <- syscall.SIGTERM
			// when
			err := begin(f, trace, s)
			// then
			if want := map[string]exitCode{"forward": 143, "hold": 1}[name]; err != want {
				t.Errorf("ends with %v", err)
			}
			if _, err := os.Stat(trace); err == nil {
				t.Error("started")
			}
			if _, there := f.stoppingSince(); !there {
				t.Error("the other containers do not hear of it")
			}
		})
	}
}
