package main

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const stamp = "2026/08/20 09:14:03 "

func TestPhasesAreReadFromWholeLines(t *testing.T) {
	for _, c := range []struct {
		text string
		want phase
	}{
		{stamp + "Exec start\n", running},
		{stamp + "Exec start\r\n", running},
		{"2026/08/20 09:14:03.123456 Exec start\n", running},
		{stamp + "Exec start", preparing},
		{stamp + "Exec start \n", preparing},
		{stamp + "Exec started\n", preparing},
		{"Exec start\n", preparing},
		{"x" + stamp + "Exec start\n", preparing},
		{stamp + "Failed to send log message: " + stamp + "All Outputs Uploaded\n", preparing},
		{stamp + "No Files in Output Folder\n", safe},
		{stamp + "All Outputs Uploaded\n", safe},
		{stamp + "All Outputs Uploaded\n" + stamp + "Exec start\n", safe},
		{strings.Repeat("x", 1<<20) + stamp + "Exec start\n", preparing},
		{strings.Repeat("x", 1<<20) + "\n" + stamp + "Exec start\n", running},
		{stamp + "Exec start" + strings.Repeat(" ", 1<<20) + "\n", preparing},
	} {
		for _, size := range []int{1, 7, 4096, 1 << 21} {
			// given
			var scanner lineScanner
			reached, last := 0, preparing
			// when
			for piece := []byte(c.text); len(piece) > 0; piece = piece[min(size, len(piece)):] {
				if scanner.scan(piece[:min(size, len(piece))]) {
					reached++
					last = scanner.reached
				}
			}
			// then
			if last != c.want || reached > int(safe) {
				t.Errorf("%.60q in pieces of %d: phase %d, told %d times", c.text, size, last, reached)
			}
			if cap(scanner.line) > 4*longestMark {
				t.Errorf("%.60q: keeps %d bytes of a line", c.text, cap(scanner.line))
			}
		}
	}
}

func TestStderrFlowsThroughUnchangedUntilTheChildHasEnded(t *testing.T) {
	// given: a pipe that somebody keeps open
	c, err := newStderrCopy()
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("0123456789abcdef", 1<<16) + "\n" + stamp + "Exec start\n" + stamp + "All Outputs Uploaded\nlast"
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		c.run(writer)
		writer.Close()
	}()
	go func() {
		child := os.NewFile(uintptr(c.writer), "child")
		_, _ = child.WriteString(text)
		// when
		c.finish()
		<-c.done
		child.Close()
	}()
	out, err := io.ReadAll(reader)
	// then
	if err != nil || !bytes.Equal(out, []byte(text)) {
		t.Errorf("%d bytes of %d came through, %v", len(out), len(text), err)
	}
	close(c.phases)
	last := preparing
	for last = range c.phases {
	}
	if last != safe {
		t.Errorf("phase %d", last)
	}
}

func TestTheChildsStderrBlocks(t *testing.T) {
	// given
	c, err := newStderrCopy()
	if err != nil {
		t.Fatal(err)
	}
	// when
	flags, err := unix.FcntlInt(uintptr(c.writer), unix.F_GETFL, 0)
	// then
	if err != nil || flags&unix.O_NONBLOCK != 0 {
		t.Errorf("flags %o, %v", flags, err)
	}
}
