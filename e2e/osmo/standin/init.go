package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

// Where the image of osmo_init has what the other containers run.
const image = "/osmo"

// initialise puts programs, folders and logins where the other containers mount them by subPath.
func initialise(arguments []string) {
	flags := flag.NewFlagSet("osmo_init", flag.ExitOnError)
	data := flags.String("data_location", "/osmo/data", "")
	login := flags.String("login_location", "/osmo/login", "")
	userBin := flags.String("user_bin_location", "/osmo/usr/bin", "")
	run := flags.String("run_location", "/osmo/run", "")
	withRsync := flags.Bool("enable_rsync", false, "")
	flags.Parse(arguments)
	for _, name := range []string{"osmo_ctrl", "osmo_exec"} {
		must(install(filepath.Join(image, name), filepath.Join("/osmo_binaries/osmo", name)))
	}
	for _, name := range []string{"benchmarks", "input", "output", "socket"} {
		must(openFolder(filepath.Join(*data, name)))
	}
	client := filepath.Join(*userBin, "osmo_cli", "osmo", "osmo-cli", "osmo-cli")
	must(install(filepath.Join(image, "osmo_cli_onedir", "osmo", "osmo-cli", "osmo-cli"), client))
	relative, _ := filepath.Rel(*userBin, client)
	must(os.Symlink(relative, filepath.Join(*userBin, "osmo")))
	for _, who := range []string{"ctrl", "user"} {
		folder := filepath.Join(*login, who, "config")
		must(openFolder(folder))
		must(install("/osmo/login.yaml", filepath.Join(folder, "login.yaml")))
	}
	must(install("/osmo/user_config.yaml", filepath.Join(*login, "user", "config", "config.yaml")))
	must(openFolder(filepath.Join(*run, "workspace")))
	if *withRsync {
		must(install(filepath.Join(image, "rsync"), filepath.Join(*userBin, "rsync")))
	}
	if os.Getenv(evidenceKnob) != "" { // other uids write there, too
		must(openFolder(evidence()))
		must(openFolder(evidence("uploads")))
		must(os.WriteFile(evidence("events"), nil, 0o666))
		must(os.Chmod(evidence("events"), 0o666))
	}
}

func install(source, target string) error {
	content, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(target, content, 0o777); err != nil {
		return err
	}
	return os.Chmod(target, 0o777)
}

func openFolder(path string) error {
	if err := os.MkdirAll(path, 0o777); err != nil {
		return err
	}
	return os.Chmod(path, 0o777)
}

func must(err error) {
	if err != nil {
		fmt.Printf("Error initializing OSMO: %v\n", err)
		os.Exit(1)
	}
}
