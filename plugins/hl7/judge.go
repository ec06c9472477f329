package hl7

import (
	"fmt"
	"slices"

	"primum/plugins/sdk"
)

// isCode knows the acknowledgment codes of table 0008.
func isCode(s string) bool {
	return slices.Contains([]string{"AA", "AE", "AR", "CA", "CE", "CR"}, s)
}

// judge reads one reply. Answered is only the expected code to our own message: whoever approved the
// endpoint has said which code means that the message was set aside (H8), and any other may mean
// that it went where it must not (H-028).
func judge(q sdk.HL7Ack, reply []byte) sdk.Result {
	a, err := readAck(reply)
	if err != nil {
		return malformed(err.Error())
	}
	if string(a.kind) != "ACK" {
		return sdk.Result{Status: sdk.Unexpected, Detail: "the device answered with another message than an acknowledgment"}
	}
	code := string(a.code)
	if !isCode(code) {
		return malformed("the acknowledgment carries no code that there is")
	}
	if string(a.controlID) != q.ControlID {
		return malformed("the acknowledgment is not of our message")
	}
	r := sdk.Result{
		Status:     sdk.Answered,
		Attributes: []sdk.Attribute{{Name: "hl7.msa1", Value: code}},
		Facts:      software(a),
	}
	// What does not have the shape of a code is not kept: free text may hold anything (H-025).
	for _, v := range []struct {
		name  string
		value []byte
		ok    bool
	}{
		{"hl7.err", a.errorCode, len(a.errorCode) <= 3 && only(a.errorCode, "0123456789")},
		{"hl7.version_id", a.version, len(a.version) <= 8 && only(a.version, "0123456789.")},
		{"hl7.time", a.time, len(a.time) <= 24 && only(a.time, "0123456789.+-")},
	} {
		if len(v.value) > 0 && v.ok {
			r.Attributes = append(r.Attributes, sdk.Attribute{Name: v.name, Value: string(v.value)})
		}
	}
	if code != q.ExpectedCode {
		r.Status = sdk.Unexpected
		r.Detail = fmt.Sprintf("the device acknowledged with %s, the approval expects %s", code, q.ExpectedCode)
	}
	return r
}

func malformed(why string) sdk.Result { return sdk.Result{Status: sdk.Malformed, Detail: why} }

// software says what the SFT segment (HL7 2.14.12) names: the engine's software, not the unit.
func software(a ack) []sdk.Fact {
	var facts []sdk.Fact
	for i, origin := range []string{"SFT-1", "SFT-2", "SFT-3"} {
		if text := sdk.Text(a.software[i]); text != "" {
			facts = append(facts, sdk.Fact{Field: sdk.FieldSoftware, Value: text, Origin: origin})
		}
	}
	return facts
}

func only(b []byte, allowed string) bool {
	for _, c := range b {
		if !slices.Contains([]byte(allowed), c) {
			return false
		}
	}
	return true
}
