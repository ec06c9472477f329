// Package identity says what a device's own answer makes of it: the claim that the safety list
// recognises, and where it differs from the maintenance system. It is pure, and decides nothing: a
// claim goes into the next decision as one source among others (DESIGN 6.2).
package identity

import (
	"fmt"
	"strings"
	"time"

	list "primum/safetylists"
)

// The fields of facts that recognition reads.
const (
	objectID    = "object_id"   // sysObjectID.0
	description = "description" // sysDescr.0
	serial      = "serial"
)

// Fact is one claim of a device about itself.
type Fact struct{ Field, Value, Origin string }

// Answer is what a device answered to one approved question.
type Answer struct {
	Run   string
	At    time.Time
	Facts []Fact
}

func (a Answer) field(name string) string {
	for _, f := range a.Facts {
		if f.Field == name {
			return f.Value
		}
	}
	return ""
}

// Claim returns what the list recognises in an answer; ok is false when it recognises nothing, or
// when two fingerprints disagree.
func Claim(l *list.List, a Answer) (c list.Claim, ok bool) {
	if l == nil || a.field(objectID) == "" && a.field(description) == "" {
		return list.Claim{}, false
	}
	c, ok = l.Recognise(list.Observed{ObjectID: a.field(objectID), Description: a.field(description)})
	if !ok {
		return list.Claim{}, false
	}
	c.By, c.At = a.Run, a.At.UTC()
	return c, true
}

// Differences says where an answer differs from the row of the maintenance system, as sentences that
// name both. Conflict is true when they speak of different products: then somebody has to go and look.
func Differences(cmms list.Claim, cmmsSerial string, answer *list.Claim, a Answer) (sentences []string, conflict bool) {
	if answer != nil {
		if differ(answer.Manufacturer, cmms.Manufacturer) || differ(answer.Model, cmms.Model) {
			conflict = true
			sentences = append(sentences, fmt.Sprintf("It answers as %s; CMMS says %s: go to the device, read its label, and correct the record that is wrong.",
				product(*answer), product(cmms)))
		}
		switch {
		case conflict || answer.Version == "":
		case cmms.Version == "":
			sentences = append(sentences, fmt.Sprintf("Software found %s; CMMS says none: enter it at the next PM.", answer.Version))
		case differ(answer.Version, cmms.Version):
			sentences = append(sentences, fmt.Sprintf("Software found %s; CMMS says %s: verify at next PM.", answer.Version, cmms.Version))
		}
	}
	if found := a.field(serial); differ(found, cmmsSerial) {
		sentences = append(sentences, fmt.Sprintf("Serial number found %s; CMMS says %s: this may be another unit.", found, cmmsSerial))
	}
	return sentences, conflict
}

func product(c list.Claim) string { return strings.TrimSpace(c.Manufacturer + " " + c.Model) }

// differ compares two texts as people would; one that is not stated differs from nothing.
func differ(a, b string) bool {
	a, b = strings.Join(strings.Fields(a), " "), strings.Join(strings.Fields(b), " ")
	return a != "" && b != "" && !strings.EqualFold(a, b)
}
