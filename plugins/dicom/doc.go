// Package dicom is the built-in probe for the question "dicom.echo": one association, one C-ECHO, and
// its release (PS3.8 9.3, PS3.7 9.1.5). Three kinds of message can be built here and no other:
// A-ASSOCIATE-RQ, P-DATA-TF with a C-ECHO-RQ, and A-RELEASE-RQ (D7).
//
// The elements of the command set are written with grailbio/go-dicom. Its reader is never used: eight
// octets of a reply can cost it a gibibyte (H-023); every reader is here, strict and bounded by what
// it is given.
//
// From a verification one learns which family of software answers (D9), never which unit: the AE titles
// of a reply are our own, echoed.
package dicom
