package evidence

import (
	"bytes"
	"fmt"
	"io"
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
