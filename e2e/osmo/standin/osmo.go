package main

import (
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	workerMark     = "OSMO_STANDIN_WORKER"
	progressLines  = 10
	unfinishedMark = ".PART"
)

// transfer is `osmo data upload URL PATH` and `osmo data download URL PATH`; another process does the work, as in the
// real client.
func transfer(arguments []string) {
	if len(arguments) < 4 || arguments[0] != "data" {
		fmt.Fprintln(os.Stderr, "usage: osmo data upload|download URL PATH")
		os.Exit(2)
	}
	if os.Getenv(workerMark) != "" {
		if arguments[1] == "upload" {
			upload(arguments[2], arguments[3], option(arguments, "--regex"))
		} else {
			time.Sleep(seconds(downloadSecondsKnob))
		}
		return
	}
	note(arguments[1]+" of osmo begins", arguments[2])
	worker := exec.Command("/proc/self/exe", arguments...)
	worker.Args[0] = os.Args[0]
	worker.Env = append(os.Environ(), workerMark+"=1")
	worker.Stdout, worker.Stderr = os.Stdout, os.Stderr
	if err := worker.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	note(arguments[1]+" of osmo ends", arguments[2])
	if arguments[1] == "upload" {
		os.Exit(integer(uploadExitKnob))
	}
}

func option(arguments []string, name string) string {
	for at, word := range arguments {
		if word == name && at+1 < len(arguments) {
			return arguments[at+1]
		}
	}
	return ""
}

// upload copies at once and calls the copy whole when its time is over: one that was cut stays in a folder .PART.
func upload(uri, source, regex string) {
	target := evidence("uploads", url.PathEscape(uri), strconv.FormatInt(time.Now().UnixNano(), 10))
	took := seconds(uploadSecondsKnob)
	if target == "" {
		time.Sleep(took)
		return
	}
	unfinished := target + unfinishedMark
	if err := copyTree(strings.TrimSuffix(source, "*"), unfinished, regex); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for part := 1; part <= progressLines; part++ {
		time.Sleep(took / progressLines)
		fmt.Printf("Uploaded %d%% of %s\n", 100*part/progressLines, uri)
	}
	if os.Getenv(uploadExitKnob) == "" {
		os.Rename(unfinished, target)
	}
}

func copyTree(source, target, regex string) error {
	wanted, err := regexp.Compile(regex)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(target, 0o777); err != nil {
		return err
	}
	return filepath.WalkDir(source, func(path string, entry fs.DirEntry, failure error) error {
		if failure != nil || entry.IsDir() || !wanted.MatchString(path) {
			return nil // as the real client: a file that cannot be read is left out
		}
		name, _ := filepath.Rel(source, path)
		copyFile(path, filepath.Join(target, name))
		return nil
	})
}

func copyFile(source, target string) {
	from, err := os.Open(source)
	if err != nil {
		return
	}
	defer from.Close()
	os.MkdirAll(filepath.Dir(target), 0o777)
	to, err := os.Create(target)
	if err != nil {
		return
	}
	defer to.Close()
	io.Copy(to, from)
}
