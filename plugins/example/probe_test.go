package aldane_test

import (
	"testing"

	"example.invalid/primum-probe-aldane"
	"primum/plugins/sdk"
	"primum/plugins/sdk/sdktest"
)

// rack is a conversation with a rack of the laboratory, as it was recorded.
func rack(t *testing.T) sdktest.Transcript { return sdktest.ReadTranscript(t, "testdata/rack.txt") }

func TestProbeConforms(t *testing.T) {
	sdktest.Conform(t, aldane.Probe{}, rack(t).Example())
}

// The program as an agent runs it: verified, confined, over its own socket.
func TestConfinedProbeTellsWhatWasRecorded(t *testing.T) {
	o := sdktest.Built(t, "./cmd/primum-probe-aldane").Replay(t, rack(t))
	want := []sdk.Attribute{{Name: "aldane.state", Value: "OK"}, {Name: "aldane.hours", Value: "001234"}}
	if len(o.Result.Attributes) != 2 || o.Result.Attributes[0] != want[0] || o.Result.Attributes[1] != want[1] {
		t.Errorf("attributes %v, want %v", o.Result.Attributes, want)
	}
}
