package sandbox

import (
	"context"
	"errors"
	"fmt"

	"primum/plugins/sandbox/confine"
)

// Trust is why a binary may run. The zero value lets nothing run.
type Trust string

// The kinds of trust.
const (
	Untrusted Trust = ""
	BuiltIn   Trust = "built in" // its hash was built into the agent
	Signed    Trust = "signed"   // a third party's, by its signature and the site's
)

// ErrUnconfined says that the machine cannot confine the plugin, and that it does not start without.
var ErrUnconfined = errors.New("this machine cannot confine the plugin")

// Shim must come first in the main of a program that starts plugins; see confine.Shim.
func Shim() (code int, started bool) { return confine.Shim() }

// Prove finds out by trying how well this machine confines a plugin. It starts the given program, whose
// main begins with Shim; the empty name is the program that runs.
func Prove(ctx context.Context, program string) confine.Proof { return confine.Prove(ctx, program) }

// mayRun is the rule of levels (B7, B8): without confinement nobody else's plugin starts, and a built-in one
// only when a person has said so.
func (s Spec) mayRun() error {
	if s.Trust != BuiltIn && s.Trust != Signed {
		return errors.New("nobody has vouched for this binary")
	}
	switch level := s.Confinement.Level(); {
	case level == confine.Full || level == confine.Fallback:
		return nil
	case level != confine.None:
		return fmt.Errorf("%w: nobody has tried whether it can", ErrUnconfined)
	case s.Trust != BuiltIn:
		return fmt.Errorf("%w, and it was not built with the agent", ErrUnconfined)
	case !s.Unconfined:
		return fmt.Errorf("%w; whether built-in ones may run all the same is a person's decision", ErrUnconfined)
	}
	return nil
}
