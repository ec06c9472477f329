package confine

import "errors"

// Level is how well a process is confined. The zero value is not proven, and starts nothing.
type Level string

// The levels.
const (
	Unproven Level = ""
	None     Level = "none"     // limits and no_new_privs; it can reach the network and files of its user
	Fallback Level = "fallback" // Landlock and seccomp, without namespaces
	Full     Level = "full"     // namespaces as well
)

// ErrNoShim says that this program cannot confine anything: its main does not begin with Shim.
var ErrNoShim = errors.New("this program was started to be confined and did not call confine.Shim first in main")

// ErrConfine says that a step of the confinement failed. The plugin was not executed.
var ErrConfine = errors.New("cannot confine")
