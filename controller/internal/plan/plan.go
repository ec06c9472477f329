// Package plan makes of devices, a list and an approved time the document that people approve: what
// would be asked, in which order, and what would not be asked and why. It is pure and sends nothing.
package plan

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	list "primum/safetylists"
	"primum/safetylists/permit"
)

// Input is everything that a plan depends on.
type Input struct {
	ID      string
	Site    string
	Origin  permit.Origin
	Caller  string
	Opens   time.Time
	Closes  time.Time
	Made    time.Time
	List    *list.List
	Release permit.Digest
	Devices []list.Device
	// Last is when a device was last visited for a question, under each of its [Names].
	Last map[Asked]time.Time
	// Kind, if set, is the one kind that is asked about.
	Kind list.Kind
	// Leave, if set, keeps the plan within a standing approval: what it does not cover is refused.
	Leave *permit.Standing
	// Left is how many questions the budget of Leave has left.
	Left int
}

// Asked is one question, as people read it, to one device by one of its [Names].
type Asked struct{ Name, Question string }

// Names are all that a device can be reached under: two asset tags that share one are one device (G9).
func Names(d list.Device) []string {
	address := ""
	if d.Address.IsValid() {
		address = d.Address.String()
	}
	return list.Reached(d.ID, address, d.MAC)
}

// Make returns the plan. A device without any question becomes a refusal, so that no device of the
// scope is passed over in silence.
func Make(in Input) permit.Plan {
	p := permit.Plan{
		ID: in.ID, Site: in.Site, Origin: in.Origin, Caller: in.Caller,
		Opens: in.Opens.UTC().Truncate(time.Millisecond), Closes: in.Closes.UTC().Truncate(time.Millisecond),
		Made: in.Made.UTC().Truncate(time.Millisecond), List: in.Release,
		Items: []permit.Item{}, Refusals: []permit.PlanRefusal{},
	}
	devices := slices.Clone(in.Devices)
	slices.SortFunc(devices, func(a, b list.Device) int { return cmp.Compare(a.ID, b.ID) })
	perDevice := make([][]permit.Item, len(devices))
	for i, d := range devices {
		var refusals []permit.PlanRefusal
		perDevice[i], refusals = in.device(d)
		p.Refusals = append(p.Refusals, refusals...)
	}
	asked := map[Asked]string{} // by every name of the physical device
	for _, item := range interleave(perDevice) {
		if twin := once(asked, item); twin != "" {
			p.Refusals = append(p.Refusals, refusal(item.Device, item.Query.String(), list.MinInterval,
				"it has the address or the network card of "+twin+", which is asked this in the same approved time", item.Statements))
			continue
		}
		if in.Leave != nil && len(p.Items) >= in.Left {
			p.Refusals = append(p.Refusals, refusal(item.Device, item.Query.String(), list.BudgetSpent,
				fmt.Sprintf("%d questions a day", in.Leave.PerDay), item.Statements))
			continue
		}
		p.Items = append(p.Items, item)
	}
	return p
}

// once notes a question under every name of its device, and returns the asset tag under which the same device
// is asked it already (G9).
func once(asked map[Asked]string, item permit.Item) (twin string) {
	names := Names(item.Device)
	for _, n := range names {
		if tag, ok := asked[Asked{n, item.Query.String()}]; ok {
			return tag
		}
	}
	for _, n := range names {
		asked[Asked{n, item.Query.String()}] = item.Device.ID
	}
	return ""
}

func (in Input) device(d list.Device) (items []permit.Item, refusals []permit.PlanRefusal) {
	candidates := in.List.Candidates(d)
	if in.Kind != "" {
		candidates = slices.DeleteFunc(candidates, func(c list.Candidate) bool { return c.Kind != in.Kind })
	}
	for _, c := range candidates {
		item, no := in.question(d, c)
		if no != nil {
			refusals = append(refusals, *no)
			continue
		}
		items = append(items, item)
	}
	if len(candidates) == 0 {
		dec := Silent(in.List, d, in.Kind, in.Opens)
		refusals = append(refusals, refusal(d, string(in.Kind), dec.Reason, dec.Detail(), dec.Statements))
	}
	return items, refusals
}

// Silent says why there is no question, of a kind or (empty) of any, for a device: the list may have more
// against the product than that nobody approved anything, and may allow it another question.
func Silent(l *list.List, d list.Device, kind list.Kind, at time.Time) list.Decision {
	kinds, detail := []list.Kind{list.SNMPGet, list.DICOMEcho, list.HL7Ack}, "no allowance speaks of this product, and no service is registered"
	if kind != "" {
		kinds, detail = []list.Kind{kind}, fmt.Sprintf("no allowance for %s speaks of this product, and no service of that kind is registered", kind)
	}
	for _, k := range kinds {
		if dec := l.DecideCandidate(d, list.Candidate{Kind: k, Missing: detail}, at); dec.Reason == list.Denied {
			return dec
		}
	}
	if slices.Contains(kinds, list.SNMPGet) {
		// the question that every list knows serves to hear whether there is a caution
		q, err := list.ParseQuery(list.QuerySpec{Kind: list.SNMPGet, Port: 161, OIDs: list.DefaultOIDs()})
		if dec := l.Decide(d, q, at); err == nil && dec.Reason == list.CautionOnly {
			return dec
		}
	}
	for _, c := range l.Candidates(d) {
		if dec := l.DecideCandidate(d, c, at); kind != "" && dec.Allowed() {
			return list.Refused(list.QuestionUnapproved, detail)
		}
	}
	return list.Refused(list.NotApproved, detail)
}

func (in Input) question(d list.Device, c list.Candidate) (permit.Item, *permit.PlanRefusal) {
	refuse := func(r list.Reason, detail string, statements []string) (permit.Item, *permit.PlanRefusal) {
		question := string(c.Kind)
		if c.Missing == "" {
			question = c.Query.String()
		}
		no := refusal(d, question, r, detail, statements)
		return permit.Item{}, &no
	}
	dec := in.List.DecideCandidate(d, c, in.Opens)
	if dec.Allowed() {
		// a paper that ends within the approved time does not carry a question at its end
		then := in.List.Decide(d, c.Query, in.Closes)
		if then.Reason == list.QuietHours {
			then = dec // nothing is asked at the close itself: hours may begin with it
		}
		dec = tighter(dec, then)
		if hours, ok := in.List.QuietWithin(d, in.Opens, in.Closes); ok && dec.Allowed() {
			return refuse(list.QuietHours, hours.String(), dec.Statements)
		}
	}
	switch {
	case !dec.Allowed():
		return refuse(dec.Reason, dec.Detail(), dec.Statements)
	case !d.Address.IsValid():
		return refuse(list.NotRegistered, "the inventory has no IP address of it", dec.Statements)
	}
	var last time.Time
	for _, n := range Names(d) {
		if at := in.Last[Asked{n, c.Query.String()}]; at.After(last) {
			last = at
		}
	}
	if in.Opens.Before(last.Add(dec.Limits.Rest)) {
		return refuse(list.MinInterval, fmt.Sprintf("it was asked at %s and rests until %s",
			last.UTC().Format(time.DateTime), last.Add(dec.Limits.Rest).UTC().Format(time.DateTime)), dec.Statements)
	}
	item := permit.Item{Device: d, Query: c.Query, Limits: dec.Limits, Purpose: dec.Purpose, Statements: dec.Statements}
	if in.Leave != nil {
		one := permit.Plan{Site: in.Site, Caller: in.Caller, List: in.Release, Opens: in.Opens, Closes: in.Closes, Items: []permit.Item{item}}
		if no := in.Leave.Covers(one, in.Opens); no != nil {
			return refuse(no.Reason, no.Detail, dec.Statements)
		}
	}
	return item, nil
}

func tighter(now, then list.Decision) list.Decision {
	if !then.Allowed() {
		return then
	}
	now.Limits = now.Limits.Tightest(then.Limits)
	return now
}

func refusal(d list.Device, question string, r list.Reason, detail string, statements []string) permit.PlanRefusal {
	return permit.PlanRefusal{Device: d.ID, Name: d.Name, Place: d.Place, Question: question, Reason: r, Detail: detail, Statements: statements}
}

// interleave puts datagrams before connections, and goes round the devices so that the next question
// to a device comes as late as it can.
func interleave(perDevice [][]permit.Item) []permit.Item {
	var out []permit.Item
	for _, transport := range []string{"udp", "tcp"} {
		for round, more := 0, true; more; round++ {
			more = false
			for _, items := range perDevice {
				mine := slices.DeleteFunc(slices.Clone(items), func(it permit.Item) bool { return it.Query.Kind().Transport() != transport })
				if round < len(mine) {
					out = append(out, mine[round])
					more = true
				}
			}
		}
	}
	return out
}
