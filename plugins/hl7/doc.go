// Package hl7 is the built-in probe for the question "hl7.ack": one NMD^N02 message in an MLLP frame and
// its acknowledgment (HL7 v2.5.1 14.3.2, 2.9.2; H2, H3).
//
// One template can be built here and no other: no NCK, no NSC, no message with a person in it (H4, H5).
// Of the acknowledgment only a few named fields are read (H11); everything else is dropped unread,
// because an interface engine may put anything into it (H-025). What it says of itself in MSH-3 and
// MSH-4 is our own MSH-5 and MSH-6, echoed (H12).
package hl7
