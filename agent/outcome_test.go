package agent

import (
	"testing"
	"time"

	"primum/agent/internal/pluginhost"
	"primum/agent/internal/task"
	"primum/agent/internal/wire"
	probev1 "primum/proto/probe/v1"
	"primum/safetylists/evidence"
	"primum/safetylists/frame"
)

// What wire saw comes before what the probe claims (B11).
func TestAProbeMakesNoAnswerOfASilence(t *testing.T) {
	lie := pluginhost.Result{Status: probev1.Result_STATUS_ANSWERED}
	for name, c := range map[string]struct {
		seen wire.Summary
		want evidence.State
	}{
		"no reply came":                {wire.Summary{End: wire.TimedOut, Messages: 1}, evidence.Absent},
		"the device closed":            {wire.Summary{End: wire.ClosedByDevice, Connected: true, Messages: 1, Replies: 1}, evidence.Distress},
		"the reply was broken":         {wire.Summary{End: wire.BadReply, Messages: 1, Replies: 1}, evidence.Distress},
		"bytes that nobody approved":   {wire.Summary{End: wire.Breach}, evidence.Incident},
		"a hold came":                  {wire.Summary{End: wire.Halted, Messages: 1}, evidence.Stopped},
		"it was not complete":          {wire.Summary{End: wire.Running, Messages: 1, Replies: 1}, evidence.Unknown},
		"our own side failed midway":   {wire.Summary{End: wire.Local, Messages: 1}, evidence.Unknown},
		"our own side failed before":   {wire.Summary{End: wire.Local}, evidence.Refused},
		"an answer, as the probe says": {wire.Summary{End: wire.Complete, Messages: 1, Replies: 1}, evidence.Answered},
	} {
		c.seen.Asked = time.Unix(1, 0)
		if got := outcome(task.Task{}, c.seen, lie, nil); got.State != c.want || (got.State != evidence.Answered && len(got.Facts) > 0) {
			t.Errorf("%s: %s, not %s", name, got.State, c.want)
		}
	}
	// Each cause that DESIGN 6.6 sorts, seen over a connection. Vital signs are in TestAnAnswerTellsWhetherTheDeviceIsAsItWas.
	for name, c := range map[string]struct {
		seen  wire.Summary
		claim probev1.Result_Status
		want  evidence.State
	}{
		"unplugged":                          {wire.Summary{End: wire.TimedOut}, 0, evidence.Absent},
		"nobody listens there":               {wire.Summary{End: wire.ClosedByDevice, Refused: true}, 0, evidence.Absent},
		"it takes the connection and sleeps": {wire.Summary{End: wire.TimedOut, Connected: true, Messages: 1}, 0, evidence.Absent},
		"silence after an answer":            {wire.Summary{End: wire.TimedOut, Connected: true, Messages: 2, Replies: 1}, 0, evidence.Distress},
		"reset before an answer":             {wire.Summary{End: wire.ClosedByDevice, Connected: true, Messages: 1}, 0, evidence.Distress},
		"reset after an answer":              {wire.Summary{End: wire.ClosedByDevice, Connected: true, Messages: 2, Replies: 1}, 0, evidence.Distress},
		"aborted at our name":                {wire.Summary{End: wire.ClosedByDevice, Connected: true, Messages: 2, Replies: 2, Event: frame.EventAborted}, 0, evidence.Declined},
		"aborted at once":                    {wire.Summary{End: wire.ClosedByDevice, Connected: true, Messages: 1, Replies: 1, Event: frame.EventAborted}, 0, evidence.Distress},
		"rejected for good":                  {wire.Summary{End: wire.Complete, Messages: 1, Replies: 1, Event: frame.EventRejected}, probev1.Result_STATUS_DECLINED, evidence.Declined},
		"rejected for now":                   {wire.Summary{End: wire.Complete, Messages: 1, Replies: 1, Event: frame.EventRejected}, probev1.Result_STATUS_BUSY, evidence.Busy},
		"busy, as the probe alone says":      {wire.Summary{End: wire.Complete, Messages: 1, Replies: 1}, probev1.Result_STATUS_BUSY, evidence.Distress},
		"rejected, and the probe denies it":  {wire.Summary{End: wire.Complete, Messages: 1, Replies: 1, Event: frame.EventRejected}, probev1.Result_STATUS_ANSWERED, evidence.Declined},
		"malformed":                          {wire.Summary{End: wire.BadReply, Messages: 1, Replies: 1}, 0, evidence.Distress},
		"a credential that it does not take": {wire.Summary{End: wire.Complete, Messages: 1, Replies: 1, Credential: true}, 0, evidence.Incident},
		"another engine":                     {wire.Summary{End: wire.Complete, Messages: 1, Replies: 1, NewEngine: true}, 0, evidence.Incident},
	} {
		if got := outcome(task.Task{}, c.seen, pluginhost.Result{Status: c.claim}, nil); got.State != c.want {
			t.Errorf("%s: %s, not %s", name, got.State, c.want)
		}
	}
	silent := pluginhost.Result{}
	if got := outcome(task.Task{}, wire.Summary{End: wire.Complete, Messages: 1, Replies: 1}, silent, nil); got.State != evidence.Distress {
		t.Errorf("a probe that says nothing: %s", got.State)
	}
}
