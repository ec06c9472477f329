package wave_test

import (
	"fmt"
	"testing"
	"time"

	"primum/controller/internal/wave"
)

const watch = 10 * time.Minute

func at(minute int) time.Time {
	return time.Date(2026, 11, 24, 2, 0, 0, 0, time.UTC).Add(time.Duration(minute) * time.Minute)
}

func visits(n int, s wave.State, minute int) (out []wave.Visit) {
	for i := range n {
		out = append(out, wave.Visit{Device: fmt.Sprint(s, "-", i), State: s, At: at(minute)})
	}
	return out
}

// DESIGN 6.9: waves of 1, 5, 25 percent and the rest, each after the one before was well for its watch.
func TestAWaveBeginsOnlyAfterTheOneBeforeStayedWell(t *testing.T) {
	for name, c := range map[string]struct {
		visits  []wave.Visit
		devices int
		now     int
		want    int // devices; -1: all
		again   int // minute; 0: none
	}{
		"nobody was asked":                         {nil, 40, 0, 1, 0},
		"one is under way":                         {visits(1, wave.Out, 0), 40, 1, 0, 0},
		"one was absent: another may be the first": {visits(1, wave.Mute, 0), 40, 1, 1, 0},
		"one is well, and watched":                 {visits(1, wave.Well, 1), 40, 10, 0, 11},
		"its watch is over":                        {visits(1, wave.Well, 1), 40, 11, 5, 0},
		"three of five are under way":              {append(visits(1, wave.Well, 1), visits(3, wave.Out, 0)...), 40, 12, 2, 0},
		"six are well, and watched":                {visits(6, wave.Well, 12), 40, 13, 0, 22},
		"a quarter of forty":                       {visits(6, wave.Well, 12), 40, 22, 4, 0},
		"a quarter of two thousand":                {visits(6, wave.Well, 12), 2000, 22, 494, 0},
		"a quarter of eight is less than six":      {visits(6, wave.Well, 12), 8, 22, -1, 0},
		"a quarter, watched":                       {visits(10, wave.Well, 30), 40, 39, 0, 40},
		"the rest":                                 {visits(10, wave.Well, 30), 40, 40, -1, 0},
		"two devices in all, the first watched":    {visits(1, wave.Well, 1), 2, 5, 0, 11},
		"two devices in all":                       {visits(1, wave.Well, 1), 2, 11, 1, 0},
		"both are well, and watched":               {visits(2, wave.Well, 12), 2, 13, 0, 22},
		"both are well":                            {visits(2, wave.Well, 12), 2, 22, -1, 0},
		"one of a quarter is ill":                  {append(visits(9, wave.Well, 1), visits(1, wave.Ill, 30)...), 40, 500, 0, 0},
		"no device is known":                       {nil, 0, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			got := wave.Next(c.visits, wave.Reach{Asked: c.devices, Known: c.devices}, watch, at(c.now))
			want := max(c.want, 0)
			if got.All != (c.want < 0) || !got.All && got.Devices != want || got.Again.IsZero() != (c.again == 0) || c.again != 0 && !got.Again.Equal(at(c.again)) {
				t.Errorf("%+v", got)
			}
			if !got.All && got.Devices == 0 && got.Why == "" {
				t.Error("it does not say why")
			}
		})
	}
}

// A call for one device at a time is in the same waves: its model has other devices.
func TestACallForOneDeviceWaitsForTheWavesOfItsModel(t *testing.T) {
	reach := wave.Reach{Asked: 1, Known: 40}
	if got := wave.Next(visits(1, wave.Well, 1), reach, watch, at(5)); got.All || got.Devices != 0 {
		t.Errorf("while the first is watched: %+v", got)
	}
	if got := wave.Next(visits(6, wave.Well, 12), reach, watch, at(15)); got.All || got.Devices != 0 {
		t.Errorf("while the five are watched: %+v", got)
	}
}
