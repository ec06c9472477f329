package release

import (
	"fmt"
	"strings"
	"testing"
)

// Makers are compared with each other: a file of many is refused by its count, not after an hour.
func TestMoreMakersThanRolesAreRefusedBeforeTheyAreCompared(t *testing.T) {
	var b strings.Builder
	b.WriteString("schema: primum-makers/1\nmakers:\n")
	for i := range 20000 {
		fmt.Fprintf(&b, "- {name: m%d, spellings: [M%d]}\n", i, i)
	}
	many := "schema: primum-makers/1\nmakers:\n- {name: m1, spellings: [M" + strings.Repeat(", M", maxNames) + "]}\n"
	for _, text := range []string{b.String(), many} {
		if _, err := ReadMakers([]byte(text)); err == nil || !strings.Contains(err.Error(), "at most") {
			t.Errorf("%v", err)
		}
	}
}
