package whereabouts

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"
)

// ParseISC reads dhcpd.leases of ISC's DHCP server (dhcpd.leases(5)). The server appends to it, so that the last
// declaration of an address counts, and only one whose binding state is active is a lease. Times are UTC, as the
// server writes them unless told to use epoch time, which is read too.
func ParseISC(r io.Reader) ([]Lease, error) {
	s := &iscScanner{r: bufio.NewReader(io.LimitReader(r, maxISC+1))}
	newest := map[netip.Addr]int{}
	var out []Lease
	for {
		word, err := s.next()
		if errors.Is(err, io.EOF) {
			return running(out), nil
		}
		if err != nil {
			return nil, s.wrong(err)
		}
		if word != "lease" {
			if err := s.skip(word); err != nil {
				return nil, s.wrong(err)
			}
			continue
		}
		lease, err := s.lease()
		if err != nil {
			return nil, s.wrong(err)
		}
		if i, ok := newest[lease.Address]; ok {
			out[i] = lease
			continue
		}
		newest[lease.Address] = len(out)
		out = append(out, lease)
	}
}

// maxISC bounds the file, in octets.
const maxISC = 64 << 20

// iscScanner reads words, strings and the signs { } ; of the file.
type iscScanner struct {
	r    *bufio.Reader
	line int
	read int
}

func (s *iscScanner) wrong(err error) error {
	return fmt.Errorf("line %d of the lease file: %w", s.line+1, err)
}

func (s *iscScanner) byte() (byte, error) {
	b, err := s.r.ReadByte()
	if err != nil {
		return 0, err
	}
	if s.read++; s.read > maxISC {
		return 0, errors.New("the file is too long")
	}
	if b == '\n' {
		s.line++
	}
	return b, nil
}

func (s *iscScanner) back(b byte) error {
	s.read--
	if b == '\n' {
		s.line--
	}
	return s.r.UnreadByte()
}

// next returns the next word or sign; a string comes back as a quote and its text. It fails with io.EOF at the end.
func (s *iscScanner) next() (string, error) {
	var word []byte
	comment := false
	for {
		b, err := s.byte()
		if errors.Is(err, io.EOF) && len(word) > 0 {
			return string(word), nil
		}
		switch {
		case err != nil:
			return "", err
		case comment:
			comment = b != '\n'
		case b == ' ', b == '\t', b == '\n', b == '\r', b == ';', b == '{', b == '}', b == '#', b == '"':
			if len(word) > 0 {
				return string(word), s.back(b)
			}
			switch b {
			case ';', '{', '}':
				return string(b), nil
			case '#':
				comment = true
			case '"':
				return s.text()
			}
		default:
			if word = append(word, b); len(word) > 256 {
				return "", errors.New("a word of more than 256 octets")
			}
		}
	}
}

func (s *iscScanner) text() (string, error) {
	word := []byte{'"'}
	for {
		b, err := s.byte()
		if err != nil {
			return "", errors.Join(err, io.ErrUnexpectedEOF)
		}
		switch b {
		case '"':
			return string(word), nil
		case '\\':
			if b, err = s.byte(); err != nil {
				return "", errors.Join(err, io.ErrUnexpectedEOF)
			}
		}
		if word = append(word, b); len(word) > 4096 {
			return "", errors.New("a string of more than 4,096 octets")
		}
	}
}

// must is next where the file may not end.
func (s *iscScanner) must() (string, error) {
	word, err := s.next()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return word, err
}

// skip passes over one statement that began with a word, to its end.
func (s *iscScanner) skip(word string) error {
	if word == "{" || word == "}" || word == ";" || word[0] == '"' {
		return fmt.Errorf("%q is not the beginning of a statement", word)
	}
	depth := 0
	for {
		w, err := s.must()
		switch {
		case err != nil:
			return err
		case w == "{":
			depth++
		case w == "}":
			if depth--; depth <= 0 {
				if depth < 0 {
					return errors.New("a } too many")
				}
				return nil
			}
		case w == ";" && depth == 0:
			return nil
		}
	}
}

// lease reads one declaration after its first word.
func (s *iscScanner) lease() (Lease, error) {
	word, err := s.must()
	if err != nil {
		return Lease{}, err
	}
	var l Lease
	if l.Address, err = netip.ParseAddr(word); err != nil {
		return l, err
	}
	if word, err = s.must(); err != nil || word != "{" {
		return l, errors.Join(err, errors.New("a lease without {"))
	}
	var mac net.HardwareAddr
	active, ends := false, false
	for {
		if word, err = s.must(); err != nil {
			return l, err
		}
		switch word {
		case "}":
			if active {
				if mac == nil || !ends {
					return l, errors.New("an active lease without hardware or end")
				}
				l.MAC = mac
			}
			return l, nil
		case "ends":
			if l.Expires, err = s.time(); err != nil {
				return l, err
			}
			ends = true
		case "binding":
			f, err := s.statement()
			if err != nil || len(f) != 2 || f[0] != "state" {
				return l, errors.Join(err, errors.New("a binding without state"))
			}
			active = f[1] == "active"
		case "hardware":
			f, err := s.statement()
			if err != nil || len(f) != 2 {
				return l, errors.Join(err, errors.New("hardware without an address"))
			}
			if mac, err = net.ParseMAC(padded(f[1])); err != nil {
				return l, err
			}
		default:
			if err := s.skip(word); err != nil {
				return l, err
			}
		}
	}
}

// padded gives each octet of a hardware address its two digits; the server leaves leading zeros away.
func padded(mac string) string {
	parts := strings.Split(mac, ":")
	for i, p := range parts {
		if len(p) == 1 {
			parts[i] = "0" + p
		}
	}
	return strings.Join(parts, ":")
}

// statement returns the words up to the next semicolon.
func (s *iscScanner) statement() (f []string, err error) {
	for len(f) < 8 {
		word, err := s.must()
		if err != nil {
			return nil, err
		}
		if word == ";" {
			return f, nil
		}
		f = append(f, word)
	}
	return nil, errors.New("a statement of too many words")
}

// time reads "never;", "4 2026/11/24 02:00:00;" or "epoch 1795485600;". Zero: never.
func (s *iscScanner) time() (time.Time, error) {
	f, err := s.statement()
	switch {
	case err != nil:
		return time.Time{}, err
	case len(f) == 1 && f[0] == "never":
		return time.Time{}, nil
	case len(f) == 3:
		return time.Parse("2006/01/02 15:04:05", f[1]+" "+f[2])
	case len(f) == 2 && f[0] == "epoch":
		var secs int64
		if _, err := fmt.Sscanf(f[1], "%d", &secs); err != nil || fmt.Sprint(secs) != f[1] {
			return time.Time{}, fmt.Errorf("%q is not a time", f[1])
		}
		return time.Unix(secs, 0), nil
	}
	return time.Time{}, fmt.Errorf("%q is not a time", strings.Join(f, " "))
}
