// Command plugin behaves as its own file name says: mode, dash, argument in hex. It has no other way
// to be told anything, because a plugin gets no arguments and no environment.
package main

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"primum/plugins/sdk"
)

func main() {
	mode, arg, _ := strings.Cut(os.Args[0], "-")
	raw, _ := hex.DecodeString(arg)
	value := string(raw)
	switch mode {
	case "honest":
		sdk.Serve(mirror{})
	case "tcp":
		say("tcp", value)
	case "symlink":
		if err := os.Symlink(value, "s"); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		say("unix", "s")
	case "hardlink":
		if err := os.Link(value, "s"); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		say("unix", "s")
	case "elsewhere":
		say("unix", value)
	case "netrpc":
		fmt.Printf("1|1|unix|%s|netrpc|\n", value)
		time.Sleep(time.Minute)
	case "dies":
		fmt.Fprintln(os.Stderr, "cannot find \x1b[31mmy config\nlevel=ERROR forged")
		os.Exit(3)
	case "silent":
		time.Sleep(time.Minute)
	case "endless":
		for range 1 << 10 {
			fmt.Print(strings.Repeat("x", 1<<10))
		}
		time.Sleep(time.Minute)
	}
}

func say(network, address string) {
	fmt.Printf("1|1|%s|%s|grpc|\n", network, address)
	time.Sleep(time.Minute)
}

// mirror describes what it sees of the machine.
type mirror struct{}

func (mirror) Describe() sdk.Description {
	var names []string
	for _, e := range os.Environ() {
		name, _, _ := strings.Cut(e, "=")
		names = append(names, name)
	}
	var open []string
	fds, _ := filepath.Glob("/proc/self/fd/*")
	for _, fd := range fds {
		to, _ := os.Readlink(fd)
		open = append(open, filepath.Base(fd)+"="+to)
	}
	limits, _ := os.ReadFile("/proc/self/limits")
	// On both streams, and before the flood on its own: one second's budget serves both, and whichever
	// the agent hears first may use it up.
	fmt.Println("level=ERROR said after the handshake \x1b[31m")
	fmt.Fprintln(os.Stderr, "level=ERROR said after the handshake \x1b[31m")
	fmt.Fprint(os.Stderr, strings.Repeat("flood of words\n", 1<<14))
	return sdk.Description{
		Name:    strings.Join(names, ","),
		Version: strings.Join(open, ","),
		Kinds:   []string{sdk.KindSNMPGet, string(limits)},
	}
}

func (mirror) Begin(sdk.Question) (sdk.Conversation, error) { return nil, sdk.ErrUnknownQuestion }
