package safetylists

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

// Decision is the answer to one question about one device at one moment. The zero value refuses.
type Decision struct {
	Reason     Reason
	Statements []string       // ids of the statements that decided, at most eight; the first one is the chief one
	Limits     Limits         // when allowed
	Purpose    Purpose        // when allowed
	Sources    []netip.Prefix // when allowed: the only addresses it may be asked from; none: any
	detail     words
}

// words is a detail in pieces, so that a decision that nobody reads costs no memory.
type words [4]string

// Refused makes the decision of somebody who refuses before the list is asked.
func Refused(r Reason, detail string) Decision { return Decision{Reason: r, detail: words{detail}} }

// Detail says what in particular, for a person. Empty: nothing but the words of the reason.
func (d Decision) Detail() string {
	return d.detail.String()
}

// String joins the pieces.
func (w words) String() string { return w[0] + w[1] + w[2] + w[3] }

// Equal reports whether both decide the same, for the same reasons.
func (d Decision) Equal(e Decision) bool {
	return d.Reason == e.Reason && d.Limits == e.Limits && d.Purpose == e.Purpose && d.detail == e.detail &&
		slices.Equal(d.Statements, e.Statements) && slices.Equal(d.Sources, e.Sources)
}

// Allowed reports whether the question may be asked.
func (d Decision) Allowed() bool { return d.Reason == Allowed && d.Limits.Messages > 0 }

// Decide says whether q may be put to d at the moment at. The order is deny, forbid_port,
// stack_hazard, allow, else refuse (DESIGN 6.4). It never panics, and knowing less about d never turns
// a refusal into an allowance.
func (l *List) Decide(d Device, q Query, at time.Time) Decision {
	s := Know(d)
	return l.DecideKnown(&s, q, at)
}

// DecideKnown is [List.Decide] about a device that was made ready by [Know]. It allocates nothing unless
// several statements decide together.
func (l *List) DecideKnown(s *Subject, q Query, at time.Time) Decision {
	if l == nil || !l.loaded {
		return Decision{Reason: NoList}
	}
	if q.Kind() == "" {
		return Decision{Reason: QuestionUnapproved, detail: words{"no question was given"}}
	}
	var by, hazards found
	if l.denied(s, q, &by) {
		return l.refusal(Denied, &by)
	}
	if l.portForbidden(s, q, &by) {
		return l.portRefusal(q, &by)
	}
	l.matching(l.hazards, s, &hazards, affects, q)
	best := Decision{Reason: NotApproved}
	depth := 0
	l.allowances(s, func(i int32, st *Statement) {
		try := l.tryAllow(i, s, q, &hazards, at)
		switch {
		case try.reason == Allowed && best.Reason == Allowed:
			best.Limits = best.Limits.Tightest(st.Limits)
			best.Sources = within(best.Sources, st.Sources)
			by.add(i)
		case try.reason == Allowed, best.Reason != Allowed && try.depth > depth:
			best = Decision{Reason: try.reason, detail: try.detail}
			by, depth = found{}, try.depth
			by.add(i)
			if try.reason == Allowed {
				best.Limits, best.Purpose, best.Sources = st.Limits, st.Purpose, st.Sources
			}
		}
	})
	best.Statements = l.names(&by)
	switch {
	case best.Reason == StackHazard, hazards.n > 0 && depth < atHazard:
		return l.refusal(StackHazard, &hazards)
	case depth == 0:
		var notes found
		if l.matching(l.notes, s, &notes, cautions, q); notes.n > 0 {
			return l.refusal(CautionOnly, &notes)
		}
	case best.Allowed():
		best.Limits = l.site.tightened(best.Limits, &by, l, q.Kind())
		// the whole conversation stays out of the hours of the ward, whose end it could not know
		if hours, ok := l.site.quiet(s.place, at, at.Add(max(best.Limits.Cap, time.Nanosecond))); ok {
			return Decision{Reason: QuietHours, Statements: best.Statements, detail: words{hours.String()}}
		}
	}
	return best
}

// affects is the match of a deny and of a stack_hazard.
func affects(s *Statement, x *Subject, q Query) bool {
	return s.speaksOf(q.Kind()) && s.Product.could(x).Could() && s.Product.reaches(x)
}

// cautions is the match of a note: only what is certain is quoted.
func cautions(s *Statement, x *Subject, q Query) bool {
	return s.speaksOf(q.Kind()) && s.Product.reaches(x) && s.Product.could(x) == Yes
}

// refusal is for what the first of the found statements says.
func (l *List) refusal(r Reason, f *found) Decision {
	return Decision{Reason: r, Statements: l.names(f), detail: words{l.statements[f.at[0]].Words}}
}

func (l *List) denied(x *Subject, q Query, f *found) bool {
	l.matching(l.denials, x, f, affects, q)
	return f.n > 0
}

// reaches keeps the reason honest: a device of which nothing at all is known, neither name nor card,
// could be any product of any deny. It is refused all the same, as NOT_APPROVED.
func (p *Product) reaches(x *Subject) bool { return x.named || slices.Contains(p.ouis, x.oui) }

func (l *List) portForbidden(x *Subject, q Query, f *found) bool {
	transport := q.Kind().Transport()
	for _, i := range l.ports.of(transport, q.Port()) {
		if f.full(i) {
			break
		}
		if l.statements[i].Product.could(x).Could() {
			f.add(i)
		}
	}
	return f.n > 0 || NeverPort(transport, q.Port())
}

func (l *List) portRefusal(q Query, f *found) Decision {
	if f.n > 0 && !NeverPort(q.Kind().Transport(), q.Port()) {
		return l.refusal(PortForbidden, f)
	}
	return Decision{Reason: PortForbidden, Statements: l.names(f), detail: words{"no list can allow this port, whatever is attached (G13)"}}
}

// NeverPort reports whether no statement can ever name the port (G13).
func NeverPort(transport string, port uint16) bool {
	if transport != "tcp" {
		return port != 161 && port < 1024
	}
	switch {
	case port >= 9100 && port <= 9107, port == 515, port == 631, port >= 20 && port <= 25,
		port >= 135 && port <= 139, port == 445, port == 3389, port == 23, port == 80, port == 443:
		return true
	default:
		return false
	}
}

// attempt is how far one allowance came. The refusal that came farthest is the one worth telling.
type attempt struct {
	reason Reason
	depth  int
	detail words
}

// atHazard is the depth at which an allowance is held against the hazards of the stack: an allowance
// that fails before it says nothing about them.
const atHazard = 3

// tryAllow walks one allowance, whose product some claim names, from the question to the circumstances.
func (l *List) tryAllow(i int32, x *Subject, q Query, hazards *found, at time.Time) attempt {
	s := l.statements[i]
	refuse := func(depth int, r Reason, detail ...string) attempt {
		a := attempt{reason: r, depth: depth}
		copy(a.detail[:], detail)
		return a
	}
	if !s.Product.named(x) {
		return attempt{reason: NotApproved} // another pair with the same hash
	}
	if s.Question.Kind != q.Kind() {
		return refuse(1, QuestionUnapproved)
	}
	if missing := s.Question.lacks(x.device.Endpoints, l.site.Facility); missing != "" {
		return refuse(2, NotRegistered, missing)
	}
	if !s.Question.asks(q, x.device.Endpoints, l.site.Facility) {
		return refuse(1, QuestionUnapproved, "the allowance is for ", s.Question.text)
	}
	if !l.accepts(s, x, q, hazards) {
		return refuse(atHazard, StackHazard)
	}
	if r, detail := s.Product.identified(x, s.Purpose); r != Allowed {
		return attempt{r, 4, detail}
	}
	for k, option := range s.options {
		if !x.has(option) {
			return refuse(5, OptionUnknown, s.Options[k])
		}
	}
	if s.strength == SeenContents {
		return refuse(6, EvidenceTooWeak)
	}
	if need, have := s.signOffsNeeded(), l.signed[i]; have < need {
		return refuse(7, NotSignedOff, strconv.Itoa(have), " of ", strconv.Itoa(need), " persons have signed off")
	}
	if !at.Before(s.Expires) {
		return refuse(8, ApprovalExpired, "it ended on ", s.expires)
	}
	if s.OutOfUse || x.device.Class.NeedsUseEvidence() {
		if ok, why := l.site.unused(x, at); !ok {
			return attempt{InUseUnknown, 9, why}
		}
	}
	return attempt{reason: Allowed, depth: 10}
}

// accepts reports whether an allowance names every hazard that was found, also those beyond the eight
// that a decision names.
func (l *List) accepts(s *Statement, x *Subject, q Query, hazards *found) bool {
	for _, h := range hazards.at[:hazards.n] {
		if !slices.Contains(s.Accepts, l.ids[h]) {
			return false
		}
	}
	if !hazards.more {
		return true
	}
	for _, h := range l.hazards.every {
		if affects(l.statements[h], x, q) && !slices.Contains(s.Accepts, l.ids[h]) {
			return false
		}
	}
	return true
}

// identified holds DESIGN 6.2: every source that speaks must agree; identify needs one that names
// the product, routine an exact version and two independent ones.
func (p *Product) identified(x *Subject, purpose Purpose) (Reason, words) {
	paper, answer := false, false
	version := Unknown
	if p.versions.All() {
		version = Yes
	}
	for i := range x.claims {
		c := &x.claims[i]
		product := Yes // an earlier claim that names the same was not refused
		if !c.repeats || c.maker == "" || c.model == "" {
			product = p.certain(c)
		}
		if product == No {
			return IdentityConflict, words{string(c.source), " says ", c.raw.Manufacturer, " " + c.raw.Model}
		}
		if !p.versions.All() && c.version != "" && !c.same {
			switch p.versions.contains(c.version, c.number, c.comparable) {
			case No:
				return VersionOutside, words{string(c.source), " says version ", c.raw.Version}
			case Yes:
				version = Yes
			case Unknown:
				return VersionUnknown, words{string(c.source), " says version ", c.raw.Version, ", which cannot be compared"}
			}
		}
		if product == Yes && (purpose == Identify || c.version != "") {
			paper = paper || c.source.paper()
			answer = answer || c.source == Answer
		}
	}
	switch {
	case version != Yes:
		return VersionUnknown, words{"no source tells the version"}
	case purpose == Identify && (paper || answer), purpose == Routine && paper && answer:
		return Allowed, words{}
	default:
		return IdentityUncertain, words{}
	}
}

// signOffsNeeded is DESIGN 6.3: a site's own allowance takes two persons whatever was read.
func (s *Statement) signOffsNeeded() int {
	if s.strength == SeenFull && !s.site {
		return 1
	}
	return 2
}

// within joins two sets of permitted sources: what stands in both. An empty set is any address; two sets
// that have nothing in common leave the one address that nobody has.
func within(a, b []netip.Prefix) []netip.Prefix {
	switch {
	case len(a) == 0:
		return b
	case len(b) == 0 || slices.Equal(a, b):
		return a
	}
	var both []netip.Prefix
	for _, p := range a {
		for _, r := range b {
			switch {
			case p.Overlaps(r) && p.Bits() >= r.Bits():
				both = append(both, p)
			case p.Overlaps(r):
				both = append(both, r)
			}
		}
	}
	if len(both) == 0 {
		both = append(both, netip.PrefixFrom(netip.IPv4Unspecified(), 32))
	}
	return both
}

// From reports whether the question may be asked from the address: a refusal if not.
func (d Decision) From(source netip.Addr) *Refusal {
	if len(d.Sources) == 0 {
		return nil
	}
	for _, p := range d.Sources {
		if p.Contains(source.Unmap()) {
			return nil
		}
	}
	return Refuse(SourceNotPermitted, fmt.Sprintf("it would be asked from %s", source))
}
