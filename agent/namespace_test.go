package agent

import (
	"fmt"
	"os"
	"testing"

	"primum/plugins/lab/namespace"
)

// TestMain runs the tests of this package in a network namespace of their own.
func TestMain(m *testing.M) {
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
