package main

import (
	"os"
	"syscall"
	"testing"
	"time"
)

func TestPauseEndsWithSuccessWhenSIGTERMComes(t *testing.T) {
	// given
	s := signals{terminate: make(chan os.Signal, 1)}
	ended := make(chan int)
	go func() { ended <- run([]string{"pause"}, s) }()
	select {
	case code := <-ended:
		t.Fatalf("ended with %d before SIGTERM", code)
	case <-time.After(100 * time.Millisecond):
	}
	// when
	s.terminate <- syscall.SIGTERM
	// then
	if code := <-ended; code != 0 {
		t.Errorf("ended with %d", code)
	}
}
