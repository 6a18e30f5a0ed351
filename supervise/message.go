package main

import (
	"fmt"
	"os"
)

// terminationMessage is how OSMO hears of a code: `{"code":N}` in the file that Kubernetes makes a part of the pod's
// status.
type terminationMessage string

func (path terminationMessage) empty() bool {
	status, err := os.Stat(string(path))
	return err != nil || status.Size() == 0
}

// write replaces what the child has left.
func (path terminationMessage) write(code int) {
	if err := os.WriteFile(string(path), fmt.Appendf(nil, `{"code":%d}`, code), 0o644); err != nil {
		say("%v", err)
	}
}
