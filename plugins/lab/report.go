package lab

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Report is all that the judge knows, comparable with go-cmp.
type Report struct {
	Hospital string         `json:"hospital"`
	Devices  []DeviceReport `json:"devices"`
	Totals   Totals         `json:"totals"`
	// Crowd is the fullest windows of the whole run.
	Crowd []CrowdReport `json:"crowd,omitempty"`
}

// Totals are the sums over all devices.
type Totals struct {
	// Harmed counts devices with at least one breach.
	Harmed int `json:"harmed"`
	// UnapprovedBytes, Conversations and Messages are sums.
	UnapprovedBytes int `json:"unapproved_bytes"`
	Conversations   int `json:"conversations"`
	Messages        int `json:"messages"`
}

// DeviceReport is everything that one physical device received.
type DeviceReport struct {
	Tag   string `json:"tag"`
	Name  string `json:"name"`
	Place string `json:"place"`
	// Conversations counts datagrams and connections, Connections the latter.
	Conversations int `json:"conversations"`
	Connections   int `json:"connections"`
	// Messages counts datagrams, DICOM PDUs and HL7 frames, whole or not.
	Messages int `json:"messages"`
	Octets   int `json:"octets"`
	Answered int `json:"answered"`
	// UnapprovedBytes counts octets outside the device's approved language,
	// octets outside the approved time, and octets where nothing may arrive;
	// a connection or an empty datagram there counts as one more.
	UnapprovedBytes int `json:"unapproved_bytes"`
	// SplitMessages counts messages that came in more than one TCP segment.
	SplitMessages int `json:"split_messages"`
	// EarlyReleases counts associations released before the question.
	EarlyReleases int `json:"early_releases"`
	// RefusedAnswers counts SNMP answers that found the visitor's port closed,
	// so that its kernel sent ICMP to the device (G6). It is no breach: a
	// visitor that crashed does the same.
	RefusedAnswers     int      `json:"refused_answers"`
	Breaches           []Breach `json:"breaches"`
	Fragile            bool     `json:"fragile"`
	MustReceiveNothing bool     `json:"must_receive_nothing"`
	Broken             bool     `json:"broken"`
}

// Breach is one rule that was broken, how often, and what was seen first.
type Breach struct {
	Code   Code   `json:"code"`
	Words  string `json:"words"`
	Detail string `json:"detail"`
	Count  int    `json:"count"`
}

// Harmed says whether the device took any harm.
func (d DeviceReport) Harmed() bool { return len(d.Breaches) > 0 }

// Clean says that no device was harmed and no unapproved octet arrived.
func (r Report) Clean() bool { return r.Totals.Harmed == 0 && r.Totals.UnapprovedBytes == 0 }

// Device finds the report of one asset tag.
func (r Report) Device(tag string) (DeviceReport, bool) {
	for _, d := range r.Devices {
		if d.Tag == tag {
			return d, true
		}
	}
	return DeviceReport{}, false
}

func (r *Report) add(d DeviceReport) {
	r.Devices = append(r.Devices, d)
	if d.Harmed() {
		r.Totals.Harmed++
	}
	r.Totals.UnapprovedBytes += d.UnapprovedBytes
	r.Totals.Conversations += d.Conversations
	r.Totals.Messages += d.Messages
}

// WriteTable writes the report for people.
func (r Report) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "TAG\tDEVICE\tPLACE\tCONVERSATIONS\tMESSAGES\tOCTETS\tANSWERED\tUNAPPROVED\tBROKEN\tBREACHES")
	for _, d := range r.Devices {
		words := make([]string, 0, len(d.Breaches))
		for _, b := range d.Breaches {
			text := b.Words
			if b.Count > 1 {
				text += fmt.Sprintf(" (%d times)", b.Count)
			}
			words = append(words, text)
		}
		if len(words) == 0 {
			words = append(words, "none")
		}
		broken := "no"
		if d.Broken {
			broken = "yes"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%s\t%s\n", d.Tag, d.Name, d.Place,
			d.Conversations, d.Messages, d.Octets, d.Answered, d.UnapprovedBytes, broken, strings.Join(words, "; "))
	}
	fmt.Fprintf(t, "\n%s\n", r.Totals)
	if words := crowded(r.Crowd); words != "" {
		fmt.Fprintf(t, "fullest second: %s\n", words)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// String is the last line of the report.
func (t Totals) String() string {
	return fmt.Sprintf("devices harmed %d, unapproved bytes %d, conversations %d, messages %d",
		t.Harmed, t.UnapprovedBytes, t.Conversations, t.Messages)
}
