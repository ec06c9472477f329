package permit

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"time"
)

const clearanceSchema = "primum-clearance/1"

// DomainClearance is that of a [Clearance].
const DomainClearance Domain = "primum clearance 1"

// Clearance is a person's word that a device which was in distress has been looked at and may be asked again. It
// is for one distress, that of the permit which it names, so that it clears no later one. An approver of the
// site signs it: a controller alone lifts nothing (H-009).
type Clearance struct {
	Schema string    `json:"schema"`
	Site   string    `json:"site"`
	Agent  string    `json:"agent"`
	Device string    `json:"device"` // asset tag that it was asked under
	Permit string    `json:"permit"` // of the question that ended in distress
	Reason string    `json:"reason"` // what the person saw
	At     time.Time `json:"at"`
}

// Encode returns the canonical bytes, which is what the approver signs.
func (c Clearance) Encode() ([]byte, error) {
	c.Schema = clearanceSchema
	return canonical(c)
}

// maxClearance bounds the document, in octets.
const maxClearance = 8 << 10

// DecodeClearance reads canonical bytes.
func DecodeClearance(b []byte) (Clearance, Digest, error) {
	var c Clearance
	if len(b) > maxClearance {
		return Clearance{}, Digest{}, fmt.Errorf("read clearance: %d octets are more than %d", len(b), maxClearance)
	}
	if err := decodeCanonical(b, &c); err != nil {
		return Clearance{}, Digest{}, fmt.Errorf("read clearance: %w", err)
	}
	switch {
	case c.Schema != clearanceSchema:
		return Clearance{}, Digest{}, fmt.Errorf("read clearance: schema is %q, not %s", c.Schema, clearanceSchema)
	case c.Site == "" || c.Agent == "" || c.Device == "" || c.Permit == "":
		return Clearance{}, Digest{}, fmt.Errorf("read clearance: site, agent, device and permit are required")
	case strings.TrimSpace(c.Reason) == "" || len(c.Reason) > 1024:
		return Clearance{}, Digest{}, fmt.Errorf("read clearance: it says in at most 1024 octets what a person has seen")
	}
	return c, sha256.Sum256(b), nil
}
