package sandbox_test

import (
	"errors"
	"strings"
	"testing"

	"primum/plugins/sandbox"
	"primum/plugins/sandbox/confine"
)

// B7, B8: what may start at which level. Nothing is the default.
func TestWithoutConfinementOnlyBuiltInPluginsStartAndOnlyWhenAPersonSaidSo(t *testing.T) {
	none := proven(t, confine.None)
	for _, c := range []struct {
		name       string
		proof      confine.Proof
		trust      sandbox.Trust
		unconfined bool
		starts     bool
	}{
		{"nobody has tried", confine.Proof{}, sandbox.BuiltIn, true, false},
		{"nobody vouches", proven(t, confine.Full), sandbox.Untrusted, true, false},
		{"an unknown trust", proven(t, confine.Full), "friend", true, false},
		{"none, signed", none, sandbox.Signed, false, false},
		{"none, signed, with the setting", none, sandbox.Signed, true, false},
		{"none, built in", none, sandbox.BuiltIn, false, false},
		{"none, built in, with the setting", none, sandbox.BuiltIn, true, true},
		{"fallback, signed", proven(t, confine.Fallback), sandbox.Signed, false, true},
		{"full, signed", proven(t, confine.Full), sandbox.Signed, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, l := spec(t, "honest", "")
			s.Confinement, s.Trust, s.Unconfined = c.proof, c.trust, c.unconfined
			if !c.starts {
				if err := refused(t, s); (c.trust == sandbox.Signed || c.trust == sandbox.BuiltIn) && !errors.Is(err, sandbox.ErrUnconfined) {
					t.Error(err)
				}
				return
			}
			p, err := sandbox.Start(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Close(); err != nil {
				t.Error(err)
			}
			if !strings.Contains(l.String(), "sandbox="+string(c.proof.Level())) {
				t.Errorf("the log does not tell the level: %s", l)
			}
		})
	}
}
