package sdk

import (
	"errors"
	"fmt"
	"slices"
)

// Status says how the protocol sees the conversation. The zero value is not a status: a result
// that leaves it out is refused.
type Status int

const (
	// Answered: the device gave the answer that the question asks for.
	Answered Status = iota + 1
	// Declined: the device answered, within the protocol, that it does not serve this.
	Declined
	// Busy: the device is full for now (PS3.8 9.3.4, rejections 2/3/1 and 2/3/2).
	Busy
	// Malformed: the reply breaks the protocol.
	Malformed
	// Unexpected: the reply is well formed, but not one that is allowed here.
	Unexpected
	// NoReply: no reply was seen.
	NoReply
)

// String names the status in words.
func (s Status) String() string {
	switch s {
	case Answered:
		return "answered"
	case Declined:
		return "declined"
	case Busy:
		return "busy"
	case Malformed:
		return "malformed"
	case Unexpected:
		return "unexpected"
	case NoReply:
		return "no reply"
	default:
		return "unspecified status"
	}
}

// Field is what an identity fact is about.
type Field string

// The fields of identity that the contract knows.
const (
	FieldManufacturer Field = "manufacturer"
	FieldModel        Field = "model"
	FieldVersion      Field = "version"
	FieldSerial       Field = "serial"
	FieldName         Field = "name"
	FieldDescription  Field = "description"
	FieldObjectID     Field = "object_id"
	// FieldSoftware is a family of software, which is no proof of one unit (PS3.7 D.3.3.2).
	FieldSoftware Field = "software"
)

// Fact is one claim of identity with the protocol field it came from.
type Fact struct {
	// Field is what the claim is about.
	Field Field
	// Value as text. The SDK passes it through Text.
	Value string
	// Origin is the protocol field it was read from, for example "sysDescr.0" or "0052H".
	Origin string
}

// Attribute is one thing more that a reply tells, such as a protocol code, kept for the record.
type Attribute struct {
	// Name as declared in the Description, for example "dicom.status".
	Name string
	// Value as text, of the kind and length that its Declaration says. The SDK passes it through Text.
	Value string
}

// Vitals are signs of health that the approved question already tells.
type Vitals struct {
	// UptimeTicks is sysUpTime.0 in hundredths of a second; nil when it was not told.
	UptimeTicks *uint32
}

// Result is what a conversation has learned. It is a claim: the agent checks it against what it saw
// itself (H-006).
type Result struct {
	// Status is required.
	Status Status
	// Facts of identity, at most 64.
	Facts []Fact
	// Vitals of the device.
	Vitals Vitals
	// Detail tells a person what was unexpected. Empty when answered.
	Detail string
	// Attributes are what else the replies tell, at most 32, each declared.
	Attributes []Attribute
}

const (
	maxFacts      = 64
	maxAttributes = 32
	maxDetail     = 512
)

// Check is what the SDK holds each result against before it is sent; sdktest does the same.
func Check(d Description, r Result) error { return r.check(d.Attributes) }

// check refuses a result that the contract does not allow. It is the author's mistake and not the
// device's, so that it ends the stream and does not become a status of the device.
func (r Result) check(all []Declaration) error {
	if r.Status < Answered || r.Status > NoReply {
		return errors.New("result names no status")
	}
	if len(r.Facts) > maxFacts {
		return fmt.Errorf("result holds %d facts, at most %d are allowed", len(r.Facts), maxFacts)
	}
	if len(r.Attributes) > maxAttributes {
		return fmt.Errorf("result holds %d attributes, at most %d are allowed", len(r.Attributes), maxAttributes)
	}
	known := []Field{FieldManufacturer, FieldModel, FieldVersion, FieldSerial,
		FieldName, FieldDescription, FieldObjectID, FieldSoftware}
	for _, f := range r.Facts {
		if !slices.Contains(known, f.Field) {
			return fmt.Errorf("result names the unknown field %q", Text([]byte(f.Field)))
		}
		if f.Value == "" || f.Origin == "" {
			return fmt.Errorf("fact %q is without a value or an origin", f.Field)
		}
	}
	for _, a := range r.Attributes {
		if _, err := declared(all, a); err != nil {
			return err
		}
	}
	return nil
}
