package example_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"example.invalid/primum-probe-example"
	"primum/plugins/sdk"
	"primum/plugins/sdk/sdktest"
)

func question() sdk.SNMPGet {
	return sdk.SNMPGet{Version: sdk.SNMPv2c, RequestID: 200, OIDs: []string{"1.3.6.1.4.1.99999.1.1.0"}}
}

// pump is what an Acme pump receives and answers, by hand.
func pump(t *testing.T) sdktest.Peer {
	return sdktest.Peer{
		sdktest.Recv(octets(t, "3024 020101 0400 a01d 020200c8 020100 020100 3011 300f 060b 2b06010401868d1f010100 0500")),
		sdktest.Reply(octets(t, "302a 020101 0400 a223 020200c8 020100 020100 3017 3015 060b 2b06010401868d1f010100 0406 41432d303037")),
	}
}

func octets(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestProbeConforms(t *testing.T) {
	sdktest.Conform(t, example.Probe{}, sdktest.Example{Question: question(), Peer: pump(t)})
}

func TestPumpTellsItsSerialNumber(t *testing.T) {
	o := sdktest.Built(t, "./cmd/primum-probe-acme").Ask(t, question(), pump(t))
	if len(o.Result.Facts) != 1 || o.Result.Facts[0] != (sdk.Fact{Field: sdk.FieldSerial, Value: "AC-007", Origin: "acmePumpSerial.0"}) {
		t.Errorf("facts %v, %v", o.Result.Facts, o.Err)
	}
}
