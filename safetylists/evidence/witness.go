package evidence

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
)

// maxWitness bounds a witness file: heads of every minute of ten years.
const maxWitness = 4 << 30

// ReadWitness reads the heads of one verifier out of a file that an agent appended them to, one after the other
// with an empty line after each. What is not one of them is counted: a crash leaves half a head, and the file may
// serve several agents.
func ReadWitness(r io.Reader, verifier string) (heads []TreeHead, others int, err error) {
	b, err := io.ReadAll(io.LimitReader(r, maxWitness))
	if err != nil {
		return nil, 0, fmt.Errorf("read witness file: %w", err)
	}
	for _, part := range bytes.Split(b, []byte(headOrigin)) {
		if len(bytes.TrimSpace(part)) == 0 {
			continue
		}
		h, err := OpenHead(append([]byte(headOrigin), bytes.TrimSuffix(part, []byte("\n"))...), verifier)
		if err != nil {
			others++
			continue
		}
		heads = append(heads, h)
	}
	return heads, others, nil
}

// Sorted parts the heads of a witness into those of one journal and the newest one of each other journal, oldest first. Whoever has the
// database may leave a whole journal out: only the witness tells of it then (H-029).
func Sorted(heads []TreeHead, incarnation string) (its, others []TreeHead) {
	newest := map[string]TreeHead{}
	for _, h := range heads {
		if h.Incarnation == incarnation {
			its = append(its, h)
		} else if is, ok := newest[h.Incarnation]; !ok || h.Size > is.Size || h.Size == is.Size && h.At.After(is.At) {
			newest[h.Incarnation] = h
		}
	}
	for _, h := range newest {
		others = append(others, h)
	}
	slices.SortFunc(others, func(a, b TreeHead) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Incarnation, b.Incarnation)) })
	return its, others
}
