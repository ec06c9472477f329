package hl7

import (
	"fmt"
	"strings"

	"primum/plugins/sdk"
)

// Octets of an MLLP frame (MLLP R1).
const (
	startBlock = 0x0b
	endBlock   = 0x1c
	carriage   = 0x0d
)

// maxMessage is the largest frame that may go out (H2).
const maxMessage = 512

// message builds the one template (H3): MSH-11 is T and never P or blank (H6), MSH-15 and MSH-16 are
// not there (H7), NST-1 is N: no statistics, only that the link is up.
func message(q sdk.HL7Ack) ([]byte, error) {
	for _, f := range []struct {
		name, value string
		max         int
	}{
		{"MSH-3", q.SendingApplication, 180},
		{"MSH-4", q.SendingFacility, 180},
		{"MSH-5", q.ReceivingApplication, 180},
		{"MSH-6", q.ReceivingFacility, 180},
		{"MSH-7", q.Time, 26},
		{"MSH-10", q.ControlID, 20},
		{"MSH-12", q.VersionID, 10},
	} {
		if err := checkField(f.value, f.max); err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	if len(q.ExpectedCode) != 2 || !isCode(q.ExpectedCode) {
		return nil, fmt.Errorf("expected code %q is no acknowledgment code", q.ExpectedCode)
	}
	msh := strings.Join([]string{`MSH|^~\&`, q.SendingApplication, q.SendingFacility,
		q.ReceivingApplication, q.ReceivingFacility, q.Time, "", "NMD^N02^NMD_N02",
		q.ControlID, "T", q.VersionID}, "|")
	out := append([]byte{startBlock}, msh...)
	out = append(out, carriage)
	out = append(out, "NST|N"...)
	out = append(out, carriage, endBlock, carriage)
	if len(out) > maxMessage {
		return nil, fmt.Errorf("frame of %d octets, at most %d are allowed", len(out), maxMessage)
	}
	return out, nil
}

// checkField keeps separators, frame octets and controls out of a field, so that no value can become
// another field or another segment.
func checkField(s string, limit int) error {
	if len(s) < 1 || len(s) > limit {
		return fmt.Errorf("%d characters, 1 to %d are allowed", len(s), limit)
	}
	for _, c := range []byte(s) {
		if c < 0x20 || c > 0x7e || strings.IndexByte(`|^~\&`, c) >= 0 {
			return fmt.Errorf("character %q is not allowed", c)
		}
	}
	return nil
}
