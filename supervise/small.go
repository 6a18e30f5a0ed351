package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
)

const (
	manyProcessors = 16
	setting        = "GOMAXPROCS="
	// restored is set in the second life: the setting that the first was given, if any.
	restored = "GRACEKEEPER_SUPERVISE_WAS="
)

// staySmall keeps supervise small on big machines. Go's runtime sets up some 30 KiB for each processor before main, 9 MB
// on a GPU node with 256, and only the environment can tell it not to: so there the program executes itself once more.
func staySmall() {
	if runtime.GOMAXPROCS(0) > manyProcessors {
		startAgain() // returns only where it cannot
	}
	// It waits nearly all the time: one thread is enough, and garbage is collected at every half megabyte.
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(10)
}

func startAgain() {
	program, err := os.Executable()
	if err != nil {
		return
	}
	environment, had := without(os.Environ(), setting)
	if had != "" {
		had = setting + had
	}
	environment = append(environment, setting+"1", restored+had)
	_ = syscall.Exec(program, os.Args, environment)
}

// childEnvironment is the environment that the first life was given.
func childEnvironment(own []string) []string {
	environment, was := without(own, restored)
	if len(environment) == len(own) {
		return own
	}
	environment, _ = without(environment, setting)
	if was != "" {
		environment = append(environment, was)
	}
	return environment
}

// without takes the variables with this prefix out, and gives the last one's value.
func without(environment []string, prefix string) (rest []string, value string) {
	for _, variable := range environment {
		if after, found := strings.CutPrefix(variable, prefix); found {
			value = after
		} else {
			rest = append(rest, variable)
		}
	}
	return rest, value
}
