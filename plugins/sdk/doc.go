// Package sdk is all that the author of a probe imports.
//
// A probe knows one protocol and owns nothing: no socket, no address, no secret. It builds the
// messages of one question and reads the replies. The agent compares each message, octet for octet,
// with the one it builds itself from the approved question, and sends its own copy; a probe that
// proposes anything else is ended. So a probe can choose nothing, and a mistake in it can harm no
// device (H-005, H-006).
//
// An author writes a Probe and one line of main:
//
//	func main() { sdk.Serve(acme.Probe{}) }
//
// and proves it with sdktest.Conform. "primum-plugin new NAME" writes a first one that works; README.md
// beside this file is the way from there to a hospital.
//
// # Errors
//
// A probe returns a Result for everything that a device does, also for silence and for nonsense. An
// error is the author's: it ends the conversation with a gRPC status and claims nothing of the device. The
// codes, which a plugin in another language uses in the same way:
//
//   - UNIMPLEMENTED: a question of a kind that the probe does not speak (ErrUnknownQuestion).
//   - INVALID_ARGUMENT: a question that cannot be built (any other error of Begin), a reply of more than
//     16384 octets, or an end without a reason.
//   - FAILED_PRECONDITION: the agent sent a frame out of order.
//   - INTERNAL: the probe panicked, built a message of no or more than 1024 octets, or gave a result or a
//     description that the contract does not allow (Check).
//
// The agent counts the last one, a death, a frame later than 3 s and a message that nobody approved as
// faults of the plugin; three of them within an hour, or one such message, put its version aside.
package sdk
