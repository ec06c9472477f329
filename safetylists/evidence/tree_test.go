package evidence_test

import (
	"fmt"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"primum/safetylists/evidence"
)

// H-042: what a trimmed journal keeps of its tree grows on as the whole one, at every size.
func TestATreeGrowsOnFromItsEdge(t *testing.T) {
	for n := range uint64(140) {
		var whole evidence.Tree
		for i := range n {
			whole.Add([]byte(fmt.Sprint("record", i)))
		}
		again, err := evidence.Regrow(n, whole.Edge())
		if err != nil {
			t.Fatal(err)
		}
		for more := range 5 {
			b := []byte(fmt.Sprint("more", more))
			whole.Add(b)
			again.Add(b)
			want, wantErr := whole.Root()
			got, err := again.Root()
			if err != nil || wantErr != nil || got != want || again.Size() != whole.Size() {
				t.Fatalf("%d records and %d more: size %d, root %s, want %s: %v", n, more+1, again.Size(), got, want, err)
			}
		}
		edge := whole.Edge()
		for name, wrong := range map[string][]tlog.Hash{"one hash less": edge[1:], "one hash more": append(edge[:len(edge):len(edge)], tlog.Hash{})} {
			if _, err := evidence.Regrow(whole.Size(), wrong); err == nil {
				t.Errorf("%d records with an edge of %s", whole.Size(), name)
			}
		}
	}
}
