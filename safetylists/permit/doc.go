// Package permit holds the papers that travel between controller, approver and agent: plan,
// approval, standing approval and permit. Each has canonical bytes, so that a digest means one text,
// and an Ed25519 signature under a domain of its own, so that a signature on one kind of paper is
// none on another.
//
// The package is pure: no clock, no file, no network. It must not import crypto/x509, which reaches
// net; keys are raw Ed25519.
package permit
