package safetylists

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// fold makes two spellings of one name equal: case, accents, runs of white space, marks of trade and signs that
// nobody sees do not count, and one dash is as good as another.
func fold(s string) string {
	if isFolded(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	space := false
	for _, r := range norm.NFKD.String(strings.Map(unmarked, s)) {
		switch {
		case unicode.IsSpace(r):
			space = b.Len() > 0
		case unicode.In(r, unicode.Mn, unicode.Cc, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point):
		default:
			if space {
				b.WriteByte(' ')
				space = false
			}
			if unicode.Is(unicode.Pd, r) || r == '\u2212' { // a minus
				r = '-'
			}
			b.WriteRune(unicode.ToLower(r))
		}
	}
	return b.String()
}

// unmarked makes white space of a mark of trade, which would else become letters (NFKD).
func unmarked(r rune) rune {
	switch r {
	case '\u00a9', '\u00ae', '\u2117', '\u2120', '\u2122': // copyright, registered, sound, service, trade
		return ' '
	}
	return r
}

// SameName reports whether two names are spellings of one: case, accents and white space do not count, nor
// white space around a slash, as in "maker/model". Two empty names are the same.
func SameName(a, b string) bool {
	x, y := strings.Split(a, "/"), strings.Split(b, "/")
	return slices.EqualFunc(x, y, func(a, b string) bool { return fold(a) == fold(b) })
}

// isFolded lets names that were folded before pass without allocating.
func isFolded(s string) bool {
	last := byte(' ')
	for i := range len(s) {
		c := s[i]
		if c >= 0x7f || c < ' ' || (c >= 'A' && c <= 'Z') || (c == ' ' && last == ' ') {
			return false
		}
		last = c
	}
	return last != ' ' || s == ""
}

// spaced is a folded name as a denial reads it: only letters and digits, each run of either a word of its
// own. So SC7000, SC-7000 and SC 7000 are one name, however somebody has typed it. A name of neither stays
// as it is.
func spaced(name string) string {
	const none, letter, digit = 0, 1, 2
	out, last := make([]byte, 0, len(name)+8), none
	for _, r := range name {
		class := none
		switch {
		case r >= '0' && r <= '9':
			class = digit
		case r >= 'a' && r <= 'z' || r >= 0x80 && (unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r) || r == unicode.ReplacementChar):
			class = letter
		}
		if class != none {
			if last != class && len(out) > 0 {
				out = append(out, ' ')
			}
			out = utf8.AppendRune(out, r)
		}
		last = class
	}
	if len(out) == 0 {
		return name
	}
	return string(out)
}

// containsWords reports whether the words of part stand together in whole, both folded.
func containsWords(whole, part string) bool {
	if part == "" {
		return false
	}
	for rest := whole; ; {
		i := strings.Index(rest, part)
		if i < 0 {
			return false
		}
		before := i == 0 || !isWordByte(rest[i-1])
		end := i + len(part)
		after := end == len(rest) || !isWordByte(rest[end])
		if before && after {
			return true
		}
		rest = rest[i+1:]
	}
}

func isWordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c >= 0x80
}

// Plain is a name without case, accents and runs of white space, as names are compared.
func Plain(name string) string { return fold(name) }
