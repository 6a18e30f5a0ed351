package main

import (
	"flag"
	"io"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// usageError is a command line that cannot be understood.
type usageError string

func (e usageError) Error() string { return string(e) + "; see supervise --help" }

// options are the flags of one subcommand; each has --folder.
type options struct {
	*flag.FlagSet
	root *string
}

func newOptions(subcommand string) options {
	o := options{FlagSet: flag.NewFlagSet(subcommand, flag.ContinueOnError)}
	o.SetOutput(io.Discard)
	o.root = o.String("folder", "/gracekeeper", "")
	return o
}

// parse reads the flags, and nothing may follow them.
func (o options) parse(arguments []string) error {
	if err := o.Parse(arguments); err != nil {
		return usageError(o.Name() + ": " + err.Error())
	}
	if o.NArg() > 0 {
		return usageError(o.Name() + ": unexpected " + o.Arg(0))
	}
	return nil
}

// parseCommand reads the flags and the command that must follow them.
func (o options) parseCommand(arguments []string) ([]string, error) {
	if err := o.Parse(arguments); err != nil {
		return nil, usageError(o.Name() + ": " + err.Error())
	}
	if o.NArg() == 0 {
		return nil, usageError(o.Name() + ": no command")
	}
	return o.Args(), nil
}

func (o options) folder() folder { return folder(*o.root) }

// none is the value of a number that was not given.
const none = -1

func seconds(number int) time.Duration { return time.Duration(number) * time.Second }

func (o options) install(arguments []string) error {
	if err := o.parse(arguments); err != nil {
		return err
	}
	return install(*o.root, "/proc/self/exe")
}

func (o options) hold(arguments []string, s signals) error {
	sidecar := o.Bool("sidecar", false, "")
	grace := o.Int("grace", none, "")
	interruptedCode := o.Int("interrupted-code", none, "")
	terminationLog := o.String("termination-log", "/dev/termination-log", "")
	command, err := o.parseCommand(arguments)
	if err != nil {
		return err
	}
	if *grace < 0 {
		return usageError("hold: --grace SECONDS is needed")
	}
	return runHold(holdOptions{
		folder:          o.folder(),
		sidecar:         *sidecar,
		grace:           seconds(*grace),
		interruptedCode: *interruptedCode,
		terminationLog:  *terminationLog,
		command:         command,
	}, s)
}

func (o options) forward(arguments []string, s signals) error {
	below := o.Bool("below", false, "")
	limit := o.Int("limit", none, "")
	grace := o.Int("grace", none, "")
	stall := o.Int("stall-seconds", 0, "")
	interruptedCode := o.Int("interrupted-code", none, "")
	followed := o.Bool("followed", false, "")
	trace := o.Bool("trace", false, "")
	sync := o.String("sync", "", "")
	terminationLog := o.String("termination-log", "", "")
	command, meansSave, err := o.parseTraining(arguments)
	if err != nil {
		return err
	}
	return runForward(forwardOptions{
		folder:          o.folder(),
		below:           *below,
		followed:        *followed,
		limit:           seconds(*limit),
		grace:           seconds(*grace),
		stall:           seconds(*stall),
		number:          meansSave,
		interruptedCode: *interruptedCode,
		trace:           *trace,
		sync:            *sync,
		terminationLog:  *terminationLog,
		command:         command,
	}, s)
}

func (o options) follow(arguments []string, s signals) error {
	grace := o.Int("grace", none, "")
	toldWithin := o.Int("trainer-told-within", none, "")
	command, err := o.parseCommand(arguments)
	if err != nil {
		return err
	}
	if *grace < 0 {
		return usageError("follow: --grace SECONDS is needed")
	}
	return runFollow(followOptions{
		folder: o.folder(), grace: seconds(*grace), toldWithin: seconds(*toldWithin), command: command,
	}, s)
}

func (o options) rehearse(arguments []string, s signals) error {
	grace := o.Int("grace", none, "")
	after := o.Int("after", 30, "")
	command, meansSave, err := o.parseTraining(arguments)
	if err != nil {
		return err
	}
	if *grace < 0 || *after < 0 {
		return usageError("rehearse: --grace SECONDS is needed, and --after must not be negative")
	}
	return rehearse(forwardOptions{
		folder: o.folder(), grace: seconds(*grace), number: meansSave, interruptedCode: none, command: command,
	}, seconds(*after), s)
}

// parseTraining is parseCommand with --signal, by its name with SIG before it or without.
func (o options) parseTraining(arguments []string) ([]string, unix.Signal, error) {
	name := o.String("signal", "SIGTERM", "")
	command, err := o.parseCommand(arguments)
	if err != nil {
		return nil, 0, err
	}
	number := unix.SignalNum("SIG" + strings.TrimPrefix(strings.ToUpper(*name), "SIG"))
	if number == 0 {
		return nil, 0, usageError(o.Name() + ": --signal: no signal is named " + *name)
	}
	return command, number, nil
}

func (o options) gate(arguments []string, s signals) error {
	if err := o.parse(arguments); err != nil {
		return err
	}
	return runGate(o.folder(), s)
}

func (o options) syncFiles(arguments []string) error {
	paths, err := o.parseCommand(arguments)
	if err != nil {
		return err
	}
	return syncFiles(paths[0])
}

func (o options) pause(arguments []string, s signals) error {
	if err := o.parse(arguments); err != nil {
		return err
	}
	return runPause(s)
}
