// Command primum-probe-aldane serves the probe.
package main

import (
	"example.invalid/primum-probe-aldane"
	"primum/plugins/sdk"
)

func main() { sdk.Serve(aldane.Probe{}) }
