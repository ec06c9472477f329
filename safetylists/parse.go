package safetylists

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"
)

var idForm = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{2,79}$`)

func (s statementSpec) parse() (*Statement, error) {
	if !idForm.MatchString(s.ID) {
		return nil, fmt.Errorf("id: %q is not 3 to 80 lower-case letters, digits, dots and hyphens", s.ID)
	}
	if s.Product == nil {
		return nil, fmt.Errorf("product is required")
	}
	product, err := parseProduct(*s.Product, s.Type)
	if err != nil {
		return nil, err
	}
	canonical, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("write canonical form: %w", err)
	}
	st := &Statement{ID: s.ID, Type: s.Type, Product: product, Kinds: s.Kinds, Ports: s.Ports,
		Words: strings.TrimSpace(s.Words), Evidence: s.Evidence, Digest: sha256.Sum256(canonical), strength: strongest(s.Evidence)}
	if err := s.hazardWords(st); err != nil {
		return nil, err
	}
	for _, k := range s.Kinds {
		if !k.known() {
			return nil, fmt.Errorf("kinds: %q is not known", k)
		}
	}
	if err := checkEvidence(s.Evidence); err != nil {
		return nil, err
	}
	if err := s.onlyFields(); err != nil {
		return nil, err
	}
	switch s.Type {
	case Deny, Note, StackHazardType:
		if st.Words == "" {
			return nil, fmt.Errorf("words are required: what a technician should know")
		}
	case ForbidPort:
		err = checkPorts(s.Ports)
	case Allow:
		err = s.parseAllow(st)
	case Fingerprint:
		err = s.parseFingerprint(st)
	default:
		err = fmt.Errorf("type: %q is not deny, forbid_port, stack_hazard, allow, note or fingerprint", s.Type)
	}
	if err != nil {
		return nil, err
	}
	return st, nil
}

// hazardWords reads what sets a harm off and what the harm is: two things, each from a closed
// vocabulary with words of its own.
func (s statementSpec) hazardWords(st *Statement) error {
	if s.Trigger != nil {
		st.Trigger = *s.Trigger
		for _, f := range []struct{ name, is, of string }{
			{"layer", s.Trigger.Layer, " network transport application"}, {"transport", s.Trigger.Transport, " tcp udp"},
			{"class", s.Trigger.Class, "malformed volume ordinary object unknown"},
		} {
			if !slices.Contains(strings.Split(f.of, " "), f.is) {
				return fmt.Errorf("trigger: %s %q is not one of: %s", f.name, f.is, strings.TrimSpace(f.of))
			}
		}
	}
	if s.Effect != nil {
		st.Effect = *s.Effect
		if len(s.Effect.Classes) == 0 || s.Effect.Words == "" {
			return fmt.Errorf("effect: classes and words are required")
		}
		for _, c := range s.Effect.Classes {
			if !slices.Contains(effects(), c) {
				return fmt.Errorf("effect: class %q is not one of: %s", c, strings.Join(effects(), " "))
			}
		}
	}
	return nil
}

func effects() []string {
	return []string{"reboot", "interface_off", "communication_module", "therapy", "data_or_clock", "service", "output", "privacy", "unknown"}
}

// onlyFields refuses a field that means nothing for the type, for it would seem to restrict.
func (s statementSpec) onlyFields() error {
	hazard := s.Type == Deny || s.Type == StackHazardType || s.Type == Note
	for _, f := range []struct {
		name string
		set  bool
		ok   bool
	}{
		{"kinds", len(s.Kinds) > 0, hazard},
		{"ports", len(s.Ports) > 0, s.Type == ForbidPort},
		{"purpose", s.Purpose != "", s.Type == Allow},
		{"question", s.Question != nil, s.Type == Allow},
		{"limits", s.Limits != LimitsSpec{}, s.Type == Allow},
		{"sources", len(s.Sources) > 0, s.Type == Allow},
		{"options", len(s.Options) > 0, s.Type == Allow},
		{"accepts", len(s.Accepts) > 0, s.Type == Allow},
		{"clinical_state", s.ClinicalState != "", s.Type == Allow},
		{"ending", s.Ending != "", s.Type == Allow},
		{"stop_on", len(s.StopOn) > 0, s.Type == Allow},
		{"expires", s.Expires != "", s.Type == Allow},
		{"identity", s.Identity != nil, s.Type == Fingerprint},
		{"trigger", s.Trigger != nil, hazard || s.Type == ForbidPort},
		{"effect", s.Effect != nil, hazard || s.Type == ForbidPort},
	} {
		if f.set && !f.ok {
			return fmt.Errorf("%s has no meaning in a %s", f.name, s.Type)
		}
	}
	return nil
}

func checkEvidence(all []Evidence) error {
	if len(all) == 0 {
		return fmt.Errorf("evidence is required")
	}
	for i, e := range all {
		if e.Kind == "" || e.Title == "" || e.Publisher == "" || e.Date == "" || e.Says == "" || e.Provenance == "" {
			return fmt.Errorf("evidence %d: kind, title, publisher, date, says and provenance are required", i+1)
		}
		if e.Seen != SeenFull && e.Seen != SeenExcerpt && e.Seen != SeenContents {
			return fmt.Errorf("evidence %d: seen is %q; it is full, excerpt or contents", i+1, e.Seen)
		}
		if _, err := time.Parse(time.DateOnly, e.Until); e.Until != "" && err != nil {
			return fmt.Errorf("evidence %d: until: %q is not a date such as 2027-11-24", i+1, e.Until)
		}
	}
	return nil
}

func checkPorts(ports []PortRange) error {
	if len(ports) == 0 {
		return fmt.Errorf("ports are required")
	}
	for _, r := range ports {
		if r.Transport != "tcp" && r.Transport != "udp" || r.From == 0 || r.To < r.From {
			return fmt.Errorf("ports: transport tcp or udp, and from not above to")
		}
	}
	return nil
}

func (s statementSpec) parseAllow(st *Statement) error {
	if s.Purpose != Identify && s.Purpose != Routine {
		return fmt.Errorf("purpose: %q is not identify or routine", s.Purpose)
	}
	if s.Purpose == Routine && s.Product.Versions.All {
		return fmt.Errorf("a routine allow names its versions (DESIGN 6.2)")
	}
	if s.Question == nil {
		return fmt.Errorf("question is required")
	}
	expires, err := time.Parse(time.DateOnly, s.Expires)
	if err != nil {
		return fmt.Errorf("expires: %q is not a date such as 2027-11-24", s.Expires)
	}
	rule, err := s.Question.parse()
	if err != nil {
		return err
	}
	limits, err := s.Limits.parse(rule)
	if err != nil {
		return err
	}
	rule.text = rule.String()
	st.Purpose, st.Question, st.Limits, st.Expires, st.expires = s.Purpose, rule, limits, expires, s.Expires
	return s.parseConditions(st)
}

// parseConditions reads under which conditions the question may be asked.
func (s statementSpec) parseConditions(st *Statement) error {
	for _, e := range s.Evidence {
		if e.Until != "" && e.Until < s.Expires {
			return fmt.Errorf("expires: %s is after %s, when its document %q ends", s.Expires, e.Until, e.Title)
		}
	}
	for _, text := range s.Sources {
		p, err := netip.ParsePrefix(text)
		if err != nil || p != p.Masked() {
			return fmt.Errorf("sources: %q is not a network such as 10.1.2.0/24", text)
		}
		st.Sources = append(st.Sources, p)
	}
	for _, o := range s.Options {
		if fold(o) == "" {
			return fmt.Errorf("options: an empty name")
		}
		st.options = append(st.options, fold(o))
	}
	for _, id := range s.Accepts {
		if !idForm.MatchString(id) {
			return fmt.Errorf("accepts: %q is no id of a statement", id)
		}
	}
	st.Options, st.Accepts, st.StopOn = s.Options, s.Accepts, s.StopOn
	switch s.ClinicalState {
	case "", "by_class":
	case "out_of_use":
		st.OutOfUse = true
	default:
		return fmt.Errorf("clinical_state: %q is not by_class or out_of_use", s.ClinicalState)
	}
	if duty := st.Question.Kind.Ending(); s.Ending != "" && s.Ending != duty {
		return fmt.Errorf("ending: a %s ends with %s, not with %q", st.Question.Kind, duty, s.Ending)
	}
	for _, stop := range s.StopOn {
		if !slices.Contains(stops(), stop) {
			return fmt.Errorf("stop_on: %q is nothing that Primum stops at; it stops at each of: %s", stop, strings.Join(stops(), " "))
		}
	}
	return nil
}

// stops is what every conversation stops at (G7, G10, D4, S9, H8), whether a statement names it or not.
func stops() []string {
	return []string{"silence", "refused", "reset", "malformed", "unexpected", "rejected", "slow"}
}

// parse checks the rule by filling it with a plausible registration.
func (r ruleSpec) parse() (QuestionRule, error) {
	if r.SNMPVersion == "2c" { // in a file a person may say so; there is one form for programs
		r.SNMPVersion = SNMPv2c
	}
	rule := QuestionRule{Kind: r.Kind, OIDs: r.OIDs, CallingAE: r.CallingAE, VersionName: r.VersionName, HL7Version: r.HL7Version, Expect: r.Expect,
		SNMPVersion: r.SNMPVersion, Auth: r.Auth, Privacy: r.Privacy, TLS: r.TLS, Messages: unspaced(r.Messages)}
	if r.Port != "site" {
		var port uint16
		if _, err := fmt.Sscanf(r.Port, "%d", &port); err != nil || port == 0 || fmt.Sprint(port) != r.Port {
			return QuestionRule{}, fmt.Errorf("question: port %q is not a port number and not site", r.Port)
		}
		rule.Port = port
	}
	if rule.Port == 0 && rule.Kind.Vendor() {
		return QuestionRule{}, fmt.Errorf("question: port: a vendor's own question names its port")
	}
	if rule.Port != 0 && NeverPort(r.Kind.Transport(), rule.Port) {
		return QuestionRule{}, fmt.Errorf("question: port %d can never be allowed (G13)", rule.Port)
	}
	probe := Endpoints{SNMPPort: 161, DICOMPort: 11112, HL7Port: 2575, AETitle: "TITLE", HL7Application: "APP", HL7Facility: "FAC", HL7Connections: 2, TLSPin: strings.Repeat("0", 64)}
	q, err := rule.Fill(probe, "SITE")
	if err != nil {
		return QuestionRule{}, err
	}
	want := q.Spec()
	for _, f := range []struct {
		name string
		kept bool
	}{
		{"oids", len(want.OIDs) == len(r.OIDs)}, {"calling_ae", want.CallingAE == r.CallingAE}, {"version_name", want.VersionName == r.VersionName},
		{"hl7_version", want.HL7Version == r.HL7Version}, {"expect", want.Expect == r.Expect}, {"snmp_version", want.SNMPVersion == r.SNMPVersion},
		{"auth", want.Auth == r.Auth}, {"privacy", want.Privacy == r.Privacy}, {"tls", (want.TLSPin != "") == r.TLS}, {"messages", len(want.Messages) == len(r.Messages)},
	} {
		if !f.kept {
			return QuestionRule{}, fmt.Errorf("question: %s: a question of the kind %s has no such field", f.name, r.Kind)
		}
	}
	return rule, nil
}

// unspaced takes the white space out of hex, which a person may write for the eye.
func unspaced(all []MessageTemplate) []MessageTemplate {
	tight := func(s string) string { return strings.Join(strings.Fields(s), "") }
	out := cloneMessages(all)
	for i := range out {
		out[i].Reply.Until = tight(out[i].Reply.Until)
		for j := range out[i].Parts {
			p := &out[i].Parts[j]
			p.Bytes, p.Mask = tight(p.Bytes), tight(p.Mask)
		}
	}
	return out
}
