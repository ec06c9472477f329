package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// G9, H-035: a hold of a device is one of every asset tag under which it stands in the inventory, also of one that
// comes later, which the agents then hear of.
func TestAHeldDeviceIsHeldUnderAllItsTags(t *testing.T) {
	s := fresh(t)
	ctx := t.Context()
	put := func(tag, ip, mac string) {
		t.Helper()
		_, err := s.PutDevices(ctx, []Device{{Tag: tag, Cells: map[string]string{"asset_tag": tag, "ip": ip, "mac": mac}}}, nil, act(0))
		no(t, err)
	}
	also := func(tag string, want ...string) {
		t.Helper()
		got, err := s.Twins(ctx, tag)
		if no(t, err); !slices.Equal(got, want) {
			t.Errorf("%s stands also as %q, not %q", tag, got, want)
		}
	}
	put("a", "10.0.0.1", "02:00:00:00:00:01")
	put("b", "10.0.0.2", "02:00:00:00:00:02")
	put("c", "", "")
	put("d", "", "")
	also("a")
	also("c")
	also("nobody")
	version := func() uint64 {
		v, _, err := s.HoldsInForce(ctx)
		no(t, err)
		return v
	}
	before := version()
	put("e", "10.0.0.1", "")
	if version() != before {
		t.Error("no device is held, and the version has grown")
	}
	_, err := s.PlaceHold(ctx, Hold{Scope: "device", Value: "a", Reason: "r", PlacedAt: at(0)}, nil, act(0))
	no(t, err)
	before = version()
	put("f", "10.0.0.9", "02:00:00:00:00:01")
	if version() <= before {
		t.Error("the inventory has changed, and the agents do not hear of it")
	}
	also("a", "e", "f")
	also("f", "a", "e")
}

// G9: a device has three tags, of which the first shares its address with the second alone, and the second its network card with the third.
func TestATagThatIsATwinsTwinIsTheSameDevice(t *testing.T) {
	s := fresh(t)
	ctx := t.Context()
	_, err := s.PutDevices(ctx, []Device{{Tag: "1", Cells: map[string]string{"ip": "10.0.0.1"}}, {Tag: "2", Cells: map[string]string{"ip": "10.0.0.1", "mac": "02:00:00:00:00:01"}},
		{Tag: "3", Cells: map[string]string{"ip": "10.0.0.3", "mac": "02:00:00:00:00:01"}}, {Tag: "4", Cells: map[string]string{"ip": "", "mac": ""}}, {Tag: "5", Cells: map[string]string{"ip": "", "mac": ""}}}, nil, act(0))
	no(t, err)
	for tag, want := range map[string][]string{"1": {"2", "3"}, "2": {"1", "3"}, "3": {"1", "2"}, "4": nil, "none": nil} {
		got, err := s.Twins(ctx, tag)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v %s", tag, err, diff)
		}
	}
}

// A network card that an export has for thousands of devices makes one device of them. A hold of one is a hold of all, and reaches the agents
// within its second all the same.
func TestANetworkCardOfThousandsIsLookedUpAtOnce(t *testing.T) {
	s := fresh(t)
	var devices []Device
	for n := range 2000 {
		devices = append(devices, Device{Tag: strconv.Itoa(n), Cells: map[string]string{"ip": fmt.Sprintf("10.0.%d.%d", n/250, n%250), "mac": "00:10:5d:01:02:03"}})
	}
	_, err := s.PutDevices(t.Context(), devices, nil, act(0))
	no(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if got, err := s.Twins(ctx, "7"); err != nil || len(got) != 1999 {
		t.Errorf("%d %v", len(got), err)
	}
}

// While a device is in distress every look of every session asks for the tags of one device: the inventory is read once for each change of it.
func TestTheTagsOfOneDeviceAreThoseOfTheInventoryAsItIs(t *testing.T) {
	s := fresh(t)
	ctx := t.Context()
	kin := func() *Kin {
		t.Helper()
		k, err := s.Kin(ctx)
		no(t, err)
		return k
	}
	before := kin()
	_, err := s.PutDevices(ctx, []Device{{Tag: "1", Cells: map[string]string{"ip": "10.0.0.1"}}, {Tag: "2", Cells: map[string]string{"ip": "10.0.0.2"}}}, nil, act(0))
	no(t, err)
	k := kin()
	if k == before || k != kin() || k.Twins("1") != nil {
		t.Errorf("%p %p %q", before, k, k.Twins("1"))
	}
	no(t, s.SetCells(ctx, "2", map[string]string{"out_of_use_confirmed_by": "R. Okafor"}, nil, act(1)))
	if k != kin() {
		t.Error("it is read anew for a word about use")
	}
	no(t, s.SetCells(ctx, "2", map[string]string{"ip": "10.0.0.1"}, nil, act(1)))
	if got := kin().Twins("1"); !slices.Equal(got, []string{"2"}) {
		t.Errorf("after a change: %q", got)
	}
	_, err = s.PutDevices(ctx, []Device{{Tag: "2", Cells: map[string]string{"ip": "10.0.0.3"}}}, nil, act(2))
	no(t, err)
	if got := kin().Twins("1"); got != nil {
		t.Errorf("after an import: %q", got)
	}
}
