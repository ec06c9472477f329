package sdktest

import (
	"primum/plugins/sdk"
	probev1 "primum/proto/probe/v1"
)

// The conversions here are written apart from those of the SDK, so that a mistake in one does not
// hide in the other.

func startFrame(q sdk.Question) *probev1.HostFrame {
	s := &probev1.Start{}
	switch q := q.(type) {
	case sdk.SNMPGet:
		s.Question = &probev1.Start_SnmpGet{SnmpGet: &probev1.SnmpGet{Oids: q.OIDs, RequestId: q.RequestID, Version: probev1.SnmpGet_Version(q.Version)}}
	case sdk.DICOMEcho:
		s.Question = &probev1.Start_DicomEcho{DicomEcho: &probev1.DicomEcho{
			CalledAe: q.CalledAE, CallingAe: q.CallingAE,
			ImplementationClassUid:    q.ImplementationClassUID,
			ImplementationVersionName: q.ImplementationVersionName,
			MaxPduLength:              q.MaxPDULength, MessageId: uint32(q.MessageID)}}
	case sdk.HL7Ack:
		s.Question = &probev1.Start_Hl7Ack{Hl7Ack: &probev1.Hl7Ack{
			SendingApplication: q.SendingApplication, SendingFacility: q.SendingFacility,
			ReceivingApplication: q.ReceivingApplication, ReceivingFacility: q.ReceivingFacility,
			Time: q.Time, ControlId: q.ControlID, VersionId: q.VersionID, ExpectedCode: q.ExpectedCode}}
	case sdk.Vendor:
		s.Question = &probev1.Start_Vendor{Vendor: &probev1.Vendor{Kind: q.Name}}
	}
	return &probev1.HostFrame{Step: &probev1.HostFrame_Start{Start: s}}
}

func replyFrame(message []byte) *probev1.HostFrame {
	return &probev1.HostFrame{Step: &probev1.HostFrame_Reply{Reply: &probev1.Reply{Message: message, ElapsedUs: 1500}}}
}

func closedFrame(e sdk.Ending) *probev1.HostFrame {
	reason := probev1.Closed_REASON_UNSPECIFIED
	switch e {
	case sdk.EndTimeout:
		reason = probev1.Closed_REASON_TIMEOUT
	case sdk.EndClosedByDevice:
		reason = probev1.Closed_REASON_CLOSED_BY_DEVICE
	case sdk.EndStopped:
		reason = probev1.Closed_REASON_STOPPED
	case sdk.EndRefused:
		reason = probev1.Closed_REASON_REFUSED
	case sdk.EndOfQuestion:
		reason = probev1.Closed_REASON_COMPLETE
	}
	return &probev1.HostFrame{Step: &probev1.HostFrame_Closed{Closed: &probev1.Closed{Reason: reason}}}
}

func descriptionOf(d *probev1.Description) sdk.Description {
	out := sdk.Description{Name: d.GetName(), Version: d.GetVersion(), Kinds: d.GetKinds()}
	for _, a := range d.GetAttributes() {
		out.Attributes = append(out.Attributes, sdk.Declaration{Name: a.GetName(), Kind: sdk.AttributeKind(a.GetKind()), Unit: a.GetUnit(), MaxLength: int(a.GetMaxLength())})
	}
	return out
}

func resultOf(r *probev1.Result) sdk.Result {
	out := sdk.Result{Status: statusOf(r.GetStatus()), Detail: r.GetDetail()}
	for _, f := range r.GetFacts() {
		out.Facts = append(out.Facts, sdk.Fact{Field: sdk.Field(f.GetField()), Value: f.GetValue(), Origin: f.GetOrigin()})
	}
	for _, a := range r.GetAttributes() {
		out.Attributes = append(out.Attributes, sdk.Attribute{Name: a.GetName(), Value: a.GetValue()})
	}
	if v := r.GetVitals(); v != nil {
		out.Vitals.UptimeTicks = v.UptimeTicks
	}
	return out
}

func statusOf(s probev1.Result_Status) sdk.Status {
	switch s {
	case probev1.Result_STATUS_ANSWERED:
		return sdk.Answered
	case probev1.Result_STATUS_DECLINED:
		return sdk.Declined
	case probev1.Result_STATUS_BUSY:
		return sdk.Busy
	case probev1.Result_STATUS_MALFORMED:
		return sdk.Malformed
	case probev1.Result_STATUS_UNEXPECTED:
		return sdk.Unexpected
	case probev1.Result_STATUS_NO_REPLY:
		return sdk.NoReply
	}
	return 0
}
