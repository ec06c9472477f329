// Command primum-probe-acme serves the example probe.
package main

import (
	"example.invalid/primum-probe-example"
	"primum/plugins/sdk"
)

func main() { sdk.Serve(example.Probe{}) }
