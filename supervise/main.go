// Supervise is PID 1 of the containers whose checkpoint gracekeeper protects: it hands SIGTERM to the processes that can
// act on it, and keeps it from those that must finish first.
package main

import (
	"errors"
	"flag"
	"io"
	"os"
	"time"
)

// version is set by the linker.
var version = "unknown"

const defaultFolder = "/gracekeeper"

const help = `usage:
  supervise install [--folder /gracekeeper]
      Make the folder's parts and copy this program to FOLDER/bin/supervise.
  supervise hold [--folder /gracekeeper] [--sidecar] --grace SECONDS [--interrupted-code N]
                 [--termination-log /dev/termination-log] -- COMMAND [ARGUMENT ...]
      Run an uploader (OSMO's osmo_ctrl) and hold SIGTERM back until its data is safe.
        --sidecar             wait for SIGTERM before ending: an exit would restart the container
        --grace               the pod's terminationGracePeriodSeconds
        --interrupted-code    end with N where the task was interrupted and its data is safe
        --termination-log     where Kubernetes reads the termination message
  supervise forward [--folder /gracekeeper] [--below] [--limit SECONDS] [--interrupted-code N]
                    -- COMMAND [ARGUMENT ...]
      Run COMMAND and hand SIGTERM to those of its processes that catch it.
        --below               COMMAND is OSMO's osmo_exec: hand it to the user command below it, never to COMMAND
        --limit               SIGKILL what still works so many seconds after the pod was told to stop
        --interrupted-code    end with N in place of 0 after SIGTERM
  supervise gate [--folder /gracekeeper]
      Keep the pod alive until hold has a result, and end with it.
  supervise pause
      Wait for SIGTERM, so that the image stays on the node.
  supervise --help | --version
Exit codes: the command's, or 128 + the signal that ended it; 2 wrong usage; 126 cannot be run; 127 not found.
`

// exitCode is an error that says only how to end; all that had to be said about it has been said.
type exitCode int

func (e exitCode) Error() string { return "" }

// usageError is a command line that cannot be understood.
type usageError string

func (e usageError) Error() string { return string(e) + "; see supervise --help" }

func main() {
	staySmall()
	os.Exit(run(os.Args[1:], listen()))
}

func run(arguments []string, signals signals) int {
	err := dispatch(arguments, signals)
	var code exitCode
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, &usage):
		say("%v", err)
		return 2
	}
	say("%v", err)
	return 1
}

func dispatch(arguments []string, signals signals) error {
	if len(arguments) == 0 {
		return usageError("no subcommand")
	}
	options := flag.NewFlagSet(arguments[0], flag.ContinueOnError)
	options.SetOutput(io.Discard)
	root := options.String("folder", defaultFolder, "")
	parse := func(needsCommand bool) error {
		if err := options.Parse(arguments[1:]); err != nil {
			return usageError(arguments[0] + ": " + err.Error())
		}
		if needsCommand && options.NArg() == 0 {
			return usageError(arguments[0] + ": no command")
		}
		if !needsCommand && options.NArg() > 0 {
			return usageError(arguments[0] + ": unexpected " + options.Arg(0))
		}
		return nil
	}
	switch arguments[0] {
	case "install":
		if err := parse(false); err != nil {
			return err
		}
		return install(*root, "/proc/self/exe")
	case "hold":
		sidecar := options.Bool("sidecar", false, "")
		grace := options.Int("grace", -1, "")
		interruptedCode := options.Int("interrupted-code", -1, "")
		terminationLog := options.String("termination-log", "/dev/termination-log", "")
		if err := parse(true); err != nil {
			return err
		}
		if *grace < 0 {
			return usageError("hold: --grace SECONDS is needed")
		}
		return runHold(holdOptions{
			folder:          folder(*root),
			sidecar:         *sidecar,
			grace:           seconds(*grace),
			interruptedCode: *interruptedCode,
			terminationLog:  *terminationLog,
			command:         options.Args(),
		}, signals)
	case "forward":
		below := options.Bool("below", false, "")
		limit := options.Int("limit", -1, "")
		interruptedCode := options.Int("interrupted-code", -1, "")
		if err := parse(true); err != nil {
			return err
		}
		return runForward(forwardOptions{
			folder:          folder(*root),
			below:           *below,
			limit:           seconds(*limit),
			interruptedCode: *interruptedCode,
			command:         options.Args(),
		}, signals)
	case "gate":
		if err := parse(false); err != nil {
			return err
		}
		return runGate(folder(*root), signals)
	case "pause":
		if err := parse(false); err != nil {
			return err
		}
		return runPause(signals)
	case "--help", "-h", "-help", "help":
		_, err := os.Stdout.WriteString(help)
		return err
	case "--version", "-version":
		_, err := os.Stdout.WriteString(version + "\n")
		return err
	}
	return usageError("unknown subcommand " + arguments[0])
}

func seconds(number int) time.Duration { return time.Duration(number) * time.Second }
