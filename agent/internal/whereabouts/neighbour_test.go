package whereabouts

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"primum/plugins/lab/namespace"
	"primum/safetylists/alloctest"
)

// TestMain runs the tests in a network namespace of their own, whose neighbours they make.
func TestMain(m *testing.M) {
	if _, inside := namespace.Word(); !inside {
		os.Exit(namespace.Again("whereabouts"))
	}
	if err := namespace.Up(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func ip(t *testing.T, args string) {
	t.Helper()
	if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", args, err, out)
	}
}

// H-003: the real kernel's table, with an entry of each kind that matters.
func TestTheKernelsOwnTableIsRead(t *testing.T) {
	ip(t, "link add left type veth peer name right")
	defer ip(t, "link del left")
	ip(t, "link set left up")
	ip(t, "link set right up")
	ip(t, "addr add 10.9.0.1/24 dev left")
	for i, state := range []string{"reachable", "stale", "permanent", "failed"} {
		ip(t, fmt.Sprintf("neigh add 10.9.0.%d lladdr 02:00:00:00:00:0%d dev left nud %s", 10+i, i, state))
	}
	ip(t, "neigh add fd00::9 lladdr 02:00:00:00:00:09 dev left nud reachable")
	all, err := Neighbours()
	if err != nil {
		t.Fatal(err)
	}
	got := map[netip.Addr]Neighbour{}
	for _, n := range all {
		got[n.Address] = n
	}
	for address, mac := range map[string]string{"10.9.0.10": "02:00:00:00:00:00", "10.9.0.11": "02:00:00:00:00:01", "10.9.0.12": "02:00:00:00:00:02", "fd00::9": "02:00:00:00:00:09"} {
		n, ok := got[netip.MustParseAddr(address)]
		if !ok || n.MAC.String() != mac || n.Confirmed > 2*time.Minute || n.Permanent != (address == "10.9.0.12") {
			t.Errorf("%s: %+v %v", address, n, ok)
		}
	}
	if n, ok := got[netip.MustParseAddr("10.9.0.13")]; ok {
		t.Errorf("one that was not found: %+v", n)
	}
}

func FuzzParseNeighbours(f *testing.F) {
	b := []byte{60, 0, 0, 0, 28, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 1, 8, 0, 1, 0, 10, 9, 0, 10, 10, 0, 2, 0, 2, 0, 0, 0, 0, 1, 0, 0, 12, 0, 3, 0, 1, 0, 0, 0, 0, 0, 0, 0}
	f.Add(b)
	f.Add(b[:40])
	f.Fuzz(func(t *testing.T, b []byte) {
		alloctest.Bounded(t, b, 100, 64<<10, func() {
			all, err := ParseNeighbours(b)
			if err != nil {
				return
			}
			for _, n := range all {
				if len(n.MAC) == 0 || !n.Address.IsValid() || n.Confirmed < 0 {
					t.Errorf("%+v", n)
				}
			}
		})
	})
}
