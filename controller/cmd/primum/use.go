package main

import (
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
	return e.show(d, func() {
		e.say("%s %s %s is out of use until %s, says %s. Plans that are made from now on take it into account.", d.GetAssetTag(), d.GetManufacturer(), d.GetModel(),
			d.GetOutOfUseConfirmedUntil().AsTime().UTC().Format("2006-01-02 15:04 UTC"), d.GetOutOfUseConfirmedBy())
	})
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
	return e.show(d, func() {
		e.say("%s %s %s is in use. A hold of the device stops what is under way; lift it when the device may be asked again.", d.GetAssetTag(), d.GetManufacturer(), d.GetModel())
	})
}
