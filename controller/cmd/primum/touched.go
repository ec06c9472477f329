package main

import (
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "primum/proto/admin/v1"
	"primum/safetylists/evidence"
)

type touchedCommand struct {
	Device  string `arg:"" help:"Asset tag."`
	Between string `required:"" placeholder:"FROM" help:"Beginning of the time, such as 2026-11-24, 2026-11-24T02:00 (here) or 2026-11-24T02:00:00Z; its end follows."`
	Until   string `arg:"" help:"End of the time, in the same forms."`
	Pcap    string `placeholder:"FILE" help:"Write the messages into this file too, as pcapng, made with mode 0600: ours without their secrets, the device's with time and length alone."`
}

func decimal(n uint64) string { return strconv.FormatUint(n, 10) }

// timeOf reads a time as people write it; one without a zone is of this machine's.
func timeOf(text string) (time.Time, error) {
	for _, form := range []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00"} {
		if at, err := time.Parse(form, text); err == nil {
			return at, nil
		}
	}
	for _, form := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly} {
		if at, err := time.ParseInLocation(form, text, time.Local); err == nil {
			return at, nil
		}
	}
	return time.Time{}, input("%q is not a time such as 2026-11-24, 2026-11-24T02:00 or 2026-11-24T02:00:00Z", text)
}

// Run tells what was sent to a device, or that nothing was.
func (c *touchedCommand) Run(e *env) error {
	from, err := timeOf(c.Between)
	if err != nil {
		return err
	}
	to, err := timeOf(c.Until)
	if err != nil {
		return err
	}
	if from.After(time.Now().Add(time.Minute)) { // the clocks may differ
		return input("the time begins at %s, which is still to come", c.Between)
	}
	if err := free(c.Pcap); err != nil {
		return err
	}
	cl, err := e.dial()
	if err != nil {
		return err
	}
	r, err := call(adminv1.NewEvidenceServiceClient(cl.conn).GetTouched, &adminv1.GetTouchedRequest{Device: within("devices", c.Device), From: timestamppb.New(from), To: timestamppb.New(to)})
	if err != nil {
		return err
	}
	if c.Pcap != "" {
		if err := e.writeCapture(c.Pcap, r); err != nil {
			return err
		}
	}
	return e.show(r, func() { e.touched(r) })
}

func (e *env) touched(r *adminv1.Touched) {
	if len(r.GetAlso()) > 0 {
		e.say("The inventory has the same device as %s too.", strings.Join(r.GetAlso(), " "))
	}
	e.around("Before", r.GetBefore())
	for _, t := range r.GetRecords() {
		e.say("%s  %s record %d  %s", when(t.GetAt()), short(t.GetAgent()), t.GetSeq(), recordWords(t))
	}
	e.around("After", r.GetAfter())
	for _, l := range r.GetLeaves() {
		by := "approved by " + none(l.GetApprovedBy())
		if l.GetStanding() != "" {
			by += " in " + l.GetStanding()
		}
		e.say("Permit %s: %s, asked for by %s, %s.", l.GetPermit(), l.GetPlan(), l.GetCaller(), by)
	}
	for _, u := range r.GetUnsure() {
		e.say("%s, %s: given to %s at %s, approved until %s; no record tells its end. %s", short(u.GetTask()), u.GetState(), short(u.GetAgent()), when(u.GetGiven()), when(u.GetCloses()), u.GetDetail())
	}
	shown := true
	for _, j := range r.GetJournals() {
		head := "no signed head stands over it"
		if h := j.GetHead(); h != nil {
			head = "signed head over " + decimal(h.GetSize()) + " records, of " + when(j.GetHeadAt())
		}
		if !j.GetShown() {
			shown = false
			head += "; it does not reach beyond the time yet, and this agent may have more to tell"
		}
		of := "no record"
		if j.GetLastSeq() >= j.GetFirstSeq() {
			of = "records " + decimal(j.GetFirstSeq()) + " to " + decimal(j.GetLastSeq())
		}
		e.say("Agent %s, journal %s: %s of the time; %s.", short(j.GetAgent()), hex.EncodeToString(j.GetIncarnation()), of, head)
	}
	switch {
	case r.GetMore():
		e.say("There are more records than these; ask for a shorter time.")
	case r.GetSent():
		e.say("Something was sent, or may have been, as above.")
	case len(r.GetUnsure()) > 0:
		e.say("No record says that anything was sent to it in this time. It may have been: see the questions above whose end is not known.")
	case shown:
		e.say("Nothing was sent to it in this time. The records named above are all there are; primum evidence export and verify show it.")
	default:
		e.say("No record says that anything was sent to it in this time. That is not shown yet: see the agents above. An agent that is connected signs a head each minute; ask again after that.")
	}
}

func (e *env) around(word string, t *adminv1.TouchRecord) {
	if t == nil {
		e.say("%s the time: no question to it has ended.", word)
		return
	}
	e.say("%s the time: %s, %s record %d: %s", word, when(t.GetAt()), short(t.GetAgent()), t.GetSeq(), recordWords(t))
}

// recordWords says a record in a line.
func recordWords(t *adminv1.TouchRecord) string {
	r, _, err := evidence.Decode(t.GetRaw())
	if err != nil {
		return t.GetKind() + ", not readable: " + err.Error()
	}
	words := []string{string(r.Kind)}
	add := func(name, value string) {
		if value != "" {
			words = append(words, strings.TrimSpace(name+" "+value))
		}
	}
	add("permit", r.Permit)
	add("to", r.Address)
	add("query", r.Query)
	add("", r.Words)
	if r.Length > 0 {
		add("octets", decimal(uint64(r.Length)))
	}
	add("SHA-256", r.Digest)
	if r.Result != nil {
		add("", strings.TrimSpace(string(r.Result.State)+" "+string(r.Result.Reason)+" "+r.Result.Detail))
		if r.Result.Uptime != nil {
			add("uptime", (time.Duration(*r.Result.Uptime) * 10 * time.Millisecond).String())
		}
		for _, f := range r.Result.Facts {
			add(f.Field, f.Value)
		}
	}
	return strings.Join(words, ", ")
}
