package lab

import (
	"encoding/hex"
	"fmt"
	"sync"
	"time"
)

// maxMessages is more than a year of visits; a device that receives more in
// one run is being flooded, and the judge stops writing down each message.
const maxMessages = 10_000

// judge counts what one physical device received, over all its services. It
// opens no socket: it is told what arrived and when.
type judge struct {
	cfg       DeviceConfig
	community string
	approved  *approvedTime
	crowd     *crowd
	broken    chan struct{} // closed when the device breaks for ever

	mu       sync.Mutex // guards everything below
	open     int        // connections open now
	pending  int        // SNMP answers under way
	spoken   bool
	last     time.Time // last octet received
	rest     time.Duration
	report   DeviceReport
	memory   snmpMemory
	controls map[string]bool
	log      []Entry
}

// Entry is one event of a device's transcript.
type Entry struct {
	At      time.Time `json:"at"`
	Service string    `json:"service"`
	From    string    `json:"from,omitempty"`
	// Event is received, answered, refused, connected, closed, reset, breach or broken.
	Event string `json:"event"`
	Hex   string `json:"hex,omitempty"`
	Note  string `json:"note,omitempty"`
}

func newJudge(cfg DeviceConfig, community string, approved *approvedTime, crowd *crowd) *judge {
	return &judge{
		cfg: cfg, community: community, approved: approved, crowd: crowd,
		broken:   make(chan struct{}),
		controls: map[string]bool{},
		report: DeviceReport{
			Tag: cfg.Tag, Name: cfg.Manufacturer + " " + cfg.Model, Place: cfg.Location,
			Fragile: cfg.Fragile, MustReceiveNothing: cfg.Nothing,
		},
	}
}

func (j *judge) write(e Entry) {
	if len(j.log) < 4*maxMessages {
		j.log = append(j.log, e)
	}
}

// harm records a breach and breaks a fragile device. The caller holds mu.
func (j *judge) harm(at time.Time, service string, b *breach) {
	if b == nil {
		return
	}
	j.write(Entry{At: at, Service: service, Event: "breach", Note: string(b.code) + ": " + b.detail})
	known := false
	for i := range j.report.Breaches {
		if j.report.Breaches[i].Code == b.code {
			j.report.Breaches[i].Count++
			known = true
		}
	}
	if !known {
		j.report.Breaches = append(j.report.Breaches,
			Breach{Code: b.code, Words: b.code.Words(), Detail: b.detail, Count: 1})
	}
	if j.cfg.Fragile && !j.report.Broken {
		j.report.Broken = true
		close(j.broken)
		j.write(Entry{At: at, Service: service, Event: "broken", Note: "will never answer again"})
	}
}

// begin judges the start of a conversation: may it be now? The caller holds
// mu. It reports whether the octets of the conversation may arrive at all.
func (j *judge) begin(at time.Time, service string, tcp, forbidden bool) (may bool) {
	may = true
	j.report.Conversations++
	if j.cfg.Nothing || forbidden {
		j.harm(at, service, &breach{CodeForbidden, service})
		may = false
	}
	if b := j.approved.breached(at, false); b != nil {
		j.harm(at, service, b)
		may = false
	}
	switch gap := at.Sub(j.last); {
	case j.open > 0 && tcp:
		j.harm(at, service, &breach{CodeSecondConnection, fmt.Sprintf("%d open already", j.open)})
	case j.open > 0 || j.pending > 0:
		j.harm(at, service, &breach{CodeConcurrent, fmt.Sprintf("%d connections open, %d answers under way", j.open, j.pending)})
	case j.spoken && gap < j.rest:
		j.harm(at, service, &breach{CodeGap, fmt.Sprintf("%s, at least %s", gap.Round(time.Millisecond), j.rest)})
	}
	j.touch(at, tcp)
	return may
}

// touch moves the moment from which the rest of the device is counted.
func (j *judge) touch(at time.Time, tcp bool) {
	j.spoken, j.last, j.rest = true, at, j.cfg.GapAfterUDP
	if tcp {
		j.rest = j.cfg.GapAfterTCP
	}
}

// received counts one message. The caller holds mu.
func (j *judge) received(at time.Time, service, from string, raw []byte) {
	j.report.Messages++
	j.report.Octets += len(raw)
	j.crowd.arrived(at, j.cfg)
	switch {
	case j.report.Messages <= maxMessages:
		j.write(Entry{At: at, Service: service, From: from, Event: "received", Hex: hex.EncodeToString(raw)})
	case j.report.Messages == maxMessages+1:
		j.harm(at, service, &breach{CodeFlood, fmt.Sprintf("more than %d messages", maxMessages)})
	}
}

// unapproved counts the octets of one message. The caller holds mu.
func (j *judge) unapproved(raw []byte) {
	// A datagram without an octet reached the device all the same.
	j.report.UnapprovedBytes += max(len(raw), 1)
}

// datagram judges one SNMP datagram; answer says whether the device, as far
// as the judge knows, would answer it. A true answer must be followed by
// answered or unanswered.
func (j *judge) datagram(at time.Time, from string, raw []byte) (req snmpRequest, answer bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	const service = "snmp"
	j.received(at, service, from, raw)
	may := j.begin(at, service, false, false)
	var wrong *breach
	if !j.cfg.Nothing {
		req, wrong = readSNMP(raw, j.community, j.cfg.SNMP.OIDs)
	}
	if !may || wrong != nil {
		j.unapproved(raw)
	}
	j.harm(at, service, wrong)
	if wrong == nil && !j.cfg.Nothing && j.report.Messages <= maxMessages {
		j.harm(at, service, j.memory.repeated(raw, req.id))
	}
	if j.report.Broken || j.cfg.Nothing || wrong != nil {
		return req, false
	}
	j.pending++
	return req, true
}

// answered counts an answer. It is called before the answer leaves, so that a
// visitor who has it finds it counted.
func (j *judge) answered(at time.Time, service string, raw []byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.report.Answered++
	if j.report.Answered <= maxMessages {
		j.write(Entry{At: at, Service: service, Event: "answered", Hex: hex.EncodeToString(raw)})
	}
}

// settled says that a datagram's answer is no longer under way. It is called
// before the answer leaves: who has it may go on.
func (j *judge) settled() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.pending--
}

// unreachable counts an answer that found the visitor's port closed.
func (j *judge) unreachable(at time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.report.RefusedAnswers++
	j.write(Entry{At: at, Service: "snmp", Event: "refused", Note: "the visitor's port was closed before the answer came"})
}

func (j *judge) answers() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.report.Answered
}

func (j *judge) isBroken() bool {
	select {
	case <-j.broken:
		return true
	default:
		return false
	}
}

// controlUsed remembers an HL7 control id and says whether it came before.
func (j *judge) controlUsed(id string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	used := j.controls[id]
	if len(j.controls) < maxMessages {
		j.controls[id] = true
	}
	return used
}

// snapshot is the report of this device, sharing nothing with the judge.
func (j *judge) snapshot() DeviceReport {
	j.mu.Lock()
	defer j.mu.Unlock()
	r := j.report
	r.Breaches = append([]Breach(nil), r.Breaches...)
	return r
}

func (j *judge) transcript() []Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]Entry(nil), j.log...)
}

// visit is one TCP connection as the judge sees it.
type visit struct {
	j         *judge
	service   string
	from      string
	forbidden bool
	may       bool
	messages  int
}

// connected judges a new connection.
func (j *judge) connected(at time.Time, service, from string, forbidden bool) *visit {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.report.Connections++
	j.crowd.arrived(at, j.cfg)
	j.write(Entry{At: at, Service: service, From: from, Event: "connected"})
	v := &visit{j: j, service: service, from: from, forbidden: forbidden || j.cfg.Nothing}
	v.may = j.begin(at, service, true, forbidden)
	if !v.may {
		// A connection is felt even when no octet follows: it counts as one.
		j.report.UnapprovedBytes++
	}
	j.open++
	return v
}

// message counts one message of a connection, with the breach that the
// language found in it; closing is true for one that only ends it.
func (v *visit) message(at time.Time, raw []byte, segments int, wrong *breach, history *breach, closing bool) {
	j := v.j
	j.mu.Lock()
	defer j.mu.Unlock()
	v.messages++
	j.received(at, v.service, v.from, raw)
	late := j.approved.breached(at, closing)
	if wrong != nil || late != nil || v.forbidden {
		j.unapproved(raw)
	}
	if segments > 1 {
		j.report.SplitMessages++
	}
	j.touch(at, true)
	j.harm(at, v.service, late)
	j.harm(at, v.service, wrong)
	j.harm(at, v.service, history)
}

// note records a breach that is no message, such as a missing release.
func (v *visit) note(at time.Time, b *breach) {
	v.j.mu.Lock()
	defer v.j.mu.Unlock()
	v.j.harm(at, v.service, b)
}

// earlyRelease counts an association that was released before its question:
// what a visitor does that is told to stop in the middle.
func (v *visit) earlyRelease() {
	v.j.mu.Lock()
	defer v.j.mu.Unlock()
	v.j.report.EarlyReleases++
}

// hungUp judges the end that the visitor made of a connection.
func (v *visit) hungUp(at time.Time, reset bool, b *breach) {
	j := v.j
	j.mu.Lock()
	defer j.mu.Unlock()
	j.crowd.arrived(at, j.cfg)
	broken := j.report.Broken
	if reset {
		j.write(Entry{At: at, Service: v.service, From: v.from, Event: "reset"})
		j.harm(at, v.service, &breach{CodeReset, "after " + fmt.Sprint(v.messages) + " messages"})
	} else {
		j.write(Entry{At: at, Service: v.service, From: v.from, Event: "closed"})
	}
	if v.messages == 0 && !v.forbidden && !broken {
		j.harm(at, v.service, &breach{CodeEmpty, "no message on the connection"})
	}
	// The kernel's FIN may still come a moment after the end, no later.
	j.harm(at, v.service, j.approved.breached(at, true))
	j.harm(at, v.service, b)
}

// over says that the connection is no longer open.
func (v *visit) over() {
	v.j.mu.Lock()
	defer v.j.mu.Unlock()
	v.j.open--
}
