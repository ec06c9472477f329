// Command plugin behaves as its own file name says: mode, dash, argument in hex. It has no other way
// to be told anything, because a plugin gets no arguments and no environment.
package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

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

type sight struct {
	Environment, Inherited, Args []string
	Limits                       map[int]unix.Rlimit
	Pid, User, Group             int
}

func (mirror) Describe() sdk.Description {
	s := sight{Environment: os.Environ(), Args: os.Args, Limits: map[int]unix.Rlimit{}, Pid: os.Getpid(), User: os.Getuid(), Group: os.Getgid()}
	for fd := range 256 {
		var st unix.Stat_t
		if unix.Fstat(fd, &st) != nil {
			continue
		}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFCHR:
			s.Inherited = append(s.Inherited, fmt.Sprint(fd, " chr"))
		case unix.S_IFIFO:
			if fd < 3 { // the others are made by go-plugin
				s.Inherited = append(s.Inherited, fmt.Sprint(fd, " fifo"))
			}
		case unix.S_IFREG, unix.S_IFDIR:
			s.Inherited = append(s.Inherited, fmt.Sprint(fd, " file"))
		}
	}
	for which := range unix.RLIMIT_RTTIME + 1 {
		var l unix.Rlimit
		if unix.Getrlimit(which, &l) == nil {
			s.Limits[which] = l
		}
	}
	text, _ := json.Marshal(s)
	// On both streams, and before the flood on its own: one second's budget serves both, and whichever
	// the agent hears first may use it up.
	fmt.Println("level=ERROR said after the handshake \x1b[31m")
	fmt.Fprintln(os.Stderr, "level=ERROR said after the handshake \x1b[31m")
	fmt.Fprint(os.Stderr, strings.Repeat("flood of words\n", 1<<14))
	return sdk.Description{Name: "mirror", Version: "1", Kinds: []string{sdk.KindSNMPGet, string(text)}}
}

func (mirror) Begin(sdk.Question) (sdk.Conversation, error) { return nil, sdk.ErrUnknownQuestion }
