package safetylists

import (
	"fmt"
	"slices"
	"time"
)

// CMMSStatus is what the maintenance system says a device is doing, and when it said so.
type CMMSStatus struct {
	Text string    `json:"text"`
	At   time.Time `json:"at"`
}

// UseStatus is which words of the maintenance system a site takes for evidence that no patient depends on a device, and
// how old they may be. The zero value takes none.
type UseStatus struct {
	NotInUse []string // folded
	Fresh    time.Duration
}

type useSpec struct {
	NotInUse []string `yaml:"not_in_use"`
	Fresh    string   `yaml:"fresh,omitempty"`
}

// The bounds of the age of a status (H-046): a device that was fetched from the store is on a patient within minutes,
// so that a day is what a site has to want, and more than three days nobody's decision.
const (
	leastFresh   = 5 * time.Minute
	MostFresh    = 72 * time.Hour // at no site does an older one count
	defaultFresh = 24 * time.Hour
)

func (spec siteSpec) use() (UseStatus, error) {
	if spec.UseStatus == nil {
		return UseStatus{}, nil
	}
	u := UseStatus{Fresh: defaultFresh}
	if spec.UseStatus.Fresh != "" {
		d, err := time.ParseDuration(spec.UseStatus.Fresh)
		if err != nil || d < leastFresh || d > MostFresh {
			return UseStatus{}, fmt.Errorf("site file: use_status: fresh: %q is not a time from %s to %s", spec.UseStatus.Fresh, leastFresh, MostFresh)
		}
		u.Fresh = d
	}
	for _, text := range spec.UseStatus.NotInUse {
		text = fold(text)
		if text == "" || slices.Contains(u.NotInUse, text) {
			return UseStatus{}, fmt.Errorf("site file: use_status: not_in_use: %q is empty, or stands twice", text)
		}
		u.NotInUse = append(u.NotInUse, text)
	}
	if len(u.NotInUse) == 0 {
		return UseStatus{}, fmt.Errorf("site file: use_status: not_in_use: it names no word of the CMMS")
	}
	return u, nil
}

// unused reports whether there is evidence that no patient depends on the device at a moment (H-002): a person's word
// that covers it, or a status of the CMMS that the site takes. If there is none, it says what is missing.
func (s *Site) unused(x *Subject, at time.Time) (ok bool, why words) {
	switch use := x.device.OutOfUse; {
	case use == nil || use.By == "":
		why = words{"nobody has confirmed it"}
	case !at.Before(use.Until):
		why = words{"the confirmation by ", use.By, " does not cover that time"}
	default:
		return true, words{}
	}
	if x.status == "" {
		return false, why
	}
	if len(s.UseStatus.NotInUse) == 0 {
		return false, words{why.String(), ", and the site file takes no CMMS status for it (use_status)"}
	}
	if !slices.Contains(s.UseStatus.NotInUse, x.status) {
		return false, words{why.String(), ", and the CMMS status ", x.device.Status.Text, " does not say so"}
	}
	if age := at.Sub(x.device.Status.At); age < 0 || age > s.UseStatus.Fresh {
		return false, words{why.String(), ", and the CMMS status ", x.device.Status.Text, " is too old, or from the future"}
	}
	return true, words{}
}
