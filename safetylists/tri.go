package safetylists

// Tri is the answer to "does this statement speak of this device?" in three values. The zero value
// is Unknown: it is enough for a deny and never enough for an allow.
type Tri uint8

// The three values.
const (
	Unknown Tri = iota // what is known of the device neither shows nor excludes it
	No                 // certainly not
	Yes                // certainly
)

// String returns "unknown", "no" or "yes".
func (t Tri) String() string {
	switch t {
	case Yes:
		return "yes"
	case No:
		return "no"
	default:
		return "unknown"
	}
}

// And is No when either is No, Yes when both are Yes, otherwise Unknown.
func (t Tri) And(u Tri) Tri {
	switch {
	case t == No || u == No:
		return No
	case t == Yes && u == Yes:
		return Yes
	default:
		return Unknown
	}
}

// Or is Yes when either is Yes, No when both are No, otherwise Unknown.
func (t Tri) Or(u Tri) Tri {
	switch {
	case t == Yes || u == Yes:
		return Yes
	case t == No && u == No:
		return No
	default:
		return Unknown
	}
}

// Could reports whether the statement could speak of the device: the test of a deny.
func (t Tri) Could() bool { return t != No }

// Certain reports whether the statement certainly speaks of the device: the test of an allow.
func (t Tri) Certain() bool { return t == Yes }
