package agent

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"primum/agent/internal/guard"
	"primum/agent/internal/papertest"
	"primum/safetylists/evidence"
)

// G10, G11, DESIGN 6.6: a device that is much slower than it was, or that started anew soon after it was asked, is in
// distress; one that was carried away, switched off and on, or never asked before is not.
func TestAnAnswerTellsWhetherTheDeviceIsAsItWas(t *testing.T) {
	now := time.Date(2026, 11, 27, 3, 0, 0, 0, time.UTC)
	asked := func(ago time.Duration) time.Time { return now.Add(-ago) }
	up := func(d time.Duration) *uint32 {
		n := uint32(uint64(d / (10 * time.Millisecond))) // as the counter wraps
		return &n
	}
	day := 24 * time.Hour
	engine := func(boots uint32, time uint32) *evidence.Engine {
		return &evidence.Engine{ID: "80", Boots: boots, Time: time}
	}
	for name, c := range map[string]struct {
		is     evidence.Result
		before guard.Vitals
		want   evidence.State
	}{
		"never asked":                       {evidence.Result{State: evidence.Answered, TookUS: 1_900_000, Uptime: up(time.Second)}, guard.Vitals{}, evidence.Answered},
		"never asked, and slow":             {evidence.Result{State: evidence.Answered, TookUS: 2_000_001}, guard.Vitals{}, evidence.Distress},
		"as it was":                         {evidence.Result{State: evidence.Answered, TookUS: 20_000, Uptime: up(40 * day)}, guard.Vitals{Sent: asked(day), Baseline: 20 * time.Millisecond}, evidence.Answered},
		"100 times as slow, and quick":      {evidence.Result{State: evidence.Answered, TookUS: 2_000_000}, guard.Vitals{Sent: asked(day), Baseline: 20 * time.Millisecond}, evidence.Answered},
		"slower than 2 s":                   {evidence.Result{State: evidence.Answered, TookUS: 2_000_001}, guard.Vitals{Sent: asked(day), Baseline: 20 * time.Millisecond}, evidence.Distress},
		"slow, as it always was":            {evidence.Result{State: evidence.Answered, TookUS: 4_400_000}, guard.Vitals{Sent: asked(day), Baseline: 1500 * time.Millisecond}, evidence.Answered},
		"three times as slow":               {evidence.Result{State: evidence.Answered, TookUS: 4_600_000}, guard.Vitals{Sent: asked(day), Baseline: 1500 * time.Millisecond}, evidence.Distress},
		"slow, and declined":                {evidence.Result{State: evidence.Declined, TookUS: 3_000_000}, guard.Vitals{Sent: asked(day)}, evidence.Distress},
		"started a minute after":            {evidence.Result{State: evidence.Answered, Uptime: up(day - time.Minute)}, guard.Vitals{Sent: asked(day)}, evidence.Distress},
		"started within the hour":           {evidence.Result{State: evidence.Answered, Uptime: up(day - 59*time.Minute)}, guard.Vitals{Sent: asked(day)}, evidence.Distress},
		"switched on twelve hours after":    {evidence.Result{State: evidence.Answered, Uptime: up(12 * time.Hour)}, guard.Vitals{Sent: asked(day)}, evidence.Answered},
		"started an hour before":            {evidence.Result{State: evidence.Answered, Uptime: up(day + time.Hour)}, guard.Vitals{Sent: asked(day)}, evidence.Answered},
		"started just before":               {evidence.Result{State: evidence.Answered, Uptime: up(day + 10*time.Second)}, guard.Vitals{Sent: asked(day)}, evidence.Answered},
		"its counter has wrapped":           {evidence.Result{State: evidence.Answered, Uptime: up(1<<32*10*time.Millisecond + 23*time.Hour + 30*time.Minute)}, guard.Vitals{Sent: asked(day), Uptime: up(1<<32*10*time.Millisecond - 30*time.Minute), Told: asked(day)}, evidence.Answered},
		"it told of a long time, and began": {evidence.Result{State: evidence.Answered, Uptime: up(23*time.Hour + 30*time.Minute)}, guard.Vitals{Sent: asked(day), Uptime: up(400 * day), Told: asked(day)}, evidence.Distress},
		"another question in the same hour": {evidence.Result{State: evidence.Answered, Uptime: up(3 * time.Second)}, guard.Vitals{Sent: asked(time.Minute)}, evidence.Distress},
		"absent":                            {evidence.Result{State: evidence.Absent, TookUS: 5_000_000}, guard.Vitals{Sent: asked(day), Baseline: time.Millisecond}, evidence.Absent},
		"refused, where it answered":        {evidence.Result{State: evidence.Absent}, guard.Vitals{Sent: asked(day), Baseline: time.Millisecond}, evidence.Distress},
		"refused, where it never answered":  {evidence.Result{State: evidence.Absent}, guard.Vitals{Sent: asked(day)}, evidence.Absent},
		"refused, never asked":              {evidence.Result{State: evidence.Absent}, guard.Vitals{}, evidence.Absent},
		"busy":                              {evidence.Result{State: evidence.Busy, TookUS: 5_000_000}, guard.Vitals{Sent: asked(day)}, evidence.Busy},
		"its engine started anew":           {evidence.Result{State: evidence.Answered, Engine: engine(8, 86_300)}, guard.Vitals{Sent: asked(day), Engine: engine(7, 9)}, evidence.Distress},
		"its engine, the day after":         {evidence.Result{State: evidence.Answered, Engine: engine(8, 3600)}, guard.Vitals{Sent: asked(day), Engine: engine(7, 9)}, evidence.Answered},
		"its engine goes on":                {evidence.Result{State: evidence.Answered, Engine: engine(7, 86_409)}, guard.Vitals{Sent: asked(day), Engine: engine(7, 9)}, evidence.Answered},
	} {
		if got := alive(c.is, strings.HasPrefix(name, "refused"), c.before, now); got.State != c.want || (got.State != c.is.State) != (got.Detail != "" && got.Reason != "") {
			t.Errorf("%s: %s %q, not %s", name, got.State, got.Detail, c.want)
		}
	}
}

// G10: an engine that answers in proper form, and only after more than 2 s, is left alone from then on.
func TestADeviceThatAnswersTooSlowlyIsLeftAlone(t *testing.T) {
	peer(t, "127.0.0.1:12586", func(conn net.Conn) {
		buf := make([]byte, 4096)
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		time.Sleep(2200 * time.Millisecond) // it labours
		id := strings.Split(string(buf[:n]), "|")[9]
		_, _ = fmt.Fprintf(conn, "\x0bMSH|^~\\&|A|F|PRIMUM|SITE|20260101000000||ACK|1|T|2.5.1\rMSA|AA|%s\r\x1c\r", id) // the outcome shows it
		_, _ = conn.Read(buf)
	})
	p := papertest.Make(t, time.Now(), papertest.Options{Address: netip.MustParseAddrPort("127.0.0.1:12586"), Question: `{kind: hl7.ack, port: "12586", hl7_version: 2.5.1, expect: AA}`})
	h := newAgent(t, p, nil)
	h.hand()
	h.order(p.Permit(t, nil))
	if got := h.outcome(); got.State != evidence.Distress || got.Messages != 1 || !strings.Contains(got.Detail, "it answered after 2.") {
		t.Errorf("%+v", got)
	}
	if !h.guard.Distressed("10-1", h.records()[len(h.records())-1].Permit) {
		t.Error("it is not left alone")
	}
}

// DESIGN 6.6: a device that is there and refuses where it answered before has lost its service, and is left alone; by
// TCP and by UDP, with one question sent and no second one.
func TestADeviceThatRefusesWhereItAnsweredIsLeftAlone(t *testing.T) {
	for name, question := range map[string]string{"tcp": `{kind: dicom.echo, port: "12588", calling_ae: PRIMUM}`, "udp": `{kind: snmp.get, port: "12588", oids: [1.3.6.1.2.1.1.1.0]}`} {
		t.Run(name, func(t *testing.T) {
			seen := startCapture(t, "port 12588")
			p := papertest.Make(t, time.Now(), papertest.Options{Address: netip.MustParseAddrPort("127.0.0.1:12588"), Question: question})
			h := newAgent(t, p, nil)
			h.hand()
			ago := time.Now().Add(-25 * time.Hour)
			h.mu.Lock()
			_, err := h.note(evidence.Record{At: ago, Kind: evidence.Started, Permit: "aa", Device: "10-1", Query: p.Plan.Items[0].Query.String()},
				evidence.Record{At: ago, Kind: evidence.Outcome, Permit: "aa", Device: "10-1", Result: &evidence.Result{State: evidence.Answered, TookUS: 900}})
			h.mu.Unlock()
			if err != nil {
				t.Fatal(err)
			}
			h.order(p.Permit(t, nil))
			last := evidence.Record{}
			for end := time.Now().Add(20 * time.Second); last.Result == nil && time.Now().Before(end); {
				grown := h.journal.Grown()
				if r := h.records(); r[len(r)-1].Kind == evidence.Outcome && r[len(r)-1].Permit != "aa" {
					last = r[len(r)-1]
					continue
				}
				select {
				case <-grown:
				case <-time.After(time.Second):
				}
			}
			if last.Result == nil || last.Result.State != evidence.Distress || !h.guard.Distressed("10-1", last.Permit) {
				t.Errorf("%+v", last.Result)
			}
			if lines := seen.lines(); count(lines, `> 127\.0\.0\.1\.12588: `) != 1 {
				t.Errorf("on the wire:\n%s", strings.Join(lines, "\n"))
			}
		})
	}
}
