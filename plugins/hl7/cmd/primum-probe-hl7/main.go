// Command primum-probe-hl7 is the built-in probe for HL7. The agent starts it; it does nothing on its
// own.
package main

import (
	"primum/plugins/hl7"
	"primum/plugins/sdk"
)

func main() { sdk.Serve(hl7.Probe{}) }
