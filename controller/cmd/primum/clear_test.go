package main

import (
	"crypto/ed25519"
	"strings"
	"testing"

	adminv1 "primum/proto/admin/v1"
	"primum/safetylists/permit"
)

// What goes to the agent is the approver's own signature, over the distress, the device and the reason.
func TestClearSignsOneWordForEachDistress(t *testing.T) {
	device := &adminv1.Device{Name: "devices/10-1", AssetTag: "10-1", Distresses: []*adminv1.Distress{
		{Run: "runs/r1", Agent: "agents/icu", Permit: "aa", State: "DISTRESS", Detail: "it fell silent\x1b[2J"},
		{Run: "runs/r2", Agent: "agents/icu", Permit: "bb", State: "DISTRESS", Clearing: true}}}
	s := serve(t, answers{"GetDevice": says(device), "GetRelease": says(&adminv1.ListRelease{Site: "demo"}), "ClearDevice": says(device)})
	out, complaints, code := s.primum(nil, "devices", "clear", "10-1", "--reason", "looked at, and well", "--key", keyFile(t, 7), "--by", "head")
	want(t, "clear", out+complaints, code, exitDone, "The clearance is signed by head, and on the way to the agent. Until the agent has it, the device is left alone.", "it fell silent?[2J")
	r := one[*adminv1.ClearDeviceRequest](t, s)
	c, _, err := permit.DecodeClearance(r.GetDocument())
	if err != nil || c.Site != "demo" || c.Agent != "icu" || c.Device != "10-1" || c.Permit != "aa" || c.Reason != "looked at, and well" || c.At.IsZero() || r.GetBy() != "head" {
		t.Errorf("%+v %v", c, err)
	}
	if err := permit.Verify(permit.DomainClearance, testKey(7).Public().(ed25519.PublicKey), r.GetDocument(), r.GetSignature()); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		text string
	}{
		"without a reason": {[]string{"--reason", " ", "--key", keyFile(t, 7), "--by", "head"}, exitUsage, "say why"},
		"too long":         {[]string{"--reason", strings.Repeat("x", 1025), "--key", keyFile(t, 7), "--by", "head"}, exitUsage, "1024"},
	} {
		out, complaints, code := s.primum(nil, append([]string{"devices", "clear", "10-1"}, c.args...)...)
		want(t, name, out+complaints, code, c.code, c.text)
	}
	well := serve(t, answers{"GetDevice": says(&adminv1.Device{Name: "devices/10-1"}), "GetRelease": says(&adminv1.ListRelease{Site: "demo"})})
	out, complaints, code = well.primum(nil, "devices", "clear", "10-1", "--reason", "x", "--key", keyFile(t, 7), "--by", "head")
	want(t, "a device that is well", out+complaints, code, exitRefused, "nothing was signed")
}
