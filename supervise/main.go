// Supervise is PID 1 of the containers whose checkpoint gracekeeper protects: it hands SIGTERM to the processes that can
// act on it, and keeps it from those that must finish first.
package main

import (
	"errors"
	"os"
)

// version is set by the linker.
var version = "unknown"

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
  supervise forward [--folder /gracekeeper] [--below] [--limit SECONDS] [--grace SECONDS] [--signal SIGTERM]
                    [--stall-seconds SECONDS] [--interrupted-code N] [--sync FOLDER] [--termination-log FILE]
                    [--followed] [--trace] -- COMMAND [ARGUMENT ...]
      Run COMMAND and hand SIGTERM to those of its processes that save: the ranks below a launcher, else those that
      catch it. What else catches it gets it when they have ended.
        --below               COMMAND is OSMO's osmo_exec: hand it to the user command below it, never to COMMAND
        --limit               SIGKILL what still works so many seconds after the pod was told to stop
        --grace               how long COMMAND has from SIGTERM to SIGKILL
        --signal              hand this signal to those that save and catch it
        --stall-seconds       SIGKILL those that save when all of them have written nothing for so long
        --interrupted-code    end with N in place of 0, where SIGTERM came and COMMAND alone would not have ended
                              with 0 (default 143; 0 keeps the 0)
        --sync                write FOLDER's file system out at the end, where it is on a disk of this node
        --termination-log     leave one line there: who was told, and what became of it
        --followed            another container runs "supervise follow": show it in FOLDER that this one lives
        --trace               say on stderr who gets which signal, and why
  supervise follow [--folder /gracekeeper] --grace SECONDS [--trainer-told-within SECONDS] -- COMMAND [ARGUMENT ...]
      Run an uploader beside a trainer (supervise forward --followed). Hold SIGTERM back until the trainer's container
      has ended, then hand it to those of COMMAND's processes that catch it.
        --grace                  how long COMMAND has from SIGTERM to SIGKILL. It gets SIGTERM 30 s before the end,
                                 after half of the time at the earliest, where the trainer has not ended by then
        --trainer-told-within    only this container is to stop where the trainer has no SIGTERM by then
  supervise rehearse --grace SECONDS [--after 30] [--signal SIGTERM] -- COMMAND [ARGUMENT ...]
      Run COMMAND, tell it to stop after so many seconds as forward would, and say on stderr who got the signal and
      when, who saved, and what was cut when the grace was over. For any container, and for a laptop.
  supervise sync FOLDER
      Write FOLDER's file system out, where it is on a disk of this node.
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

func main() {
	staySmall()
	os.Exit(run(os.Args[1:], listen()))
}

func run(arguments []string, s signals) int {
	err := dispatch(arguments, s)
	if err == nil {
		return 0
	}
	var code exitCode
	if errors.As(err, &code) {
		return int(code)
	}
	say("%v", err)
	var usage usageError
	if errors.As(err, &usage) {
		return 2
	}
	return 1
}

func dispatch(arguments []string, s signals) error {
	if len(arguments) == 0 {
		return usageError("no subcommand")
	}
	o := newOptions(arguments[0])
	switch arguments[0] {
	case "install":
		return o.install(arguments[1:])
	case "hold":
		return o.hold(arguments[1:], s)
	case "forward":
		return o.forward(arguments[1:], s)
	case "follow":
		return o.follow(arguments[1:], s)
	case "rehearse":
		return o.rehearse(arguments[1:], s)
	case "gate":
		return o.gate(arguments[1:], s)
	case "pause":
		return o.pause(arguments[1:], s)
	case "sync":
		return o.syncFiles(arguments[1:])
	case "--help", "-h", "-help", "help":
		return printed(help)
	case "--version", "-version":
		return printed(version + "\n")
	}
	return usageError("unknown subcommand " + arguments[0])
}

func printed(text string) error {
	_, err := os.Stdout.WriteString(text)
	return err
}
