//go:build !primum_takenout

package guard

// control names a safety control that a test build can take out, to show that the lab notices.
type control string

const (
	controlGap control = "gap"
	controlEnd control = "end"
)

// takenOut reports whether a control was taken out of this build. In every build but that of
// "make demo-negative" the answer is a constant.
func takenOut(control) bool { return false }
