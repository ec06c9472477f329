// Package safetylists decides whether one exact question may be put to one device.
//
// A list is made of statements, each with its evidence. [List.Decide] evaluates deny, forbid_port
// and stack_hazard, then allow, and refuses everything else; note and fingerprint decide nothing.
// A deny matches whatever could match, an allow only what certainly matches, so knowing less never
// turns a refusal into an allowance. The zero [Decision] refuses.
//
// The package is pure: it opens nothing, reads no clock and logs nothing. The moment is an argument.
// Start at [Load], [New] and [List.Decide]; the words for a technician are in [Reason.Words].
package safetylists
