package dispatch

import (
	"context"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"primum/controller/internal/hold"
	"primum/controller/internal/store"
	controlv1 "primum/proto/control/v1"
)

// mostHolds is how many octets a message of holds has at most; an agent takes one of 4 MiB. One that it does not take would end each of its
// sessions.
const mostHolds = 3 << 20

// pushHolds sends the holds in force, all of them in one message, once for each change.
func (ses *session) pushHolds(ctx context.Context) error {
	version, holds, err := ses.Store.HoldsInForce(ctx)
	if err != nil || version == ses.holdVersion && ses.holds != nil {
		return err
	}
	kinds := map[hold.Scope]controlv1.HoldScope_Kind{hold.Device: controlv1.HoldScope_KIND_DEVICE, hold.Model: controlv1.HoldScope_KIND_MODEL,
		hold.Site: controlv1.HoldScope_KIND_SITE, hold.All: controlv1.HoldScope_KIND_ALL}
	m := &controlv1.HoldState{Version: version}
	said := []hold.Hold{}
	held := map[string]bool{} // a device once: each of many that are one device may have been reported in use
	add := func(h store.Hold, value string) {
		if h.Scope == string(hold.Device) {
			if held[value] {
				return
			}
			held[value] = true
		}
		said = append(said, hold.Hold{Scope: hold.Scope(h.Scope), Value: value, Reason: h.Reason})
		m.Holds = append(m.Holds, &controlv1.HoldScope{Name: "holds/" + strconv.FormatInt(h.ID, 10), Kind: kinds[hold.Scope(h.Scope)], Value: value, Reason: h.Reason})
	}
	for _, h := range holds { // what somebody has named, before what is the same device
		add(h, h.Value)
	}
	if len(held) > 0 {
		kin, err := ses.Store.Kin(ctx)
		if err != nil {
			return err
		}
		done := map[string]bool{}
		for _, h := range holds {
			if h.Scope != string(hold.Device) || done[h.Value] {
				continue
			}
			done[h.Value] = true
			for _, tag := range kin.Twins(h.Value) {
				add(h, tag)
				done[tag] = true // it has the same twins
			}
		}
	}
	fit(m)
	ses.holds, ses.holdVersion = said, version
	return ses.stream.Send(&toAgent{Kind: &controlv1.ControllerMessage_HoldState{HoldState: m}})
}

// fit cuts the reasons of very many holds, until an agent takes their message. What is held stays; the list of holds has the reasons.
func fit(m *controlv1.HoldState) {
	for _, most := range []int{128, 32, 0} {
		if proto.Size(m) <= mostHolds {
			return
		}
		for _, h := range m.GetHolds() {
			h.Reason = strings.ToValidUTF8(h.Reason[:min(most, len(h.Reason))], "")
		}
	}
}
