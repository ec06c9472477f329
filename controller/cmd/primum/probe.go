package main

import (
	"fmt"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	adminv1 "primum/proto/admin/v1"
	list "primum/safetylists"
)

// probeTime is the deadline of a question on demand: the longest conversation, with its way there and back.
const probeTime = 100 * time.Second

type probeCommand struct {
	Device    string `arg:"" help:"Asset tag."`
	Kind      string `arg:"" help:"snmp.get, dicom.echo or hl7.ack."`
	RequestID string `help:"UUID of the call: the same one asks once. Defaults to a new one."`
}

// Run asks. Without an answer in time the request id is said, for with it the outcome can be had without
// asking the device again.
func (c *probeCommand) Run(e *env) error {
	if c.RequestID == "" {
		c.RequestID = uuid.NewString()
	} else if err := uuid.Validate(c.RequestID); err != nil {
		return input("--request-id %q is not a UUID", c.RequestID)
	}
	cl, err := e.dial()
	if err != nil {
		return err
	}
	r, err := callFor(probeTime, adminv1.NewProbeServiceClient(cl.conn).Probe, &adminv1.ProbeRequest{Device: within("devices", c.Device), Kind: c.Kind, RequestId: c.RequestID})
	if err != nil {
		if code := status.Code(err); code == codes.Unavailable || code == codes.DeadlineExceeded {
			fmt.Fprintf(e.err, "primum: whether the device was asked is not known. To have the outcome without asking twice, give --request-id %s\n", c.RequestID)
		}
		return err
	}
	t := r.GetTask()
	if err := e.show(r, func() {
		e.say("%s  %s: %s", short(t.GetDevice()), t.GetQuestion(), t.GetState())
		if t.GetDetail() != "" {
			e.say("  In particular: %s", t.GetDetail())
		}
		for _, f := range t.GetFacts() {
			e.say("  %s = %s (%s)", f.GetField(), f.GetValue(), f.GetOrigin())
		}
	}); err != nil {
		return err
	}
	if s := t.GetState(); s == "REFUSED" || s == "STOPPED" {
		return refusedError{"refused: " + t.GetReason() + ". " + list.Reason(t.GetReason()).Words().String()}
	}
	return nil
}
