package dispatch

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"primum/controller/internal/store"
	controlv1 "primum/proto/control/v1"
)

// H-035: very many devices are held, and each with a long reason, as where one network card makes thousands of them one. An agent takes the
// message all the same: one that it does not take would end each of its sessions.
func TestHoldsOfThousandsAreAMessageThatAnAgentTakes(t *testing.T) {
	s, _ := service(t)
	now, reason := time.Now(), strings.Repeat("é", 512)
	var devices []store.Device
	for n := range 3500 {
		devices = append(devices, store.Device{Tag: strings.Repeat("t", 50) + strconv.Itoa(n), Cells: map[string]string{"mac": "00:10:5d:01:02:03"}})
	}
	if _, err := s.Store.PutDevices(t.Context(), devices, nil, store.Audit{At: now, Actor: "test"}); err != nil {
		t.Fatal(err)
	}
	sent := func() *controlv1.HoldState {
		t.Helper()
		st := &stream{ctx: t.Context(), out: make(chan *toAgent, 1)}
		ses := &session{Service: s, stream: st, agent: "icu"}
		if err := ses.pushHolds(t.Context()); err != nil {
			t.Fatal(err)
		}
		m := (<-st.out).GetHoldState()
		if size := proto.Size(m); size > mostHolds {
			t.Errorf("a message of %d octets", size)
		}
		if len(ses.holds) != len(m.GetHolds()) {
			t.Errorf("%d holds are known here, and %d sent", len(ses.holds), len(m.GetHolds()))
		}
		return m
	}
	place := func(n int) {
		t.Helper()
		if _, err := s.Store.PlaceHold(t.Context(), store.Hold{Scope: "device", Value: devices[n].Tag, Reason: reason, PlacedBy: "a", PlacedAt: now}, nil, store.Audit{At: now, Actor: "a"}); err != nil {
			t.Fatal(err)
		}
	}
	place(0)
	place(1)
	if m := sent(); len(m.GetHolds()) != 3500 || m.GetHolds()[0].GetName() != "holds/1" || m.GetHolds()[1].GetName() != "holds/2" || m.GetHolds()[2].GetName() != "holds/1" ||
		!strings.HasPrefix(m.GetHolds()[0].GetReason(), "éééé") {
		t.Errorf("%d holds, %v", len(m.GetHolds()), m.GetHolds()[:3])
	}
}
