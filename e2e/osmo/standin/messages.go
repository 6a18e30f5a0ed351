package main

import (
	"encoding/json"
	"fmt"
	"net"
	"strings"
)

// What osmo_ctrl and osmo_exec tell each other over their socket, one JSON object each.
type message struct {
	Kind         string `json:"kind"`
	Text         string `json:"text,omitempty"`
	OutputFolder string `json:"outputFolder,omitempty"`
}

const (
	execStart    = "exec-start"
	ctrlFailed   = "ctrl-failed"
	execFinished = "exec-finished"
	execFailed   = "exec-failed"
	standardOut  = "out"
	standardErr  = "err"
	operations   = "ops"
	rsyncStatus  = "rsync"
)

func send(connection net.Conn, what message) {
	if err := json.NewEncoder(connection).Encode(what); err != nil {
		panic(fmt.Sprintf("Failed to send request: %v\n", err))
	}
}

// several is an option that may be given more than once.
type several []string

func (values *several) String() string { return strings.Join(*values, " ") }

func (values *several) Set(value string) error {
	*values = append(*values, value)
	return nil
}
