package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

type execOptions struct {
	commands, arguments, checkpoints     several
	socketPath, userBinPath, runLocation string
	enableRsync                          bool
}

// executor is osmo_exec while it runs.
type executor struct {
	options     execOptions
	outgoing    chan message
	stopping    atomic.Bool
	checkpoints sync.WaitGroup
}

func execute(arguments []string) {
	os.Exit(executed(parseExec(arguments)))
}

// executed is the exit code: the user command's, 255 where a signal ended it.
func executed(options execOptions) int {
	os.Setenv("PATH", os.Getenv("PATH")+":"+options.userBinPath)
	connection := dial(options.socketPath)
	defer connection.Close()
	begin, failed := waitForStart(connection)
	if failed {
		return 0 // without having run the command: as the real one does
	}
	run := &executor{options: options, outgoing: make(chan message)}
	stop := make(chan bool)
	go run.forward(connection, stop)
	if options.enableRsync {
		go run.rsync(connection)
	}
	go listen(connection)
	command := append([]string{}, options.commands...)
	command = append(command, options.arguments...)
	ended := make(chan error)
	go func() { ended <- run.command(command) }()
	for _, checkpoint := range options.checkpoints {
		run.checkpoints.Add(1)
		go run.checkpoint(checkpoint)
	}
	err := <-ended
	note("command ended", fmt.Sprint(err))
	run.stopping.Store(true)
	run.checkpoints.Wait()
	stop <- true
	if folder, failure := os.Stat(begin.OutputFolder); failure == nil {
		os.Chmod(begin.OutputFolder, folder.Mode().Perm()|0o444)
	}
	return report(connection, err)
}

func parseExec(arguments []string) execOptions {
	var options execOptions
	flags := flag.NewFlagSet("osmo_exec", flag.ExitOnError)
	flags.Var(&options.commands, "commands", "")
	flags.Var(&options.arguments, "args", "")
	flags.Var(&options.checkpoints, "checkpoint", "")
	flags.StringVar(&options.socketPath, "socketPath", "", "")
	flags.StringVar(&options.userBinPath, "userBinPath", "/osmo/usr/bin", "")
	flags.StringVar(&options.runLocation, "runLocation", "/osmo/run", "")
	flags.BoolVar(&options.enableRsync, "enableRsync", false, "")
	for _, ignored := range []string{
		"unixTimeout", "historyFilePath", "rsyncReadLimit", "rsyncWriteLimit", "rsyncPathAllowList",
		"cliAutoCompleteScriptPath",
	} {
		flags.String(ignored, "", "")
	}
	flags.Parse(arguments)
	return options
}

func dial(path string) net.Conn {
	for began := time.Now(); time.Since(began) < unixTimeout; time.Sleep(20 * time.Millisecond) {
		if connection, err := net.Dial("unix", path); err == nil {
			return connection
		}
	}
	panic("Data Sidecar took too long to start up")
}

func waitForStart(connection net.Conn) (message, bool) {
	decoder := json.NewDecoder(connection)
	for {
		var received message
		if err := decoder.Decode(&received); err != nil {
			panic(fmt.Sprintf("Failed to parse response: %v\n", err))
		}
		switch received.Kind {
		case ctrlFailed:
			return received, true
		case execStart:
			return received, false
		}
		log.Printf("Ignore unexpected Type: %s", received.Kind)
	}
}

// forward writes to the socket; with osmo_ctrl gone it panics, as the real one does.
func (run *executor) forward(connection net.Conn, stop chan bool) {
	for {
		select {
		case what := <-run.outgoing:
			send(connection, what)
		case <-stop:
			log.Printf("Go routine for sending to unixConn is done")
			return
		}
	}
}

// listen takes requests of osmo_ctrl, of which the stand-in makes none; gives up where it is gone.
func listen(connection net.Conn) {
	for failures := 0; failures < 3; failures++ {
		var received message
		if err := json.NewDecoder(connection).Decode(&received); err != nil {
			log.Printf("Failed to parse response for user request: %v", err)
		}
	}
	log.Println("Cannot connect to Ctrl Container. Exiting...")
}

// command runs the user command as the leader of its own process group; it is over when it has exited and its standard
// output is at its end.
func (run *executor) command(words []string) error {
	command := exec.Command(words[0], words[1:]...)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, _ := command.StdoutPipe()
	errors, _ := command.StderrPipe()
	command.Start()
	note("command begins", strings.Join(words, " "))
	go run.pass(errors, standardErr)
	run.pass(out, standardOut)
	return command.Wait()
}

func (run *executor) pass(from io.Reader, kind string) {
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		run.outgoing <- message{Kind: kind, Text: lines.Text()}
	}
}

func (run *executor) rsync(connection net.Conn) {
	command := exec.Command(
		run.options.userBinPath+"/rsync", "-port", "8873", "-runLocation", run.options.runLocation, "-readLimit", "0",
	)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	if err := command.Start(); err != nil {
		log.Printf("Failed to start rsync: %v", err)
		return
	}
	if err := command.Wait(); err != nil {
		note("rsync ended", err.Error())
		log.Printf("Rsync command exited with error: %v", err)
	}
}

// checkpoint uploads every so many seconds, between one end and the next begin, and once more after the command.
func (run *executor) checkpoint(description string) {
	defer run.checkpoints.Done()
	parts := strings.SplitN(description, ";", 4)
	frequency, err := strconv.Atoi(parts[2])
	if err != nil {
		run.outgoing <- message{Kind: operations, Text: "Invalid checkpoint frequency: " + parts[2]}
		return
	}
	due := time.Now().Add(time.Duration(frequency) * time.Second)
	for range time.Tick(100 * time.Millisecond) {
		switch {
		case run.stopping.Load():
			run.uploadCheckpoint(parts[0], parts[1], parts[3])
			run.outgoing <- message{Kind: operations, Text: fmt.Sprintf("Checkpointing data from %s to %s finished", parts[0], parts[1])}
			return
		case time.Now().After(due):
			run.uploadCheckpoint(parts[0], parts[1], parts[3])
			due = time.Now().Add(time.Duration(frequency) * time.Second)
		}
	}
}

func (run *executor) uploadCheckpoint(path, uri, regex string) {
	note("checkpoint upload begins", uri)
	run.outgoing <- message{Kind: operations, Text: fmt.Sprintf("Checkpointing data from %s to %s...", path, uri)}
	command := []string{
		"osmo", "data", "upload", uri, path, "--processes", os.Getenv("CPU_COUNT"),
		"--benchmark-out", fmt.Sprintf("/osmo/data/benchmarks/upload_%d", time.Now().UnixMilli()),
	}
	if regex != "" {
		command = append(command, "--regex", regex)
	}
	err := stream(command, func(line string) {
		log.Println(line)
		run.outgoing <- message{Kind: operations, Text: line}
	})
	if err != nil {
		panic(err) // in a goroutine of its own: osmo_exec ends with 2, and the training with it
	}
	note("checkpoint upload ends", uri)
}

func report(connection net.Conn, err error) int {
	if err == nil {
		send(connection, message{Kind: execFinished})
		return 0
	}
	log.Println(err)
	send(connection, message{Kind: execFailed, Text: fmt.Sprintf("Command failed with error: %v\n", err)})
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode() & 0xff
	}
	panic(fmt.Sprintf("Exec failed with error: %v\n", err))
}

// stream runs a command in our own process group and hands its lines on.
func stream(words []string, line func(string)) error {
	command := exec.Command(words[0], words[1:]...)
	out, _ := command.StdoutPipe()
	errors, _ := command.StderrPipe()
	if err := command.Start(); err != nil {
		return err
	}
	go func() {
		for lines := bufio.NewScanner(errors); lines.Scan(); {
			line(lines.Text())
		}
	}()
	for lines := bufio.NewScanner(out); lines.Scan(); {
		line(lines.Text())
	}
	return command.Wait()
}
