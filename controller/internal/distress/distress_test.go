package distress_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"primum/controller/internal/distress"
	"primum/controller/internal/store"
)

func at(minute int) time.Time { return time.Date(2026, 11, 24, 2, minute, 0, 0, time.UTC) }

func kase(device string, minute int, models ...string) store.Case {
	return store.Case{Permit: device, Device: device, Models: models, At: at(minute)}
}

// G10, DESIGN 6.6: the second distress of a model holds it, by whatever name a source gives it; a hold that a
// person lifted begins the count anew.
func TestTheSecondDistressOfAModelHoldsIt(t *testing.T) {
	held := store.Hold{Scope: "model", Value: "Dräger/Delta"}
	lifted := store.Hold{Scope: "model", Value: "drager / DELTA", LiftedAt: at(5)}
	for name, c := range map[string]struct {
		is      store.Case
		earlier []store.Case
		holds   []store.Hold
		want    string
	}{
		"the first":                      {kase("1", 1, "Dräger/Delta"), nil, nil, ""},
		"the second":                     {kase("2", 2, "Dräger/Delta"), []store.Case{kase("1", 1, "Dräger/Delta")}, nil, "Dräger/Delta"},
		"spelt otherwise":                {kase("2", 2, "Dräger/Delta"), []store.Case{kase("1", 1, "DRAGER / delta")}, nil, "Dräger/Delta"},
		"the same device again":          {kase("1", 2, "Dräger/Delta"), []store.Case{kase("1", 1, "Dräger/Delta")}, nil, "Dräger/Delta"},
		"another model":                  {kase("2", 2, "Dräger/Gamma"), []store.Case{kase("1", 1, "Dräger/Delta")}, nil, ""},
		"by the name of one source":      {kase("2", 2, "Acme/X", "Dräger/Delta"), []store.Case{kase("1", 1, "Dräger/Delta", "Acme/Y")}, nil, "Dräger/Delta"},
		"held already":                   {kase("2", 2, "Dräger/Delta"), []store.Case{kase("1", 1, "Dräger/Delta")}, []store.Hold{held}, ""},
		"lifted after the first":         {kase("2", 6, "Dräger/Delta"), []store.Case{kase("1", 1, "Dräger/Delta")}, []store.Hold{lifted}, ""},
		"the second after it was lifted": {kase("3", 7, "Dräger/Delta"), []store.Case{kase("1", 1, "Dräger/Delta"), kase("2", 6, "Dräger/Delta")}, []store.Hold{lifted}, "Dräger/Delta"},
		"held again after it was lifted": {kase("3", 7, "Dräger/Delta"), []store.Case{kase("1", 1, "Dräger/Delta"), kase("2", 6, "Dräger/Delta")}, []store.Hold{lifted, held}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			for _, h := range distress.Weigh(c.is, "it fell silent", c.earlier, c.holds, at(9)) {
				got += h.Value
				if h.Scope != "model" || h.PlacedBy != distress.Actor || !h.PlacedAt.Equal(at(9)) || !strings.Contains(h.Reason, "it fell silent") {
					t.Errorf("%+v", h)
				}
			}
			if got != c.want {
				t.Errorf("holds %q, not %q", got, c.want)
			}
		})
	}
}

// What cannot be held by its name is held with everything: a case that holds nothing would be none.
func TestAModelThatNoHoldCanNameHoldsEverything(t *testing.T) {
	long := "Acme/" + strings.Repeat("x", 300)
	holds := distress.Weigh(kase("2", 2, long), strings.Repeat("ä", 2000), []store.Case{kase("1", 1, long)}, nil, at(9))
	if len(holds) != 1 || holds[0].Scope != "all" || holds[0].Value != "" || len(holds[0].Reason) > 1024 || !utf8.ValidString(holds[0].Reason) {
		t.Errorf("%+v", holds)
	}
}
