package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// What a test can choose, by environment variables.
const (
	// Where evidence goes that outlives the pod: uploads/, events (JSON lines), do (an order to osmo_ctrl).
	evidenceKnob = "OSMO_STANDIN_EVIDENCE"
	// How long one download takes, in seconds.
	downloadSecondsKnob = "OSMO_STANDIN_DOWNLOAD_SECONDS"
	// How long one upload takes, in seconds: an output's in osmo_ctrl, a checkpoint's in osmo_exec.
	uploadSecondsKnob = "OSMO_STANDIN_UPLOAD_SECONDS"
	// What the uploader exits with.
	uploadExitKnob = "OSMO_STANDIN_UPLOAD_EXIT"
	// Log lines that are waiting to be sent when the user command has ended.
	backlogLinesKnob = "OSMO_STANDIN_BACKLOG_LINES"
	// "never": the service does not answer LOG_DONE; "no-token": there is no connection to it at all.
	serviceKnob = "OSMO_STANDIN_SERVICE"
	// "denied": the data-access check fails.
	accessKnob = "OSMO_STANDIN_ACCESS"
	// Where the exit code goes, other than /dev/termination-log.
	terminationLogKnob = "OSMO_STANDIN_TERMINATION_LOG"
)

func seconds(knob string) time.Duration {
	number, err := strconv.ParseFloat(os.Getenv(knob), 64)
	if err != nil {
		return 0
	}
	return time.Duration(number * float64(time.Second))
}

func integer(knob string) int {
	number, _ := strconv.Atoi(os.Getenv(knob))
	return number
}

func evidence(parts ...string) string {
	folder := os.Getenv(evidenceKnob)
	if folder == "" {
		return ""
	}
	return filepath.Join(append([]string{folder}, parts...)...)
}

// note writes one event with the time, in seconds of the epoch.
func note(event, detail string) {
	path := evidence("events")
	if path == "" {
		return
	}
	line, _ := json.Marshal(map[string]any{
		"seconds": float64(time.Now().UnixMilli()) / 1000,
		"program": filepath.Base(os.Args[0]), "event": event, "detail": detail,
	})
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o666)
	if err != nil {
		return
	}
	defer file.Close()
	file.Write(append(line, '\n'))
}

// obey does what the evidence folder's file "do" orders; for as long as the process lives.
func obey() {
	path := evidence("do")
	if path == "" {
		return
	}
	for ; ; time.Sleep(200 * time.Millisecond) {
		order, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		switch strings.TrimSpace(string(order)) {
		case "crash":
			note("crash", "")
			panic("the test ordered a crash")
		case "hog":
			note("hog", "")
			hog()
		case "stop-sending":
			os.Setenv(serviceKnob, "never")
		}
	}
}

// hog takes memory, and touches it, until the kernel ends somebody.
func hog() {
	var taken [][]byte
	for {
		piece, err := syscall.Mmap(-1, 0, 8<<20, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
		if err != nil {
			panic(err)
		}
		for at := 0; at < len(piece); at += 4096 {
			piece[at] = 1
		}
		taken = append(taken, piece)
		time.Sleep(5 * time.Millisecond)
	}
}
