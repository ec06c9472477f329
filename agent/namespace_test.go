package agent

import (
	"fmt"
	"os"
	"testing"

	"primum/plugins/lab/namespace"
	"primum/plugins/sandbox"
)

// TestMain runs the tests of this package in a network namespace of their own.
func TestMain(m *testing.M) {
	if code, started := sandbox.Shim(); started {
		os.Exit(code)
	}
	if path := os.Getenv(victim); path != "" {
		fmt.Fprintln(os.Stderr, live(path))
		os.Exit(1)
	}
	if _, inside := namespace.Word(); !inside {
		os.Exit(namespace.Again("agent"))
	}
	if err := namespace.Up(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}
