package sdk

import (
	"errors"
	"fmt"

	probev1 "primum/proto/probe/v1"
)

// questionOf reads the question of a Start. The agent has checked it against the approval; here it
// is only brought into the author's words.
func questionOf(s *probev1.Start) (Question, error) {
	switch q := s.GetQuestion().(type) {
	case *probev1.Start_SnmpGet:
		version := map[probev1.SnmpGet_Version]SNMPVersion{probev1.SnmpGet_VERSION_1: SNMPv1, probev1.SnmpGet_VERSION_2C: SNMPv2c}[q.SnmpGet.GetVersion()]
		if version == 0 {
			return nil, errors.New("the question names no version of SNMP that is known")
		}
		return SNMPGet{Version: version, OIDs: q.SnmpGet.GetOids(), RequestID: q.SnmpGet.GetRequestId()}, nil
	case *probev1.Start_DicomEcho:
		e := q.DicomEcho
		if e.GetMessageId() < 1 || e.GetMessageId() > 0xffff {
			return nil, fmt.Errorf("message id %d is not within 1 to 65535", e.GetMessageId())
		}
		return DICOMEcho{
			CalledAE:                  e.GetCalledAe(),
			CallingAE:                 e.GetCallingAe(),
			ImplementationClassUID:    e.GetImplementationClassUid(),
			ImplementationVersionName: e.GetImplementationVersionName(),
			MaxPDULength:              e.GetMaxPduLength(),
			MessageID:                 uint16(e.GetMessageId()),
		}, nil
	case *probev1.Start_Hl7Ack:
		a := q.Hl7Ack
		return HL7Ack{
			SendingApplication:   a.GetSendingApplication(),
			SendingFacility:      a.GetSendingFacility(),
			ReceivingApplication: a.GetReceivingApplication(),
			ReceivingFacility:    a.GetReceivingFacility(),
			Time:                 a.GetTime(),
			ControlID:            a.GetControlId(),
			VersionID:            a.GetVersionId(),
			ExpectedCode:         a.GetExpectedCode(),
		}, nil
	case *probev1.Start_Vendor:
		return Vendor{Name: q.Vendor.GetKind()}, nil
	default:
		return nil, ErrUnknownQuestion
	}
}

// endingOf reads why the conversation ended.
func endingOf(c *probev1.Closed) (Ending, error) {
	switch c.GetReason() {
	case probev1.Closed_REASON_TIMEOUT:
		return EndTimeout, nil
	case probev1.Closed_REASON_CLOSED_BY_DEVICE:
		return EndClosedByDevice, nil
	case probev1.Closed_REASON_STOPPED:
		return EndStopped, nil
	case probev1.Closed_REASON_REFUSED:
		return EndRefused, nil
	case probev1.Closed_REASON_COMPLETE:
		return EndOfQuestion, nil
	default:
		return 0, errors.New("closed without a reason")
	}
}

// resultFrame brings a checked result into the contract's words, every text made safe to show.
func resultFrame(r Result, all []Declaration) *probev1.PluginFrame {
	out := &probev1.Result{
		Status: map[Status]probev1.Result_Status{
			Answered:   probev1.Result_STATUS_ANSWERED,
			Declined:   probev1.Result_STATUS_DECLINED,
			Busy:       probev1.Result_STATUS_BUSY,
			Malformed:  probev1.Result_STATUS_MALFORMED,
			Unexpected: probev1.Result_STATUS_UNEXPECTED,
			NoReply:    probev1.Result_STATUS_NO_REPLY,
		}[r.Status],
		Detail: cut([]byte(r.Detail), maxDetail),
	}
	for _, f := range r.Facts {
		// Nothing may be left of a value after cleaning; an empty fact claims nothing.
		if v := Text([]byte(f.Value)); v != "" {
			out.Facts = append(out.Facts, &probev1.Fact{Field: string(f.Field), Value: v, Origin: Text([]byte(f.Origin))})
		}
	}
	for _, a := range r.Attributes {
		if value, err := declared(all, a); err == nil { // checked before
			out.Attributes = append(out.Attributes, &probev1.Attribute{Name: a.Name, Value: value})
		}
	}
	if r.Vitals.UptimeTicks != nil {
		ticks := *r.Vitals.UptimeTicks
		out.Vitals = &probev1.Vitals{UptimeTicks: &ticks}
	}
	return &probev1.PluginFrame{Step: &probev1.PluginFrame_Result{Result: out}}
}

func sendFrame(message []byte) *probev1.PluginFrame {
	return &probev1.PluginFrame{Step: &probev1.PluginFrame_Send{Send: &probev1.Send{Message: message}}}
}

func descriptionFrame(d Description) *probev1.PluginFrame {
	var all []*probev1.Declaration
	for _, a := range d.Attributes {
		all = append(all, &probev1.Declaration{Name: a.Name, Unit: a.Unit, MaxLength: uint32(a.MaxLength), Kind: map[AttributeKind]probev1.Declaration_Kind{
			AttributeText: probev1.Declaration_KIND_TEXT, AttributeNumber: probev1.Declaration_KIND_NUMBER, AttributeCode: probev1.Declaration_KIND_CODE}[a.Kind]})
	}
	return &probev1.PluginFrame{Step: &probev1.PluginFrame_Description{
		Description: &probev1.Description{Name: d.Name, Version: d.Version, Kinds: d.Kinds, Attributes: all}}}
}
