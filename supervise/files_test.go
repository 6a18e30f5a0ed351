package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func installed(t *testing.T) folder {
	t.Helper()
	root := t.TempDir()
	program := filepath.Join(root, "program")
	if err := os.WriteFile(program, []byte("the program"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := install(root, program); err != nil {
		t.Fatal(err)
	}
	return folder(root)
}

func TestInstallMakesTheFoldersAndMayRunAgain(t *testing.T) {
	// given
	old := unix.Umask(0o077)
	defer unix.Umask(old)
	f := installed(t)
	// when
	err := install(string(f), filepath.Join(string(f), "program"))
	// then
	if err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{
		"bin": 0o755 | os.ModeDir, "hold": 0o777 | os.ModeDir, "task": 0o777 | os.ModeDir | os.ModeSticky, "bin/supervise": 0o555,
	} {
		found, err := os.Stat(filepath.Join(string(f), name))
		if err != nil || found.Mode() != mode {
			t.Errorf("%s: %v, %v", name, found.Mode(), err)
		}
	}
	content, err := os.ReadFile(filepath.Join(string(f), "bin", "supervise"))
	if err != nil || string(content) != "the program" {
		t.Errorf("%q, %v", content, err)
	}
	if left, err := os.ReadDir(filepath.Join(string(f), "bin")); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestAFileIsWrittenOnceAndWhole(t *testing.T) {
	// given
	old := unix.Umask(0o077)
	defer unix.Umask(old)
	f := installed(t)
	// when
	first, second := writeOnce(f.result(), failed), writeOnce(f.result(), success)
	// then
	if first != nil || second != nil {
		t.Errorf("%v, %v", first, second)
	}
	if text, there := read(f.result()); !there || text != failed {
		t.Errorf("%q", text)
	}
	if found, err := os.Stat(f.result()); err != nil || found.Mode() != 0o444 {
		t.Errorf("%v, %v", found.Mode(), err)
	}
	if left, err := os.ReadDir(filepath.Dir(f.result())); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestAFolderThatIsNotThereIsOneClearError(t *testing.T) {
	// when
	err := writeOnce("/nowhere/hold/result", success)
	// then
	if err == nil || err.Error() != "write /nowhere/hold/result: no such file or directory" {
		t.Errorf("%v", err)
	}
}

func TestTrapsOfUserCodeAreNotReadFollowedOrReplaced(t *testing.T) {
	for name, trap := range map[string]func(path string) error{
		"FIFO":          func(path string) error { return unix.Mkfifo(path, 0o777) },
		"symbolic link": func(path string) error { return os.Symlink("/etc/hostname", path) },
		"folder":        func(path string) error { return os.Mkdir(path, 0o777) },
		"long file":     func(path string) error { return os.WriteFile(path, []byte(strings.Repeat("1", 65)), 0o666) },
	} {
		t.Run(name, func(t *testing.T) {
			// given
			f := installed(t)
			if err := trap(f.interrupted()); err != nil {
				t.Fatal(err)
			}
			before, err := os.Lstat(f.interrupted())
			if err != nil {
				t.Fatal(err)
			}
			// when
			_, there := read(f.interrupted())
			err = writeTime(f.interrupted(), now())
			// then
			if there || err != nil {
				t.Errorf("there %v, %v", there, err)
			}
			if after, err := os.Lstat(f.interrupted()); err != nil || !os.SameFile(before, after) {
				t.Errorf("replaced, %v", err)
			}
		})
	}
}

func TestTheEarlierTimeOfStoppingCountsAndNeverALaterOneThanNow(t *testing.T) {
	for _, c := range []struct {
		name       string
		hold, task string
		there      bool
		want       moment // 0: now
	}{
		{"none", "", "", false, 0},
		{"hold's", "1000", "", true, 1000},
		{"task's", "", "900", true, 900},
		{"the earlier", "1000", "900", true, 900},
		{"from the future", "9223372036854775807", "", true, 0},
		{"before the clock", "-5", "", true, 1}, // as good as zero
		{"no number", "", "soon", true, 0},
		{"empty", "", " ", true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			// given
			f := installed(t)
			for path, text := range map[string]string{f.holdStopping(): c.hold, f.taskStopping(): c.task} {
				if text != "" {
					if err := os.WriteFile(path, []byte(text), 0o444); err != nil {
						t.Fatal(err)
					}
				}
			}
			before := now()
			// when
			since, there := f.stoppingSince()
			// then
			if there != c.there {
				t.Fatalf("there: %v", there)
			}
			if c.want == 0 && (since < before || since > now()) || c.want > 0 && since > c.want {
				t.Errorf("since %d", since)
			}
		})
	}
}

func TestALockTellsWhetherItsOwnerLives(t *testing.T) {
	// given
	f := installed(t)
	if state := stateOf(f.holdLock()); state != lockMissing {
		t.Errorf("missing: %v", state)
	}
	made, err := createLock(f.holdLock())
	if err != nil {
		t.Fatal(err)
	}
	if state := stateOf(f.holdLock()); state != lockFree {
		t.Errorf("not taken: %v", state)
	}
	// when, then
	if !made.take() || stateOf(f.holdLock()) != lockHeld {
		t.Error("taken, but not held")
	}
	if _, err := createLock(f.holdLock()); !errors.Is(err, fs.ErrExist) {
		t.Errorf("made twice: %v", err)
	}
	again, err := openLock(f.holdLock())
	if err != nil || again.take() {
		t.Errorf("taken twice, %v", err)
	}
	made.release()
	if stateOf(f.holdLock()) != lockFree || !again.take() {
		t.Error("not given back")
	}
	var none *lock
	if none.take() {
		t.Error("a lock that could not be made was taken")
	}
	none.release()
}

func TestHoldIsDeadOnlyWhenItsLockHasBeenFreeForLong(t *testing.T) {
	longAgo := now() - moment(deadAfter)
	for _, c := range []struct {
		name  string
		state lockState
		watch holdWatch
		dead  bool
	}{
		{"just freed", lockFree, holdWatch{}, false},
		{"free for long", lockFree, holdWatch{freeSince: longAgo}, true},
		{"held again", lockHeld, holdWatch{freeSince: longAgo}, false},
		{"never there, to the gate", lockMissing, holdWatch{freeSince: longAgo}, true},
		{"never there, to the user's container", lockMissing, holdWatch{freeSince: longAgo, mustExist: true}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			// given
			f := installed(t)
			c.watch.folder = f
			if c.state != lockMissing {
				made, err := createLock(f.holdLock())
				if err != nil {
					t.Fatal(err)
				}
				defer made.release()
				if c.state == lockHeld && !made.take() {
					t.Fatal("not taken")
				}
			}
			// when
			dead := c.watch.dead()
			// then
			if dead != c.dead {
				t.Errorf("dead: %v", dead)
			}
		})
	}
}

func TestTheClockRuns(t *testing.T) {
	// given
	before := now()
	// when
	time.Sleep(time.Millisecond)
	// then
	if passed := now().since(before); passed < time.Millisecond || before <= 0 {
		t.Errorf("%v passed", passed)
	}
}
