//go:build primum_takenout

package guard

import "os"

// control names a safety control that this test build can take out.
type control string

const (
	controlGap control = "gap"
	controlEnd control = "end"
)

// takenOut reports whether the environment takes the control out. This file is compiled into the test
// build of "make demo-negative" only.
func takenOut(c control) bool { return os.Getenv("PRIMUM_TAKEN_OUT") == string(c) }
