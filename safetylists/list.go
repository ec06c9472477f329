package safetylists

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Policy is the side that an agent and a list are on. They never mix (DESIGN 6.10).
type Policy string

// The policies. The zero value is neither and reaches nothing.
const (
	Lab  Policy = "lab"  // 127.0.0.0/8 only, lists of fictional makers load
	Real Policy = "real" // loopback refused, lists of fictional makers refused
)

// SignOff is a site's consent to one statement, by name and date (DESIGN 6.3).
type SignOff struct {
	Statement string
	Digest    [32]byte // of the statement as it was read; another text is not signed off
	By        []string // distinct persons
	Signed    []string // those of them whose signature verified
	On        time.Time
}

// Site is what one hospital adds to the lists.
type Site struct {
	Name         string
	Facility     string // MSH-4 of HL7 questions
	Policy       Policy
	Approvers    map[string][]byte // name to Ed25519 public key, 32 octets
	MinApprovers int               // signatures that a plan needs, at least 1
	SignOffs     []SignOff
	Statements   []*Statement // its own: deny, forbid_port, note, and allow with two persons' signatures
	Tighten      []Tightening
	AddressProof AddressProof
	UseStatus    UseStatus
	Zone         *time.Location // of the clocks on its walls; nil: not told
	Quiet        []Quiet        // hours of wards in which nothing is asked
	WaveWatch    time.Duration  // see [Site.Watch]; 0: the default of the policy
}

// List is a compiled set of statements for one site. It is immutable and safe for concurrent use.
// The zero value refuses every question with NO_LIST.
type List struct {
	statements []*Statement // ordered by id
	ids        []string     // theirs
	byID       map[string]*Statement
	signed     []int // of statements: how many persons have signed off this text of an allowance
	site       Site
	loaded     bool

	denials, hazards, notes *index
	ports                   portIndex
	allows                  map[product][]int32
}

// New compiles parsed files and a site into a list. The order of files does not matter. A list of
// fictional makers loads under lab policy only.
func New(files []*File, site Site) (*List, error) {
	l := &List{byID: map[string]*Statement{}, site: site, loaded: true}
	if site.Policy != Lab && site.Policy != Real {
		return nil, fmt.Errorf("site %s: policy is %q; it is lab or real", site.Name, site.Policy)
	}
	for _, f := range files {
		if f.Lab && site.Policy != Lab {
			return nil, fmt.Errorf("list %s: fictional makers load under lab policy only", f.Name)
		}
		for _, s := range f.Statements {
			if other, ok := l.byID[s.ID]; ok {
				return nil, fmt.Errorf("list %s: statement %s stands in %s too", f.Name, s.ID, other.File)
			}
			l.byID[s.ID] = s
			l.statements = append(l.statements, s)
		}
	}
	for _, s := range site.Statements {
		if other, ok := l.byID[s.ID]; ok {
			return nil, fmt.Errorf("site file: statement %s stands in %s too", s.ID, other.File)
		}
		l.byID[s.ID] = s
		l.statements = append(l.statements, s)
	}
	slices.SortFunc(l.statements, func(a, b *Statement) int { return strings.Compare(a.ID, b.ID) })
	offs := map[string][]SignOff{}
	for _, so := range site.SignOffs {
		offs[so.Statement] = append(offs[so.Statement], so)
	}
	for _, s := range l.statements {
		l.ids = append(l.ids, s.ID)
		l.signed = append(l.signed, signedOff(s, offs[s.ID]))
	}
	l.denials, l.hazards, l.notes = newIndex(l.statements, Deny), newIndex(l.statements, StackHazardType), newIndex(l.statements, Note)
	l.ports, l.allows = newPortIndex(l.statements), allowIndex(l.statements)
	return l, nil
}

// Site returns the site that the list was compiled for.
func (l *List) Site() Site { return l.site }

// Statement returns a statement by its id, nil if there is none.
func (l *List) Statement(id string) *Statement { return l.byID[id] }

// Statements returns all statements, ordered by id.
func (l *List) Statements() []*Statement { return slices.Clone(l.statements) }

// Candidates returns the questions that somebody may want to put to the device: those of every
// allowance that speaks of its product, and those that the registered ports suggest. A candidate is
// no permission: each goes through [List.Decide].
func (l *List) Candidates(d Device) []Candidate {
	var out []Candidate
	subject := Know(d)
	add := func(c Candidate) {
		for i, have := range out {
			if have.Missing == "" && c.Missing == "" && have.Query.Equal(c.Query) {
				return
			}
			if have.Missing != "" && have.Kind == c.Kind && c.Missing == "" {
				out[i] = c
				return
			}
		}
		out = append(out, c)
	}
	l.allowances(&subject, func(_ int32, s *Statement) {
		q, err := s.Question.Fill(d.Endpoints, l.site.Facility)
		if err != nil {
			add(Candidate{Kind: s.Question.Kind, Port: s.Question.port(d.Endpoints), Missing: err.Error()})
			return
		}
		add(Candidate{Kind: s.Question.Kind, Port: q.Port(), Query: q})
	})
	for _, k := range []Kind{SNMPGet, DICOMEcho, HL7Ack} {
		port := d.Port(k)
		if port == 0 || slices.ContainsFunc(out, func(c Candidate) bool { return c.Kind == k && c.Port == port }) {
			continue
		}
		q, err := defaultRule(k).Fill(d.Endpoints, l.site.Facility)
		if err != nil {
			add(Candidate{Kind: k, Port: port, Missing: err.Error()})
			continue
		}
		add(Candidate{Kind: k, Port: port, Query: q})
	}
	return out
}

// Candidate is one question worth deciding about; Missing says what the inventory lacks for it.
type Candidate struct {
	Kind    Kind
	Port    uint16 // 0: none is registered
	Query   Query  // zero when something is missing
	Missing string
}

// Question is the question that a person has in mind of a device of this site: of a kind, to a port (0: the
// registered one) and, for snmp.get, about objects (none: the default ones). It is no permission.
func (l *List) Question(d Device, k Kind, port uint16, oids []string) (Query, error) {
	if len(oids) > 0 && k != SNMPGet {
		return Query{}, fmt.Errorf("objects belong to snmp.get, not to %s", k)
	}
	rule := defaultRule(k)
	rule.Port = port
	if len(oids) > 0 {
		rule.OIDs = oids
	}
	// What an allowance says beyond that, such as how it is signed, nobody types.
	subject := Know(d)
	var named Query
	l.allowances(&subject, func(_ int32, s *Statement) {
		same := s.Question.Kind == k && slices.Equal(s.Question.OIDs, rule.OIDs) && (port == 0 || port == s.Question.port(d.Endpoints))
		q, err := s.Question.Fill(d.Endpoints, l.site.Facility)
		if same && err == nil && s.Question.lacks(d.Endpoints, l.site.Facility) == "" && named.spec.Kind == "" {
			named = q
		}
	})
	switch {
	case named.spec.Kind != "":
		return named, nil
	case k.Vendor():
		return Query{}, fmt.Errorf("no allowance tells the messages of %s for this product", k)
	case !k.known():
		return Query{}, fmt.Errorf("question kind %q is not known; it is snmp.get, dicom.echo, hl7.ack, or a vendor's own", k)
	}
	return rule.Fill(d.Endpoints, l.site.Facility)
}

// DecideCandidate is [List.Decide] of a candidate. One that lacks something is refused too: as DENIED
// or PORT_FORBIDDEN where that is so whatever the inventory lacks, else as NOT_REGISTERED.
func (l *List) DecideCandidate(d Device, c Candidate, at time.Time) Decision {
	if l == nil || !l.loaded || c.Missing == "" {
		return l.Decide(d, c.Query, at)
	}
	q, subject := Query{QuerySpec{Kind: c.Kind, Port: c.Port}}, Know(d)
	var by found
	if l.denied(&subject, q, &by) {
		return l.refusal(Denied, &by)
	}
	if c.Port != 0 && l.portForbidden(&subject, q, &by) {
		return l.portRefusal(q, &by)
	}
	return Refused(NotRegistered, c.Missing)
}

// defaultRule is the question that a registered port suggests when no allowance names one: the
// default question of DESIGN 6.12, an echo, or the link message of H3. It serves only to be decided
// about, and to be explained.
func defaultRule(k Kind) QuestionRule {
	switch k {
	case DICOMEcho:
		return QuestionRule{Kind: k, CallingAE: "PRIMUM"}
	case HL7Ack:
		return QuestionRule{Kind: k, HL7Version: "2.5.1", Expect: "AA"}
	case SNMPGet:
		return QuestionRule{Kind: k, OIDs: DefaultOIDs()}
	default:
		return QuestionRule{Kind: k}
	}
}

// DefaultOIDs is sysDescr.0, sysObjectID.0, sysUpTime.0 and sysName.0 (DESIGN 6.12).
func DefaultOIDs() []string {
	return []string{"1.3.6.1.2.1.1.1.0", "1.3.6.1.2.1.1.2.0", "1.3.6.1.2.1.1.3.0", "1.3.6.1.2.1.1.5.0"}
}
