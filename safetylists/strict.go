package safetylists

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// decodeStrict reads one JSON value and refuses unknown fields and anything after it.
func decodeStrict(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("more after the end of the document")
	}
	return nil
}
