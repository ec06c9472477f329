package api

import (
	"strings"
	"testing"
	"time"

	"primum/controller/internal/store"
)

// Who asks why a device is not asked reads of a distress under its other tag, which one to clear, and that it was cleared.
func TestADeviceThatIsLeftAloneUnderItsOtherTagSaysSo(t *testing.T) {
	a := telling(t)
	ctx := t.Context()
	ag := a.session("0123456789abcdef")
	p := store.Plan{Name: "p", Caller: "windows/w", Agent: "icu", Opens: a.now, Closes: a.now.Add(time.Hour), Digest: []byte{1}, List: []byte{2}, Document: []byte{3}, State: store.Approved}
	r := store.Run{Name: "r", Plan: "p", Caller: p.Caller, Agent: "icu", Opens: p.Opens, Closes: p.Closes, State: "PENDING", Planned: 1}
	a.must(a.Store.Fire(ctx, r, []store.Task{{Run: "r", Device: "10-7", Kind: "snmp.get", Question: "q", State: "QUEUED"}}, &p, nil, store.Audit{At: a.now}))
	a.must(a.Store.Dispatch(ctx, store.Order{ID: "o", Run: "r", Agent: "icu", Epoch: ag.Epoch}, []store.Sending{{Item: 0, Permit: "p0"}}, a.now))
	a.must(a.Store.TakeRecords(ctx, store.Batch{Agent: "icu", Epoch: ag.Epoch, Incarnation: ag.Incarnation, To: 1, Hash: []byte("h"), At: a.now,
		Outcomes: []store.Outcome{{Order: "o", Permit: "p0", Device: "10-7", State: "DISTRESS", Detail: "it fell silent", Asked: a.now, Messages: 1, Touched: true}}}))
	says := func(want string, tags ...string) {
		t.Helper()
		got, err := a.leftAlone(ctx, tags)
		if err != nil || len(got) != 1 || !strings.Contains(got[0], want) {
			t.Errorf("%v: %q, %v", tags, got, err)
		}
	}
	says("it was left in DISTRESS at ", "10-7", "10-8")
	says("it was left in DISTRESS as 10-7 at ", "10-8", "10-7")
	says("primum devices clear 10-7", "10-8", "10-7")
	a.must(a.Store.PutClearance(ctx, store.Clearance{Permit: "p0", Device: "10-7", Agent: "icu", Document: []byte("{}"), Digest: []byte("d"), Signed: store.Signature{By: "a", Sig: []byte{1}}, At: a.now}, store.Audit{At: a.now}))
	says("It was cleared, and agents/icu has not taken that yet", "10-8", "10-7")
	if got, err := a.leftAlone(ctx, []string{"10-8"}); err != nil || len(got) != 0 {
		t.Errorf("of another device: %q %v", got, err)
	}
}
