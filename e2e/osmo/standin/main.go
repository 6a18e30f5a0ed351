// Stand-ins for the programs of NVIDIA OSMO that run in a task's pod: what they do around SIGTERM, and nothing else.
//
// One program, which is what its name says: osmo_init, osmo_ctrl, osmo_exec, osmo, rsync. Same process tree, log lines,
// exit codes and termination messages as OSMO v6.2-rc6; there is no service, and what is uploaded goes to a folder.
package main

import (
	"fmt"
	"log"
	"os"
	"path/filepath"
)

func main() {
	log.SetOutput(os.Stderr)
	switch name := filepath.Base(os.Args[0]); name {
	case "osmo_init":
		initialise(os.Args[1:])
	case "osmo_ctrl":
		control(os.Args[1:])
	case "osmo_exec":
		execute(os.Args[1:])
	case "osmo", "osmo-cli":
		transfer(os.Args[1:])
	case "rsync":
		serveRsync()
	default:
		fmt.Fprintf(os.Stderr, "no stand-in is called %s\n", name)
		os.Exit(127)
	}
}
