package agent

import (
	"context"
	"encoding/hex"
	"errors"

	"primum/agent/internal/pluginhost"
	"primum/agent/internal/task"
	"primum/agent/internal/wire"
	probev1 "primum/proto/probe/v1"
	list "primum/safetylists"
	"primum/safetylists/evidence"
	"primum/safetylists/frame"
)

// bridge lets a plugin speak through wire without knowing it.
type bridge struct{ conv *wire.Conversation }

// Exchange implements pluginhost.Wire.
func (b *bridge) Exchange(ctx context.Context, proposed []byte) (pluginhost.Reply, error) {
	r, err := b.conv.Exchange(ctx, proposed)
	return pluginhost.Reply(r), err
}

// Why implements pluginhost.Wire.
func (b *bridge) Why() (probev1.Closed_Reason, bool) {
	switch b.conv.Summary().End {
	case wire.TimedOut:
		return probev1.Closed_REASON_TIMEOUT, false
	case wire.Breach:
		return probev1.Closed_REASON_REFUSED, true
	case wire.Halted, wire.Local:
		return probev1.Closed_REASON_STOPPED, false
	default:
		return probev1.Closed_REASON_CLOSED_BY_DEVICE, false
	}
}

// question tells the plugin the approved question and every value that varies.
func question(q list.Query, n frame.Nonce) *probev1.Start {
	s := q.Spec()
	if q.Kind().Vendor() {
		return &probev1.Start{Question: &probev1.Start_Vendor{Vendor: &probev1.Vendor{Kind: string(q.Kind())}}}
	}
	switch q.Kind() {
	case list.DICOMEcho:
		return &probev1.Start{Question: &probev1.Start_DicomEcho{DicomEcho: &probev1.DicomEcho{CalledAe: s.CalledAE, CallingAe: s.CallingAE,
			ImplementationClassUid: frame.ImplementationClassUID, ImplementationVersionName: s.VersionName, MaxPduLength: frame.MaxLengthReceived, MessageId: uint32(n.MessageID)}}}
	case list.HL7Ack:
		return &probev1.Start{Question: &probev1.Start_Hl7Ack{Hl7Ack: &probev1.Hl7Ack{SendingApplication: frame.SendingApplication, SendingFacility: s.Facility,
			ReceivingApplication: s.ReceivingApp, ReceivingFacility: s.ReceivingFac, Time: n.Time.UTC().Format("20060102150405") + "+0000",
			ControlId: n.ControlID, VersionId: s.HL7Version, ExpectedCode: s.Expect}}}
	default:
		// Of version 3 a plugin speaks the objects alone, as in version 2c: the agent signs and encrypts.
		version := probev1.SnmpGet_VERSION_2C
		if s.SNMPVersion == list.SNMPv1 {
			version = probev1.SnmpGet_VERSION_1
		}
		return &probev1.Start{Question: &probev1.Start_SnmpGet{SnmpGet: &probev1.SnmpGet{Oids: s.OIDs, RequestId: n.RequestID, Version: version}}}
	}
}

// outcome names the end of a task from what wire saw and what the plugin claims. What wire saw comes
// first: a plugin cannot make an answer of a silence (B11). The sorting is that of DESIGN 6.6.
func outcome(t task.Task, s wire.Summary, claim pluginhost.Result, runErr error) evidence.Result {
	r := evidence.Result{Asked: s.Asked.UTC(), Messages: s.Messages, Octets: s.Octets, TookUS: s.RTT.Microseconds(), Detail: s.Detail}
	if e := s.Engine; e != nil {
		r.Engine = &evidence.Engine{ID: hex.EncodeToString(e.ID), Boots: e.Boots, Time: e.Time}
	}
	switch {
	case s.Credential: // S4
		r.State, r.Reason = evidence.Incident, list.CredentialRefused
		return r
	case s.NewEngine: // S7
		r.State, r.Reason = evidence.Incident, list.EngineChanged
		return r
	}
	switch s.End {
	case wire.Breach:
		r.State, r.Reason = evidence.Incident, list.PluginBreach
		return r
	case wire.Halted:
		r.State = evidence.Stopped
		if s.Refusal != nil {
			r.Reason = s.Refusal.Reason
		}
		switch r.Reason {
		case list.SourceNotPermitted: // found before anything was dialled
			r.State = evidence.Refused
		case list.CertificateChanged: // D10, H13
			r.State = evidence.Incident
		}
		return r
	case wire.TimedOut, wire.ClosedByDevice:
		switch {
		case s.Event == frame.EventAborted && s.Replies > 0 && s.Messages == 2:
			r.State = evidence.Declined // an AE that is not registered is told so by A-ABORT (D4)
		case s.Replies == 0 && (s.End == wire.TimedOut || !s.Connected || t.Query().Kind().Transport() == "udp"):
			r.State = evidence.Absent
		default:
			r.State = evidence.Distress
		}
		return r
	case wire.BadReply:
		r.State = evidence.Distress
		return r
	case wire.Local:
		r.State, r.Reason = evidence.Unknown, list.NotDecided
		if s.Messages == 0 && !s.Connected {
			r.State = evidence.Refused
		}
		return r
	}
	if runErr != nil {
		r.State, r.Detail = evidence.Unknown, runErr.Error()
		var fault *pluginhost.Fault
		if errors.As(runErr, &fault) {
			r.Reason = list.PluginFailed
			if s.Messages == 0 && !s.Connected {
				r.State = evidence.Refused
			}
		}
		return r
	}
	if s.End != wire.Complete && !s.MayEnd { // what it claims of a device that it did not hear out is kept nowhere (B11)
		r.State, r.Detail = evidence.Unknown, "the probe gave its result before the conversation was complete"
		if s.Messages == 0 && !s.Connected {
			r.State, r.Reason = evidence.Refused, list.PluginFailed
		}
		return r
	}
	for _, f := range claim.Facts {
		r.Facts = append(r.Facts, evidence.Fact(f))
	}
	for _, at := range claim.Attributes {
		r.Attributes = append(r.Attributes, evidence.Attribute(at))
	}
	r.Uptime = claim.Uptime
	if r.Detail == "" {
		r.Detail = claim.Detail
	}
	r.State = ended(t, s, claim.Status)
	return r
}

// ended sorts a complete conversation.
func ended(t task.Task, s wire.Summary, claim probev1.Result_Status) evidence.State {
	if t.Query().Kind() == list.HL7Ack && s.Ack.Code != t.Query().Spec().Expect {
		return evidence.Incident // H8: the message went where it should not
	}
	rejected := s.Event == frame.EventRejected
	switch claim {
	case probev1.Result_STATUS_ANSWERED:
		if rejected {
			return evidence.Declined
		}
		return evidence.Answered
	case probev1.Result_STATUS_DECLINED:
		return evidence.Declined
	case probev1.Result_STATUS_BUSY:
		if rejected {
			return evidence.Busy
		}
		return evidence.Distress
	default:
		return evidence.Distress
	}
}
