package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	list "primum/safetylists"
)

// Hash is the SHA-256 of a record's canonical bytes.
type Hash [sha256.Size]byte

// MarshalText writes hex.
func (h Hash) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h[:])), nil }

// UnmarshalText reads hex.
func (h *Hash) UnmarshalText(b []byte) error {
	raw, err := hex.DecodeString(string(b))
	if err != nil || len(raw) != len(h) {
		return fmt.Errorf("hash %q is not 64 hex digits", b)
	}
	copy(h[:], raw)
	return nil
}

// Kind says what a record tells.
type Kind string

// The kinds.
const (
	Begun    Kind = "begun"     // first record of a journal; names its incarnation
	Session  Kind = "session"   // an epoch was accepted
	Received Kind = "received"  // a work order with its permits
	Started  Kind = "started"   // a permit was consumed: from here on a byte may have been sent
	Sent     Kind = "sent"      // one message, after its last octet
	Got      Kind = "got"       // one reply
	Outcome  Kind = "outcome"   // the end of one task
	HoldSeen Kind = "hold"      // a hold version came into force
	ListSeen Kind = "list"      // a list release came into use
	Cleared  Kind = "cleared"   // a person cleared a quarantined device
	SiteStop Kind = "site_stop" // a person at the site stopped this agent
	SiteGo   Kind = "site_go"   // a person at the site let it ask again

	PutAside Kind = "put_aside" // a person had the journal before this one put aside

	PluginFault   Kind = "plugin_fault"   // a plugin failed: died, hung, flooded, broke its contract, proposed what nobody approved
	PluginBarred  Kind = "plugin_barred"  // this version of a plugin was put aside on this agent
	PluginCleared Kind = "plugin_cleared" // a person let it start again
)

// State is the named end of a task.
type State string

// The ends of a task (DESIGN 6.6). Unknown is what a crash between Started and Outcome leaves: it is
// reported as such and never asked again by itself.
const (
	Answered State = "ANSWERED"
	Absent   State = "ABSENT"
	Busy     State = "BUSY"
	Declined State = "DECLINED"
	Distress State = "DISTRESS"
	Refused  State = "REFUSED"
	Incident State = "INCIDENT"
	Stopped  State = "STOPPED"
	Unknown  State = "UNKNOWN"
)

// Record is one entry. Which fields are set depends on the kind.
type Record struct {
	Seq  uint64    `json:"seq"`
	Prev Hash      `json:"prev"`
	At   time.Time `json:"at"` // wall clock of the agent, UTC, whole microseconds
	Kind Kind      `json:"kind"`

	Incarnation string `json:"incarnation,omitempty"` // Begun: 32 hex digits
	Epoch       uint64 `json:"epoch,omitempty"`       // Session, Received
	Version     uint64 `json:"version,omitempty"`     // HoldSeen, ListSeen: number

	Order   string   `json:"order,omitempty"`
	Plan    string   `json:"plan,omitempty"`    // Received: digest of the plan
	Permits [][]byte `json:"permits,omitempty"` // Received

	Ordinal uint32 `json:"ordinal,omitempty"`
	Permit  string `json:"permit,omitempty"` // Started and after: id of the permit
	Device  string `json:"device,omitempty"` // asset tag
	Address string `json:"address,omitempty"`
	Port    uint16 `json:"port,omitempty"`    // Started
	MAC     string `json:"mac,omitempty"`     // Started: of the device, as the inventory has it
	GapMS   int64  `json:"gap_ms,omitempty"`  // Started: least milliseconds to the next conversation
	RestMS  int64  `json:"rest_ms,omitempty"` // Started: least milliseconds to the same question
	Caller  string `json:"caller,omitempty"`  // Started: who had it asked
	Query   string `json:"query,omitempty"`   // Started: for people
	Plugin  string `json:"plugin,omitempty"`  // Plugin...: name and version
	Digest  string `json:"digest,omitempty"`  // Sent, Got: SHA-256 of the message, secrets blanked; ListSeen: of the release; Plugin...: of the binary
	Length  int    `json:"length,omitempty"`  // Sent, Got: octets
	Octets  []byte `json:"octets,omitempty"`  // Sent: the message, secrets blanked; none where it cannot be shown without them
	Words   string `json:"words,omitempty"`   // Sent: what the message is; Plugin...: what happened

	Result *Result `json:"result,omitempty"` // Outcome
}

// Result is how a task ended.
type Result struct {
	State      State       `json:"state"`
	Reason     list.Reason `json:"reason,omitempty"` // Refused, Stopped, Incident
	Detail     string      `json:"detail,omitempty"`
	Seen       string      `json:"seen,omitempty"` // ADDRESS_MOVED: the address of the device's own network card now, if known
	Statements []string    `json:"statements,omitempty"`
	Facts      []Fact      `json:"facts,omitempty"`
	Attributes []Attribute `json:"attributes,omitempty"`
	Uptime     *uint32     `json:"uptime,omitempty"` // hundredths of a second
	Asked      time.Time   `json:"asked,omitzero"`   // first octet
	TookUS     int64       `json:"took_us,omitempty"`
	Messages   int         `json:"messages,omitempty"`
	Octets     int         `json:"octets,omitempty"`
	Plugin     string      `json:"plugin,omitempty"`     // name and version
	Sandbox    string      `json:"sandbox,omitempty"`    // how well the plugin was confined
	Credential string      `json:"credential,omitempty"` // device, kind and digest of the sealed one that was used, never its content
	Engine     *Engine     `json:"engine,omitempty"`     // SNMPv3: what the engine has said of itself
}

// Touched reports whether the device may have received something. Only a task that was refused or stopped
// before its first octet or SYN has left its device alone; one that was stopped in the middle has not.
func (r Result) Touched() bool {
	before := r.State == Refused || r.State == Stopped
	return !before || r.Messages > 0 || !r.Asked.IsZero()
}

// Engine is the state of an SNMPv3 engine as a verified reply told it (RFC 3414 2.2).
type Engine struct {
	ID    string `json:"id"` // snmpEngineID, hex
	Boots uint32 `json:"boots"`
	Time  uint32 `json:"time"` // seconds
}

// Fact is one claim of identity, with the protocol field it came from.
type Fact struct {
	Field  string `json:"field"`
	Value  string `json:"value"`
	Origin string `json:"origin"`
}

// Attribute is one protocol code.
type Attribute struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// MaxRecord bounds one record, in octets: a receipt of 100 permits fits.
const MaxRecord = 128 << 10

// ErrForm says that bytes are no record in canonical form.
var ErrForm = errors.New("not a record in canonical form")

// Encode returns the canonical bytes and their hash.
func (r Record) Encode() ([]byte, Hash, error) {
	r.At = r.At.UTC().Truncate(time.Microsecond)
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(r); err != nil {
		return nil, Hash{}, fmt.Errorf("write record: %w", err)
	}
	if b.Len() > MaxRecord {
		return nil, Hash{}, fmt.Errorf("write record: %d octets; at most %d", b.Len(), MaxRecord)
	}
	return b.Bytes(), sha256.Sum256(b.Bytes()), nil
}

// Decode reads canonical bytes. It fails with ErrForm on anything that Encode does not write.
func Decode(b []byte) (Record, Hash, error) {
	r, hash, err := Reread(b)
	if err != nil {
		return Record{}, Hash{}, err
	}
	again, _, err := r.Encode()
	if err != nil || !bytes.Equal(b, again) {
		return Record{}, Hash{}, fmt.Errorf("read record: %w", ErrForm)
	}
	return r, hash, nil
}

// Reread is Decode of bytes that Encode has written here: that they are canonical it does not look at again, which takes a third
// of the time. Who wrote them, and that nothing has changed, has to be known from elsewhere.
func Reread(b []byte) (Record, Hash, error) {
	if len(b) > MaxRecord {
		return Record{}, Hash{}, fmt.Errorf("read record: %d octets: %w", len(b), ErrForm)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	var r Record
	if err := d.Decode(&r); err != nil {
		return Record{}, Hash{}, fmt.Errorf("read record: %w: %w", ErrForm, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return Record{}, Hash{}, fmt.Errorf("read record: more after its end: %w", ErrForm)
	}
	return r, sha256.Sum256(b), nil
}
