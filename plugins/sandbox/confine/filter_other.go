//go:build !amd64

package confine

import (
	"errors"

	"golang.org/x/net/bpf"
)

// program has no list for this processor: the levels above None are not reached, and a plugin that was not
// built with the agent does not start (B8).
func program(int) ([]bpf.RawInstruction, error) {
	return nil, errors.New("there is no list of system calls for this processor yet")
}
