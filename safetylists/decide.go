package safetylists

import (
	"fmt"
	"time"
)

// Decision is the answer to one question about one device at one moment. The zero value refuses.
type Decision struct {
	Reason     Reason
	Statements []string // ids of the statements that decided; the first one is the chief one
	Detail     string   // for a person
	Limits     Limits   // when allowed
	Purpose    Purpose  // when allowed
}

// Allowed reports whether the question may be asked.
func (d Decision) Allowed() bool { return d.Reason == Allowed && d.Limits.Messages > 0 }

// Decide says whether q may be put to d at the moment at. The order is deny, forbid_port, allow,
// else refuse (DESIGN 6.4). It never panics, and knowing less about d never turns a refusal into an
// allowance.
func (l *List) Decide(d Device, q Query, at time.Time) Decision {
	if l == nil || !l.loaded {
		return Decision{Reason: NoList}
	}
	if q.Kind() == "" {
		return Decision{Reason: QuestionUnapproved, Detail: "no question was given"}
	}
	if dec, refused := l.denied(d, q); refused {
		return dec
	}
	if dec, refused := l.portForbidden(d, q); refused {
		return dec
	}
	best := Decision{Reason: NotApproved}
	depth := 0
	for _, s := range l.statements {
		if s.Type != Allow {
			continue
		}
		dec, n := l.tryAllow(s, d, q, at)
		switch {
		case dec.Allowed() && best.Allowed():
			best.Limits = best.Limits.Tightest(dec.Limits)
			best.Statements = append(best.Statements, s.ID)
		case dec.Allowed(), !best.Allowed() && n > depth:
			best, depth = dec, n
		}
	}
	if depth == 0 {
		if id, ok := l.cautioned(d, q); ok {
			return Decision{Reason: CautionOnly, Statements: []string{id}, Detail: l.byID[id].Words}
		}
	}
	return best
}

func (l *List) denied(d Device, q Query) (Decision, bool) {
	dec := Decision{Reason: Denied}
	for _, s := range l.statements {
		if s.Type == Deny && s.speaksOf(q.Kind()) && s.Product.could(d).Could() && s.Product.reaches(d) {
			dec.Statements = append(dec.Statements, s.ID)
			if dec.Detail == "" {
				dec.Detail = s.Words
			}
		}
	}
	return dec, len(dec.Statements) > 0
}

// reaches keeps the reason honest: a device of which nothing at all is known, neither name nor card,
// could be any product of any deny. It is refused all the same, as NOT_APPROVED.
func (p Product) reaches(d Device) bool {
	for _, c := range d.Claims {
		if c.Manufacturer != "" || c.Model != "" {
			return true
		}
	}
	oui := d.OUI()
	for _, o := range p.ouis {
		if o == oui {
			return true
		}
	}
	return false
}

func (l *List) portForbidden(d Device, q Query) (Decision, bool) {
	if NeverPort(q.Kind().Transport(), q.Port()) {
		return Decision{Reason: PortForbidden, Statements: l.portStatements(d, q), Detail: fmt.Sprintf("port %d is never asked, whatever is attached", q.Port())}, true
	}
	if ids := l.portStatements(d, q); len(ids) > 0 {
		return Decision{Reason: PortForbidden, Statements: ids, Detail: l.byID[ids[0]].Words}, true
	}
	return Decision{}, false
}

func (l *List) portStatements(d Device, q Query) []string {
	var ids []string
	for _, s := range l.statements {
		if s.Type != ForbidPort || !s.Product.could(d).Could() {
			continue
		}
		for _, r := range s.Ports {
			if r.contains(q.Kind().Transport(), q.Port()) {
				ids = append(ids, s.ID)
				break
			}
		}
	}
	return ids
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

func (l *List) cautioned(d Device, q Query) (string, bool) {
	for _, s := range l.statements {
		if s.Type == Note && s.speaksOf(q.Kind()) && s.Product.reaches(d) && s.Product.could(d) == Yes {
			return s.ID, true
		}
	}
	return "", false
}

// tryAllow walks one allowance from the product to the circumstances. The number says how far it
// came: the refusal that came farthest is the one worth telling.
func (l *List) tryAllow(s *Statement, d Device, q Query, at time.Time) (Decision, int) {
	refuse := func(n int, r Reason, detail string) (Decision, int) {
		return Decision{Reason: r, Statements: []string{s.ID}, Detail: detail}, n
	}
	if !s.Product.named(d) {
		return Decision{Reason: NotApproved}, 0
	}
	want, err := s.Question.Fill(d.Endpoints, l.site.Facility)
	if err != nil {
		if s.Question.Kind != q.Kind() {
			return refuse(1, QuestionUnapproved, "")
		}
		return refuse(2, NotRegistered, err.Error())
	}
	if !want.Equal(q) {
		return refuse(1, QuestionUnapproved, "the allowance is for "+want.String())
	}
	if r, detail := s.Product.identified(d, s.Purpose); r != Allowed {
		return refuse(3, r, detail)
	}
	if s.strength() == SeenContents {
		return refuse(4, EvidenceTooWeak, "")
	}
	if need, have := s.signOffsNeeded(), l.signedOff(s); have < need {
		return refuse(5, NotSignedOff, fmt.Sprintf("%d of %d persons have signed off", have, need))
	}
	if !at.Before(s.Expires) {
		return refuse(6, ApprovalExpired, "it ended on "+s.Expires.Format(time.DateOnly))
	}
	if d.Class.NeedsUseEvidence() {
		switch {
		case d.OutOfUse == nil || d.OutOfUse.By == "":
			return refuse(7, InUseUnknown, "nobody has confirmed it")
		case !at.Before(d.OutOfUse.Until):
			return refuse(7, InUseUnknown, "the confirmation by "+d.OutOfUse.By+" has ended")
		}
	}
	return Decision{Reason: Allowed, Statements: []string{s.ID}, Limits: s.Limits, Purpose: s.Purpose}, 8
}

// identified holds DESIGN 6.2: every source that speaks must agree; identify needs one that names
// the product, routine an exact version and two independent ones.
func (p Product) identified(d Device, purpose Purpose) (Reason, string) {
	paper, answer := false, false
	version := Unknown
	if p.versions.All() {
		version = Yes
	}
	for _, c := range d.Claims {
		m := p.certain(c)
		if m.product == No {
			return IdentityConflict, fmt.Sprintf("%s says %s %s", c.Source, c.Manufacturer, c.Model)
		}
		if !p.versions.All() && c.Version != "" {
			switch m.version {
			case No:
				return VersionOutside, fmt.Sprintf("%s says version %s", c.Source, c.Version)
			case Yes:
				version = Yes
			case Unknown:
				return VersionUnknown, fmt.Sprintf("%s says version %s, which cannot be compared", c.Source, c.Version)
			}
		}
		if m.product == Yes && (purpose == Identify || c.Version != "") {
			paper = paper || c.Source.paper()
			answer = answer || c.Source == Answer
		}
	}
	switch {
	case version != Yes:
		return VersionUnknown, "no source tells the version"
	case purpose == Identify && (paper || answer):
		return Allowed, ""
	case purpose == Routine && paper && answer:
		return Allowed, ""
	default:
		return IdentityUncertain, ""
	}
}

func (s *Statement) signOffsNeeded() int {
	if s.strength() == SeenFull {
		return 1
	}
	return 2
}

// signedOff counts the distinct persons who signed off exactly this text of the statement.
func (l *List) signedOff(s *Statement) int {
	people := map[string]bool{}
	for _, so := range l.site.SignOffs {
		if so.Statement != s.ID || so.Digest != s.Digest {
			continue
		}
		for _, by := range so.By {
			if name := fold(by); name != "" {
				people[name] = true
			}
		}
	}
	return len(people)
}
