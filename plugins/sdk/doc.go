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
// and proves it with sdktest.Conform. The example to start from is plugins/example.
package sdk
