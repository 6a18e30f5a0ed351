package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"regexp"
	"time"

	"golang.org/x/sys/unix"
)

// phase is what osmo_ctrl's stderr tells about its work.
type phase int

const (
	preparing phase = iota // nothing can be lost yet
	running                // the user command may start, or has
	safe                   // nothing can be lost any more
)

// longestMark is longer than any line that says something; of a longer line no more is kept.
const longestMark = 128

// mark is a whole line after the prefix that Go's log package writes. What users print appears only inside other lines.
var mark = regexp.MustCompile(
	`^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d(?:\.\d+)? (?:(Exec start)|No Files in Output Folder|All Outputs Uploaded)\r?$`)

// lineScanner finds the lines that tell the phase in a stream that comes in pieces.
type lineScanner struct {
	line    []byte // the beginning of the line that is coming in
	reached phase
}

// scan takes the next piece and says whether a later phase was reached.
func (s *lineScanner) scan(piece []byte) bool {
	before := s.reached
	for len(piece) > 0 {
		end := bytes.IndexByte(piece, '\n')
		rest := piece
		if end >= 0 {
			rest = piece[:end]
		}
		s.line = append(s.line, rest[:min(len(rest), longestMark-len(s.line))]...)
		if end < 0 {
			break
		}
		if found := mark.FindSubmatch(s.line); found != nil {
			if found[1] != nil {
				s.reached = max(s.reached, running)
			} else {
				s.reached = safe
			}
		}
		s.line = s.line[:0]
		piece = piece[end+1:]
	}
	return s.reached != before
}

// stderrCopy lets the child's stderr flow through, unchanged, and tells the phases.
type stderrCopy struct {
	reader *os.File
	writer int           // for the child
	phases chan phase    // each phase that was reached, as soon as its line has come in
	done   chan struct{} // closed when all that the child has written is out
}

func newStderrCopy() (*stderrCopy, error) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("pipe2", err)
	}
	// Our end only: the child expects an stderr that blocks.
	if err := unix.SetNonblock(ends[0], true); err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	return &stderrCopy{
		reader: os.NewFile(uintptr(ends[0]), "stderr"),
		writer: ends[1],
		phases: make(chan phase, safe), // never waits: each phase is told once
		done:   make(chan struct{}),
	}, nil
}

// run copies until finish, or until all who have the child's stderr have closed it.
func (c *stderrCopy) run(output io.Writer) {
	defer close(c.done)
	var scanner lineScanner
	// A phase is told before the write, which may wait for a slow reader. Where nobody reads any more the child must
	// not notice: its upload goes on.
	copied := func(piece []byte) {
		if scanner.scan(piece) {
			c.phases <- scanner.reached
		}
		_, _ = output.Write(piece)
	}
	buffer := make([]byte, 16<<10)
	for {
		size, err := c.reader.Read(buffer)
		copied(buffer[:size])
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err != nil {
			return
		}
	}
	connection, err := c.reader.SyscallConn()
	if err != nil {
		return
	}
	_ = connection.Control(func(descriptor uintptr) {
		left, _ := unix.IoctlGetInt(int(descriptor), unix.TIOCINQ)
		for left > 0 {
			size, err := unix.Read(int(descriptor), buffer[:min(left, len(buffer))])
			if err == unix.EINTR {
				continue
			}
			if err != nil || size == 0 {
				return
			}
			copied(buffer[:size])
			left -= size
		}
	})
}

// finish lets run copy what is in the pipe and no more: the child has ended, and what it left behind may keep its
// stderr open for ever.
func (c *stderrCopy) finish() { _ = c.reader.SetReadDeadline(time.Unix(1, 0)) }
