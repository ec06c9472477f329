package pluginhost

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"primum/plugins/sandbox"
)

// Kind names what was wrong with a plugin. The zero value is no kind.
type Kind string

// The kinds of faults.
const (
	NotReady Kind = "NOT_READY" // it did not start, or did not describe itself
	Died     Kind = "DIED"
	Hung     Kind = "HUNG"     // no frame in time
	Flooded  Kind = "FLOODED"  // output, frames or one frame without end
	Broke    Kind = "BROKE"    // a frame that has no place, or an error instead of a result
	Greedy   Kind = "GREEDY"   // memory, threads or time of the processor
	Breached Kind = "BREACHED" // it proposed bytes that nobody approved
)

// Fault is how a plugin failed. As an error of Run it says that there is no result.
type Fault struct {
	Kind   Kind
	Detail string
}

// Error is for people.
func (f *Fault) Error() string { return fmt.Sprintf("the probe failed: %s: %s", f.Kind, f.Detail) }

const (
	// faultsToBar faults within faultTime put a version of a plugin aside.
	faultsToBar = 3
	faultTime   = time.Hour
	// stepTime is how long a plugin may take for one frame. It computes; it waits for nothing.
	stepTime = 3 * time.Second
	// stallTime is how late the agent's own timer may be.
	stallTime = 500 * time.Millisecond
	// burstTime is within how long faults count as one: what ends three processes at once is one event.
	burstTime = time.Second
	// deathTime is how long the end of a process may take to show after the end of its stream.
	deathTime = 500 * time.Millisecond
)

// failed sorts the error of a stream by what became of the process.
func failed(err error, p process) *Fault {
	timer := time.NewTimer(deathTime)
	defer timer.Stop()
	select {
	case <-p.Done():
		return ended(p.Err())
	case <-timer.C:
	}
	if status.Code(err) == codes.ResourceExhausted {
		return &Fault{Flooded, "a frame of more than 1 MiB"}
	}
	return &Fault{Broke, clip(err.Error())}
}

func ended(how error) *Fault {
	if errors.Is(how, sandbox.ErrFlood) {
		return &Fault{Flooded, how.Error()}
	}
	return &Fault{Died, clip(how.Error())}
}

// clip makes what may hold a plugin's words safe for a record (B9).
func clip(s string) string { return text(s, maxDetail) }
