package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Codes that osmo_ctrl leaves in its termination message.
const (
	unauthorised = 14
	socketFailed = 23
	commandEnded = 31
)

const (
	unixTimeout = 120 * time.Minute
	logPeriod   = 100 * time.Millisecond
	askAgain    = 5 * time.Second
)

type controlOptions struct {
	inputs, outputs                            several
	socketPath, inputPath, outputPath, barrier string
}

// controller is osmo_ctrl while it runs.
type controller struct {
	options controlOptions
	code    int
	failed  bool
	queued  atomic.Int64
	done    atomic.Bool
}

func control(arguments []string) {
	ctrl := &controller{options: parseControl(arguments), failed: true}
	go obey()
	defer ctrl.saveExitCode()
	connection := ctrl.accept()
	defer connection.Close()
	defer ctrl.tellFailure(connection)
	log.Printf("Client connected [%s]", connection.RemoteAddr().Network())
	for os.Getenv(serviceKnob) == "no-token" {
		time.Sleep(time.Second)
	}
	go ctrl.sendLogs()
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-ended
		os.Exit(1)
	}()
	ctrl.start(connection)
	ctrl.follow(connection)
	ctrl.upload()
	ctrl.finishLogs()
	log.Printf("OSMO ctrl is done")
}

func parseControl(arguments []string) controlOptions {
	var options controlOptions
	flags := flag.NewFlagSet("osmo_ctrl", flag.ExitOnError)
	flags.Var(&options.inputs, "inputs", "")
	flags.Var(&options.outputs, "outputs", "")
	flags.StringVar(&options.socketPath, "socketPath", "", "")
	flags.StringVar(&options.inputPath, "inputPath", "", "")
	flags.StringVar(&options.outputPath, "outputPath", "", "")
	flags.StringVar(&options.barrier, "barrier", "", "")
	for _, ignored := range []string{
		"workflow", "logSource", "scheme", "host", "port", "refreshToken", "refreshScheme", "tokenHeader", "userConfig",
		"serviceConfig", "metadataFile", "downloadType", "timeout", "unixTimeout", "execTimeout", "dataTimeout", "groupName",
		"retryId", "logsPeriod", "logsBufferSize", "cacheSize",
	} {
		flags.String(ignored, "", "")
	}
	flags.Parse(arguments)
	return options
}

func (ctrl *controller) fail(code int, what string) {
	ctrl.code = code
	panic(what)
}

// accept waits for osmo_exec; until then SIGTERM has the Go runtime's default action.
func (ctrl *controller) accept() net.Conn {
	if err := os.RemoveAll(ctrl.options.socketPath); err != nil {
		ctrl.fail(socketFailed, err.Error())
	}
	listener, err := net.Listen("unix", ctrl.options.socketPath)
	if err != nil {
		ctrl.fail(socketFailed, fmt.Sprintf("listen error: %s", err))
	}
	os.Chmod(ctrl.options.socketPath, 0o777)
	listener.(*net.UnixListener).SetDeadline(time.Now().Add(unixTimeout))
	connection, err := listener.Accept()
	if err != nil {
		ctrl.fail(socketFailed, fmt.Sprintf("accept error: %s", err))
	}
	return connection
}

// start checks access, downloads every input, and lets osmo_exec begin.
func (ctrl *controller) start(connection net.Conn) {
	if os.Getenv(accessKnob) == "denied" {
		ctrl.fail(unauthorised, "Data unauthorized: the test says so")
	}
	note("download begins", "")
	for number, input := range ctrl.options.inputs {
		uri := strings.Split(strings.TrimSuffix(input, ","), ",")
		target := filepath.Join(ctrl.options.inputPath, fmt.Sprint(number))
		ctrl.say("Downloading " + uri[len(uri)-1])
		ctrl.run("osmo", "data", "download", uri[len(uri)-1], target, "--processes", os.Getenv("CPU_COUNT"))
	}
	log.Println("All Inputs Gathered")
	ctrl.say("All Inputs Gathered")
	note("download ends", "")
	if ctrl.options.barrier != "" {
		ctrl.say("Waiting for the barrier " + ctrl.options.barrier)
	}
	begin := message{Kind: execStart, OutputFolder: ctrl.options.outputPath}
	if err := json.NewEncoder(connection).Encode(begin); err != nil {
		ctrl.fail(socketFailed, fmt.Sprintf("Failed to send request: %v\n", err))
	}
	ctrl.failed = false
	log.Println("Exec start")
	note("exec starts", "")
}

// follow takes what the user command prints until it has ended, in whatever way.
func (ctrl *controller) follow(connection net.Conn) {
	decoder := json.NewDecoder(connection)
	for {
		var received message
		if err := decoder.Decode(&received); err != nil {
			ctrl.say(fmt.Sprintf("Failed to parse response: %v\n", err))
			break
		}
		ctrl.queued.Add(1)
		note(received.Kind, received.Text)
		if received.Kind == execFailed || received.Kind == execFinished {
			break
		}
	}
	log.Println("Exec finished")
	note("exec finished", "")
	ctrl.queued.Add(int64(integer(backlogLinesKnob)))
}

func (ctrl *controller) upload() {
	note("upload begins", "")
	defer note("upload ends", "")
	ctrl.say("Upload Start")
	entries, err := os.ReadDir(ctrl.options.outputPath)
	if err != nil {
		log.Println(err)
	}
	if len(entries) == 0 {
		log.Println("No Files in Output Folder")
		ctrl.say("No Files in Output Folder")
		return
	}
	for number, output := range ctrl.options.outputs {
		log.Printf("Uploading %s", output)
		ctrl.say("Uploading " + output)
		_, uri, _ := strings.Cut(output, ":")
		uri, regex, _ := strings.Cut(uri, ",")
		command := []string{
			"osmo", "data", "upload", uri, ctrl.options.outputPath + "*", "--processes", os.Getenv("CPU_COUNT"),
			"--benchmark-out", fmt.Sprintf("/osmo/data/benchmarks/OUTPUT_%d", number),
		}
		if regex != "" {
			command = append(command, "--regex", regex)
		}
		ctrl.run(command...)
		ctrl.say("Uploaded " + output)
	}
	ctrl.say("All Outputs Uploaded")
}

// run is one command of the osmo client; a service that cannot be reached or is too busy is asked again for ever.
func (ctrl *controller) run(command ...string) {
	for {
		err := stream(command, func(line string) {
			log.Println(line)
			ctrl.say(line)
		})
		if err == nil {
			return
		}
		var exit *exec.ExitError
		if errors.As(err, &exit) && (exit.ExitCode() == 10 || exit.ExitCode() == 75) {
			time.Sleep(time.Second)
			continue
		}
		log.Println("out:", fmt.Sprintf("Command failed with error: %v\n", err))
		ctrl.fail(commandEnded, err.Error())
	}
}

// say puts a line into the log and into the queue for the service.
func (ctrl *controller) say(line string) {
	log.Printf("%s", line)
	ctrl.queued.Add(1)
}

func (ctrl *controller) sendLogs() {
	for range time.Tick(logPeriod) {
		if os.Getenv(serviceKnob) == "never" {
			continue
		}
		if ctrl.queued.Load() > 0 {
			ctrl.queued.Add(-1)
		} else if ctrl.done.Load() {
			return
		}
	}
}

// finishLogs waits, 5 s at a time, until the service has had every line and answers.
func (ctrl *controller) finishLogs() {
	behind := ctrl.queued.Load()
	ctrl.done.Store(true)
	note("log backlog", fmt.Sprint(behind))
	for {
		time.Sleep(askAgain)
		if os.Getenv(serviceKnob) != "never" && ctrl.queued.Load() <= 0 {
			break
		}
	}
	log.Println("Stopping logs")
	log.Printf("Go routine putLogs is done")
	log.Println("Goroutine sendLogs is done")
}

func (ctrl *controller) tellFailure(connection net.Conn) {
	if ctrl.failed {
		json.NewEncoder(connection).Encode(message{Kind: ctrlFailed})
	}
}

func (ctrl *controller) saveExitCode() {
	path := os.Getenv(terminationLogKnob)
	if path == "" {
		path = "/dev/termination-log"
	}
	log.Printf("Writing failure code %d to termination log", ctrl.code)
	text, _ := json.Marshal(map[string]int{"code": ctrl.code})
	if err := os.WriteFile(path, text, 0o644); err != nil {
		panic(err)
	}
}
