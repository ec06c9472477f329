package permit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	list "primum/safetylists"
	"primum/safetylists/budget"
)

// Digest names one text: SHA-256 of its canonical bytes.
type Digest [sha256.Size]byte

// String returns the digest in hex.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// IsZero reports whether the digest was never set.
func (d Digest) IsZero() bool { return d == Digest{} }

// ParseDigest reads the hex form.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(d) {
		return Digest{}, fmt.Errorf("digest %q is not 64 hex digits", s)
	}
	copy(d[:], b)
	return d, nil
}

// MarshalText writes the hex form.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the hex form.
func (d *Digest) UnmarshalText(b []byte) error {
	parsed, err := ParseDigest(string(b))
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}

// Origin says what a plan is for.
type Origin string

// The origins.
const (
	FromWindow Origin = "window"    // one occurrence of an approved time
	OnDemand   Origin = "on-demand" // one call of another tool
)

const (
	planSchema     = "primum-plan/1"
	standingSchema = "primum-standing/1"
	// MaxPlan bounds a plan document, in octets.
	MaxPlan = 16 << 20
)

// Plan is what one occurrence of a window, or one on-demand call, would do: every item with its
// exact question, and every refusal. Making one sends nothing. Its digest is what approvers sign.
type Plan struct {
	Schema   string        `json:"schema"`
	ID       string        `json:"id"`
	Site     string        `json:"site"`
	Origin   Origin        `json:"origin"`
	Caller   string        `json:"caller"` // "windows/NAME", or the tool that called
	Opens    time.Time     `json:"opens"`  // approved time, UTC, whole milliseconds
	Closes   time.Time     `json:"closes"`
	List     Digest        `json:"list"` // of the list release it was decided on
	Made     time.Time     `json:"made"`
	Items    []Item        `json:"items"`
	Refusals []PlanRefusal `json:"refusals"`
}

// Item is one question to one device. Its number in the plan is its index in Items.
type Item struct {
	Device     list.Device  `json:"device"`
	Query      list.Query   `json:"query"`
	Limits     list.Limits  `json:"limits"`
	Purpose    list.Purpose `json:"purpose"`
	Statements []string     `json:"statements"`
}

// PlanRefusal is one question that will not be asked, or a device without any.
type PlanRefusal struct {
	Device     string      `json:"device"` // asset tag
	Name       string      `json:"name"`
	Place      string      `json:"place,omitempty"`
	Question   string      `json:"question,omitempty"` // for people
	Reason     list.Reason `json:"reason"`
	Detail     string      `json:"detail,omitempty"`
	Statements []string    `json:"statements,omitempty"`
}

// Busy is about how long the plan takes at most: a device is asked one question after the other, each
// answered late and followed by its gap (G8), devices are asked side by side as far as the budgets of a real site let
// them. What is new to a model goes in waves, and their watch comes to it.
func (p Plan) Busy() time.Duration {
	busy, gap := map[string]time.Duration{}, map[string]time.Duration{}
	var longest time.Duration
	visits := make([]budget.Visit, 0, len(p.Items))
	for _, it := range p.Items {
		// none is started that could not have its whole cap before the end (G8), so the last one counts with it
		longest = max(longest, busy[it.Device.ID]+gap[it.Device.ID]+max(it.Limits.Reply, it.Limits.Cap))
		busy[it.Device.ID] += gap[it.Device.ID] + it.Limits.Reply
		gap[it.Device.ID] = it.Limits.Gap
		visits = append(visits, budget.Visit{Device: it.Device, Site: p.Site, Packets: budget.Charge(it.Query, it.Limits)})
	}
	return longest + budget.Takes(visits, list.Real)
}

// Encode returns the canonical bytes of the plan.
func (p Plan) Encode() ([]byte, error) {
	p.Schema = planSchema
	return canonical(p)
}

// DecodePlan reads canonical bytes and returns the plan with its digest. Bytes that are not exactly
// what Encode writes are refused, so that one digest is one plan.
func DecodePlan(b []byte) (Plan, Digest, error) {
	if len(b) > MaxPlan {
		return Plan{}, Digest{}, fmt.Errorf("plan of %d octets is larger than %d", len(b), MaxPlan)
	}
	var p Plan
	if err := decodeCanonical(b, &p); err != nil {
		return Plan{}, Digest{}, fmt.Errorf("read plan: %w", err)
	}
	if p.Schema != planSchema {
		return Plan{}, Digest{}, fmt.Errorf("read plan: schema is %q, not %s", p.Schema, planSchema)
	}
	if !p.Opens.Before(p.Closes) {
		return Plan{}, Digest{}, fmt.Errorf("read plan: it closes before it opens")
	}
	return p, sha256.Sum256(b), nil
}

// Signature is one person's signature on a paper.
type Signature struct {
	By  string `json:"by"`  // name of the approver in the site file
	Sig []byte `json:"sig"` // Ed25519, 64 octets
}

// Standing is a standing approval: leave for a caller to have the named allowances used within a
// scope, up to a daily budget, until an end at most 30 days away (DESIGN 6.5).
type Standing struct {
	Schema     string    `json:"schema"`
	ID         string    `json:"id"`
	Site       string    `json:"site"`
	Caller     string    `json:"caller"`
	Devices    []string  `json:"devices"`    // asset tags; one "*" is every device of the site
	Statements []string  `json:"statements"` // ids of the allowances
	List       Digest    `json:"list"`
	From       time.Time `json:"from"`
	Until      time.Time `json:"until"`
	PerDay     int       `json:"per_day"` // questions in 24 hours, at least 1
}

// AllDevices among the devices of a standing approval is every device of the site. Allowances have no such
// word: each is named, so that a new one is not approved unread.
const AllDevices = "*"

// MaxStanding is the longest life of a standing approval.
const MaxStanding = 30 * 24 * time.Hour

// Encode returns the canonical bytes, which is what approvers sign.
func (s Standing) Encode() ([]byte, error) {
	s.Schema = standingSchema
	return canonical(s)
}

// DecodeStanding reads canonical bytes.
func DecodeStanding(b []byte) (Standing, Digest, error) {
	var s Standing
	if err := decodeCanonical(b, &s); err != nil {
		return Standing{}, Digest{}, fmt.Errorf("read standing approval: %w", err)
	}
	switch {
	case s.Schema != standingSchema:
		return Standing{}, Digest{}, fmt.Errorf("read standing approval: schema is %q, not %s", s.Schema, standingSchema)
	case !s.From.Before(s.Until) || s.Until.Sub(s.From) > MaxStanding:
		return Standing{}, Digest{}, fmt.Errorf("read standing approval: it lasts more than 30 days, or ends before it begins")
	case s.PerDay < 1 || s.Caller == "" || len(s.Devices) == 0 || len(s.Statements) == 0:
		return Standing{}, Digest{}, fmt.Errorf("read standing approval: caller, devices, statements and a daily budget are required")
	}
	return s, sha256.Sum256(b), nil
}

// Covers reports why the standing approval does not cover a plan at a moment; nil when it does. The
// daily budget is counted by the agent, from its own journal.
func (s Standing) Covers(p Plan, at time.Time) *list.Refusal {
	refuse := func(detail string) *list.Refusal { return list.Refuse(list.PlanNotApproved, detail) }
	switch {
	case s.Site != p.Site:
		return refuse("the standing approval is for site " + s.Site)
	case s.Caller != p.Caller:
		return refuse("the standing approval is for " + s.Caller)
	case s.List != p.List:
		return refuse("the standing approval names another list release")
	case at.Before(s.From) || !at.Before(s.Until) || p.Closes.After(s.Until):
		return refuse("the standing approval is not valid at this time")
	}
	for _, item := range p.Items {
		if !slices.Contains(s.Devices, item.Device.ID) && !slices.Contains(s.Devices, AllDevices) {
			return refuse("the standing approval does not name device " + item.Device.ID)
		}
		if r := s.Names(item.Statements); r != nil {
			return r
		}
	}
	return nil
}

// Names reports why the standing approval does not name every one of the allowances; nil when it does. No
// allowance at all is not named.
func (s Standing) Names(statements []string) *list.Refusal {
	if len(statements) == 0 {
		return list.Refuse(list.PlanNotApproved, "the plan names no allowance for a question")
	}
	for _, id := range statements {
		if !slices.Contains(s.Statements, id) {
			return list.Refuse(list.PlanNotApproved, "the standing approval does not name allowance "+id)
		}
	}
	return nil
}

// canonical writes JSON in field order without escapes for HTML.
func canonical(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("write canonical form: %w", err)
	}
	return b.Bytes(), nil
}

func decodeCanonical(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("more after the end of the document")
	}
	again, err := canonical(into)
	if err != nil {
		return err
	}
	if !bytes.Equal(b, again) {
		return fmt.Errorf("not in canonical form")
	}
	return nil
}
