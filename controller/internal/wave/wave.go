// Package wave lets a question reach the devices of a model little by little: one device, then five, then a
// quarter of them, then the rest, each wave only after the one before stayed well for a time (DESIGN 4.3, 6.9). It
// is pure; what has been asked is the store's, and the time is the site's.
package wave

import (
	"fmt"
	"slices"
	"time"
)

// Visit is one device that the question was sent to, the newest visit of it.
type Visit struct {
	Device string
	State  State
	At     time.Time // of the outcome
}

// State is how a visit went, as far as waves care.
type State int

// The states. What is not known yet is out.
const (
	Out  State = iota // under way
	Well              // it has answered, or has declined in proper form
	Ill               // distress or an incident, and nobody has cleared the device
	Mute              // absent, refused, stopped, unknown: it says nothing about the model
)

// The waves are of these sizes together; the third is a quarter of the devices, the fourth all.
const (
	first  = 1
	second = first + 5
)

// Leave is how much further a question may go at a moment.
type Leave struct {
	Devices int       // how many more may be asked now
	All     bool      // every wave is behind it; Devices means nothing
	Again   time.Time // when a wave's watch ends; zero: it waits for an outcome, or for a person
	Why     string    // for a technician, when Devices is 0
}

// Reach is how many devices a question could go to.
type Reach struct {
	Asked int // of this model and version: in the plan, or asked before; the quarter is one of these
	Known int // of this model in the inventory: a model of two devices waits for no third
}

// Next says how much further a question may go, with one visit for each device that was asked, and a watch that
// each wave is given. What is known of no device goes to none.
func Next(visits []Visit, reach Reach, watch time.Duration, now time.Time) Leave {
	devices := max(reach.Asked, reach.Known)
	if devices < 1 {
		return Leave{Why: "no device of this model is known"}
	}
	var well []time.Time
	out := 0
	for _, v := range visits {
		switch v.State {
		case Ill:
			return Leave{Why: fmt.Sprintf("%s did not stay well; no further device of this model is asked until it was cleared", v.Device)}
		case Out:
			out++
		case Well:
			well = append(well, v.At)
		}
	}
	slices.SortFunc(well, time.Time.Compare)
	quarter := (reach.Asked + 3) / 4
	for i, size := range []int{first, second, max(second, quarter)} {
		size = min(size, devices)
		if len(well) < size {
			n := max(0, size-len(well)-out)
			return Leave{Devices: n, Why: fmt.Sprintf("wave %d of this model and question: %d of %d devices are well, %d under way", i+1, len(well), size, out)}
		}
		if end := well[size-1].Add(watch); now.Before(end) {
			return Leave{Again: end, Why: fmt.Sprintf("wave %d of this model and question is watched until %s UTC; the next devices follow after it", i+1, end.UTC().Format(time.DateTime))}
		}
	}
	return Leave{All: true}
}
