package sdk

import (
	"strings"
	"unicode/utf8"
)

// maxText is the longest text of a fact or attribute, in characters.
const maxText = 255

// Text turns octets of a device into text that is safe to show, store and export: control
// characters (C0, C1), line separators and characters that change the direction or the look of
// writing are left out, octets that are not UTF-8 are shown as \xNN, and the rest is cut at 255
// characters (H-024).
func Text(b []byte) string { return cut(b, maxText) }

func cut(b []byte, limit int) string {
	var s strings.Builder
	s.Grow(min(len(b), limit))
	n := 0
	for len(b) > 0 && n < limit {
		r, size := utf8.DecodeRune(b)
		switch {
		case r == utf8.RuneError && size == 1:
			// Four characters for one octet: stop short rather than cut one in half.
			if n+4 > limit {
				return s.String()
			}
			const digits = "0123456789abcdef"
			s.WriteString(`\x`)
			s.WriteByte(digits[b[0]>>4])
			s.WriteByte(digits[b[0]&15])
			n += 4
		case hidden(r):
		default:
			s.WriteRune(r)
			n++
		}
		b = b[size:]
	}
	return s.String()
}

// hidden reports whether a character could forge a log line or turn writing around.
func hidden(r rune) bool {
	switch {
	case r < 0x20, r >= 0x7f && r <= 0x9f: // C0, DEL, C1
		return true
	case r == 0x061c, r == 0x180e, r == 0xfeff: // Arabic letter mark, vowel separator, byte order mark
		return true
	case r >= 0x200b && r <= 0x200f: // zero width, left-to-right and right-to-left marks
		return true
	case r >= 0x2028 && r <= 0x202e: // line and paragraph separators, embeddings, overrides
		return true
	case r >= 0x2060 && r <= 0x206f: // invisible operators, isolates
		return true
	case r >= 0xfff9 && r <= 0xfffb: // interlinear annotation
		return true
	case r >= 0xe0000 && r <= 0xe007f: // tags
		return true
	}
	return false
}
