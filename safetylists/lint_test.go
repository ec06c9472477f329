package safetylists

import (
	"strings"
	"testing"
)

// A file that a person has begun and not finished is not called finished: evidence that nobody has written would
// stand in a signed list.
func TestLintNamesEachPlaceOfTheEvidenceThatIsStillToBeFilledIn(t *testing.T) {
	text := vendorList
	for field, was := range map[string]string{"kind": "laboratory", "title": "made for a test", "says": "nothing", "provenance": "made for a test"} {
		began := strings.Replace(text, field+": "+was, field+`: "<something>"`, 1)
		f, err := Load("begun.yaml", []byte(began))
		if err != nil {
			t.Fatalf("%s: %v", field, err)
		}
		found := false
		for _, finding := range f.Lint() {
			found = found || strings.Contains(finding.Says, "evidence 1: "+field+" still has a place")
		}
		if !found {
			t.Errorf("%s is not named: %v", field, f.Lint())
		}
	}
	f, err := Load("whole.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, finding := range f.Lint() {
		if strings.Contains(finding.Says, "filled in") {
			t.Errorf("a whole file: %s", finding.Says)
		}
	}
}
