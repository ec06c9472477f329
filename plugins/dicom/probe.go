package dicom

import (
	"fmt"

	"primum/plugins/sdk"
)

// Version of this probe.
const Version = "1.0.0"

// Probe answers "dicom.echo". The zero value is ready, and safe for any number of conversations.
type Probe struct{}

var _ sdk.Probe = Probe{}

// Describe says what this probe speaks.
func (Probe) Describe() sdk.Description {
	code := func(name string) sdk.Declaration {
		return sdk.Declaration{Name: name, Kind: sdk.AttributeCode, MaxLength: 16}
	}
	return sdk.Description{Name: "dicom", Version: Version, Kinds: []string{sdk.KindDICOMEcho}, Attributes: []sdk.Declaration{
		code("dicom.reject"), code("dicom.context_result"), code("dicom.status"), code("dicom.release"), code("dicom.abort"),
		{Name: "dicom.max_pdu_length", Kind: sdk.AttributeNumber, Unit: "octets", MaxLength: 10},
	}}
}

// Begin builds all messages of an approved question before any of them is sent, so that nothing can
// fail between an association and its release.
func (Probe) Begin(q sdk.Question) (sdk.Conversation, error) {
	e, ok := q.(sdk.DICOMEcho)
	if !ok {
		return nil, sdk.ErrUnknownQuestion
	}
	associate, err := associateRQ(e)
	if err != nil {
		return nil, err
	}
	echo, err := echoRQ(e.MessageID)
	if err != nil {
		return nil, err
	}
	return &conversation{question: e, echo: echo, next: associate}, nil
}

// state is where the association stands, by what was sent last.
type state int

const (
	associating state = iota
	echoing
	releasing
	over
)

type conversation struct {
	question sdk.DICOMEcho
	echo     []byte
	next     []byte
	state    state
	result   sdk.Result // what is known so far
}

// Next is the message that the last reply has called for, or nothing.
func (c *conversation) Next() []byte {
	m := c.next
	c.next = nil
	return m
}

// Read takes one PDU. After anything but what the protocol allows in this state, nothing more is sent
// from here (D4); the agent closes.
func (c *conversation) Read(r sdk.Reply) {
	switch c.state {
	case associating:
		c.readAssociate(r.Message)
	case echoing:
		c.readEcho(r.Message)
	case releasing:
		c.readRelease(r.Message)
	default:
		c.fail(sdk.Unexpected, "a PDU came after the end of the association")
	}
}

// Result is what was learned. A device that has answered the echo and then does not answer the
// release has answered the question; that the release is missing is told beside it.
func (c *conversation) Result(e sdk.Ending) sdk.Result {
	switch {
	case c.state == over:
	case c.state == releasing:
		c.attribute("dicom.release", "none")
	case c.state == associating:
		c.fail(sdk.NoReply, e.String())
	default:
		c.fail(sdk.NoReply, "no reply to the C-ECHO: "+e.String())
	}
	return c.result
}

func (c *conversation) attribute(name, value string) {
	c.result.Attributes = append(c.result.Attributes, sdk.Attribute{Name: name, Value: value})
}

// fail ends the conversation with a status; facts that were read before stay.
func (c *conversation) fail(s sdk.Status, detail string) {
	c.result.Status, c.result.Detail = s, detail
	c.next, c.state = nil, over
}

// release asks for the end of the association, with what will be the result.
func (c *conversation) release(s sdk.Status, detail string) {
	c.result.Status, c.result.Detail = s, detail
	c.next, c.state = releaseRQ(), releasing
}

func (c *conversation) readAssociate(b []byte) {
	kind, body, err := pdu(b)
	if err != nil {
		c.fail(sdk.Malformed, err.Error())
		return
	}
	switch kind {
	case pduAssociateAC:
		a, err := readAC(body)
		if err != nil {
			c.fail(sdk.Malformed, err.Error())
			return
		}
		c.accepted(a)
	case pduAssociateRJ:
		r, err := readRJ(body)
		if err != nil {
			c.fail(sdk.Malformed, err.Error())
			return
		}
		c.attribute("dicom.reject", r.String())
		if r.busy() {
			c.fail(sdk.Busy, "the device takes no further association for now")
			return
		}
		c.fail(sdk.Declined, "the device rejected the association ("+r.String()+")")
	default:
		c.other(kind, body)
	}
}

// accepted decides after an A-ASSOCIATE-AC. Without an accepted context there is no echo, only the
// release (D4).
func (c *conversation) accepted(a accept) {
	if a.classUID != "" {
		c.result.Facts = append(c.result.Facts, sdk.Fact{Field: sdk.FieldSoftware, Value: a.classUID, Origin: "0052H"})
	}
	if a.versionName != "" {
		c.result.Facts = append(c.result.Facts, sdk.Fact{Field: sdk.FieldSoftware, Value: a.versionName, Origin: "0055H"})
	}
	c.attribute("dicom.context_result", fmt.Sprintf("%d", a.contextResult))
	c.attribute("dicom.max_pdu_length", fmt.Sprintf("%d", a.maxLength))
	switch {
	case a.contextResult != 0:
		c.release(sdk.Declined, "the device does not take the verification context")
	case a.maxLength != 0 && int(a.maxLength) < len(c.echo)-pduHeader: // PS3.8 D.1.1
		c.release(sdk.Declined, "the device takes no PDU of the length of a C-ECHO")
	default:
		c.next, c.state = c.echo, echoing
	}
}

func (c *conversation) readEcho(b []byte) {
	kind, body, err := pdu(b)
	if err != nil {
		c.fail(sdk.Malformed, err.Error())
		return
	}
	if kind != pduData {
		c.other(kind, body)
		return
	}
	command, err := commandOf(body)
	if err != nil {
		c.fail(sdk.Malformed, err.Error())
		return
	}
	r, err := readCommand(command)
	if err != nil {
		c.fail(sdk.Malformed, err.Error())
		return
	}
	switch {
	case r.field != fieldEchoRSP:
		c.fail(sdk.Unexpected, "the device sent another command than the reply to the C-ECHO")
	case r.messageID != c.question.MessageID:
		c.fail(sdk.Malformed, "the reply to the C-ECHO carries another message id")
	case r.status != 0:
		c.attribute("dicom.status", fmt.Sprintf("%04X", r.status))
		c.release(sdk.Declined, "the device answered the C-ECHO with a failure")
	default:
		c.attribute("dicom.status", "0000")
		c.release(sdk.Answered, "")
	}
}

func (c *conversation) readRelease(b []byte) {
	kind, body, err := pdu(b)
	switch {
	case err != nil:
		c.fail(sdk.Malformed, err.Error())
	case kind == pduReleaseRP && len(body) == 4:
		c.attribute("dicom.release", "confirmed")
		c.state = over
	case kind == pduReleaseRP:
		c.fail(sdk.Malformed, errLength.Error())
	default:
		c.other(kind, body)
	}
}

// other reads a PDU that is not the one waited for. To an abort nothing is ever answered (D4).
func (c *conversation) other(kind byte, body []byte) {
	if kind != pduAbort {
		c.fail(sdk.Unexpected, fmt.Sprintf("the device sent a PDU of type %02XH, which has no place here", kind))
		return
	}
	if len(body) != 4 {
		c.fail(sdk.Malformed, errLength.Error())
		return
	}
	c.attribute("dicom.abort", fmt.Sprintf("%d/%d", body[2], body[3]))
	c.fail(sdk.Unexpected, "the device aborted the association")
}
