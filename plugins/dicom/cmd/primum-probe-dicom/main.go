// Command primum-probe-dicom is the built-in probe for DICOM. The agent starts it; it does nothing on its
// own.
package main

import (
	"primum/plugins/dicom"
	"primum/plugins/sdk"
)

func main() { sdk.Serve(dicom.Probe{}) }
