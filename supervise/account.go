package main

import (
	"fmt"
	"os"
	"time"
)

// accountTime is how often the line is written anew.
const accountTime = 5 * time.Second

// account is the one line that tells, in the container's termination message, what became of the signal.
type account struct {
	path    string // "": none is wanted
	line    string // as it was written last
	written moment // when
}

// write puts the line where it is due, or wherever it has changed at the end. What the program itself has left stays.
func (a *account) write(line string, at moment) {
	if a.path == "" || line == a.line || a.line != "" && at.since(a.written) < accountTime {
		return
	}
	a.written = at
	if content, err := os.ReadFile(a.path); err == nil && len(content) > 0 && string(content) != a.line {
		a.path = ""
		return
	}
	if err := os.WriteFile(a.path, []byte(line), 0o644); err != nil {
		complain(err)
		a.path = ""
		return
	}
	a.line = line
}

// account is what has become of the signal until now. ended counts from SIGTERM and is there when the last that saves has
// ended; written is in bytes, since they were told.
func (f *forward) account() string {
	line := fmt.Sprintf("gracekeeper: told=%d as=%s written=%d killed=%d", f.toldSavers, f.wave, f.bytesWritten(), f.killed)
	if f.savedAt != 0 {
		line += fmt.Sprintf(" ended=%.1fs", f.savedAt.since(f.since).Seconds())
	}
	return line + "\n"
}
