package main

import (
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	adminv1 "primum/proto/admin/v1"
)

type outOfUseCommand struct {
	Device string        `arg:"" help:"Asset tag."`
	For    time.Duration `required:"" help:"How long nobody will depend on it, 1m to 12h."`
	Reason string        `required:"" help:"How you know."`
}

type inUseCommand struct {
	Device string `arg:"" help:"Asset tag."`
	Reason string `required:"" help:"What you know."`
}

// Run confirms.
func (c *outOfUseCommand) Run(e *env) error {
	cl, err := e.dial()
	if err != nil {
		return err
	}
	d, err := call(adminv1.NewInventoryServiceClient(cl.conn).ConfirmOutOfUse,
		&adminv1.ConfirmOutOfUseRequest{Name: within("devices", c.Device), Duration: durationpb.New(c.For), Reason: c.Reason})
	if err != nil {
		return err
	}
	holds := cl.holdsOf(d)
	return e.show(d, func() {
		e.say("%s %s %s is out of use until %s, says %s. Plans that are made from now on take it into account.", d.GetAssetTag(), d.GetManufacturer(), d.GetModel(),
			d.GetOutOfUseConfirmedUntil().AsTime().UTC().Format("2006-01-02 15:04 UTC"), d.GetOutOfUseConfirmedBy())
		for _, h := range holds {
			e.say("  %s stops it all the same: %s, by %s. To lift it: primum hold lift %s --reason WHY", h.GetName(), h.GetReason(), h.GetPlacedBy(), h.GetName())
		}
	})
}

// holdsOf are the holds in force that name a device by its tag; none if they cannot be read, for what was reported is done.
func (c *client) holdsOf(d *adminv1.Device) []*adminv1.Hold {
	all, err := pages(func(token string) ([]*adminv1.Hold, string, error) {
		r, err := call(adminv1.NewHoldServiceClient(c.conn).ListHolds, &adminv1.ListHoldsRequest{PageToken: token})
		return r.GetHolds(), r.GetNextPageToken(), err
	})
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(all, func(h *adminv1.Hold) bool { return h.GetScope() != "device" || h.GetValue() != d.GetAssetTag() })
}

// Run reports.
func (c *inUseCommand) Run(e *env) error {
	cl, err := e.dial()
	if err != nil {
		return err
	}
	d, err := call(adminv1.NewInventoryServiceClient(cl.conn).ReportInUse, &adminv1.ReportInUseRequest{Name: within("devices", c.Device), Reason: c.Reason})
	if err != nil {
		return err
	}
	holds := cl.holdsOf(d)
	return e.show(d, func() {
		e.say("%s %s %s is in use.", d.GetAssetTag(), d.GetManufacturer(), d.GetModel())
		if len(holds) == 0 {
			e.say("  A hold stops it, and what is under way; primum hold list names it.")
		}
		for _, h := range holds {
			e.say("  %s stops it, and what is under way: %s, by %s. When it may be asked again: primum hold lift %s --reason WHY", h.GetName(), h.GetReason(), h.GetPlacedBy(), h.GetName())
		}
	})
}
