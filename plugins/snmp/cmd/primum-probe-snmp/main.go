// Command primum-probe-snmp is the built-in probe for SNMP. The agent starts it; it does nothing on its
// own.
package main

import (
	"primum/plugins/sdk"
	"primum/plugins/snmp"
)

func main() { sdk.Serve(snmp.Probe{}) }
