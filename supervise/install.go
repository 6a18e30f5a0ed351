package main

import (
	"io"
	"os"
	"path/filepath"
)

// install makes the parts of the folder and copies the program into it. Safe to run again: an init container may be,
// while other containers run what is there.
func install(root, program string) error {
	for name, mode := range map[string]os.FileMode{"bin": 0o755, "hold": 0o777, "task": 0o777 | os.ModeSticky} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(path, mode.Perm()); err != nil {
			return err
		}
		// The umask has taken bits away. A folder that somebody else made right need not be ours.
		if found, err := os.Stat(path); err == nil && found.Mode()&(os.ModePerm|os.ModeSticky) == mode {
			continue
		}
		if err := os.Chmod(path, mode); err != nil {
			return err
		}
	}
	return copyProgram(program, filepath.Join(root, "bin", "supervise"))
}

// copyProgram replaces the target by renaming, so that it is whole at any time and never busy.
func copyProgram(program, target string) error {
	source, err := os.Open(program)
	if err != nil {
		return err
	}
	defer source.Close()
	temporary, err := os.CreateTemp(filepath.Dir(target), ".supervise.")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name())
	defer temporary.Close()
	if _, err := io.Copy(temporary, source); err != nil {
		return err
	}
	if err := temporary.Chmod(0o555); err != nil {
		return err
	}
	// A program that is open for writing cannot be executed.
	if err := temporary.Close(); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), target)
}
