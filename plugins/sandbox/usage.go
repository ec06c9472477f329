package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// ErrFlood says that the agent ended a plugin because it printed without end.
var ErrFlood = errors.New("it floods its output")

// Usage is what a plugin has of the machine right now.
type Usage struct {
	CPU     time.Duration // used since its start
	Memory  int64         // octets of its own, with its page tables
	Threads int
}

// Usage asks the kernel. It fails when the process is gone.
func (p *Process) Usage() (Usage, error) {
	dir := "/proc/" + strconv.Itoa(p.Pid())
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return Usage{}, fmt.Errorf("look at plugin %s: %w", p.name, err)
	}
	status, err := os.ReadFile(dir + "/status")
	if err != nil {
		return Usage{}, fmt.Errorf("look at plugin %s: %w", p.name, err)
	}
	u, err := usage(stat, status)
	if err != nil {
		return Usage{}, fmt.Errorf("look at plugin %s: %w", p.name, err)
	}
	return u, nil
}

// tick is the kernel's unit of CPU time for programs on every processor that Go runs on.
const tick = 10 * time.Millisecond

// usage reads the kernel's two texts (proc(5)). The name in the first is the plugin's own and may hold
// anything, so that reading begins after the last parenthesis.
func usage(stat, status []byte) (u Usage, err error) {
	number := func(b []byte) int64 {
		n, parseErr := strconv.ParseInt(string(b), 10, 64)
		if parseErr != nil && err == nil {
			err = parseErr
		}
		return n
	}
	f := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(f) < 18 {
		return Usage{}, errors.New("the kernel tells less than expected")
	}
	u.CPU = time.Duration(number(f[11])+number(f[12])) * tick
	u.Threads = int(number(f[17]))
	for line := range bytes.Lines(status) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch string(name) {
		case "RssAnon", "VmPTE": // shared memory it has none but the image
			kilobytes, _, _ := bytes.Cut(bytes.TrimSpace(value), []byte(" "))
			u.Memory += number(kilobytes) << 10
		}
	}
	return u, err
}
