package permit

import (
	"crypto/ed25519"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// MaxLife is the longest time that a permit is valid (DESIGN 6.5).
const MaxLife = 10 * time.Minute

// MaxSize is the largest permit, in octets, with its signature.
const MaxSize = 512

// ID names one permit, and with it one question asked at most once.
type ID [16]byte

// String returns 32 hex digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// Permit is leave to put one item of one plan to one device, once. The zero value is no permit.
type Permit struct {
	ID      ID
	Plan    Digest         // of the plan document
	Item    uint32         // index in the plan's items
	Order   string         // work order, at most 64 octets
	Ordinal uint32         // task in the work order
	Agent   string         // name of the one agent, at most 64 octets
	Device  string         // asset tag, at most 64 octets
	Address netip.AddrPort // where
	Epoch   uint64         // session of the agent that it was minted for
	From    time.Time      // valid from, whole milliseconds
	Until   time.Time      // valid until, at most MaxLife after From
	Closes  time.Time      // end of the approved time
}

var magic = [4]byte{'P', 'M', 'P', '1'}

// ErrForm says that bytes are not a permit in canonical form.
var ErrForm = errors.New("not a permit in canonical form")

// Sign encodes the permit and appends the signature.
func (p Permit) Sign(key ed25519.PrivateKey) ([]byte, error) {
	body, err := p.encode()
	if err != nil {
		return nil, err
	}
	return append(body, Sign(DomainPermit, key, body)...), nil
}

func (p Permit) encode() ([]byte, error) {
	if p.Until.Sub(p.From) > MaxLife || !p.From.Before(p.Until) {
		return nil, fmt.Errorf("mint permit: valid for %s; at most %s", p.Until.Sub(p.From), MaxLife)
	}
	if !p.Address.IsValid() || p.Address.Addr().Zone() != "" {
		return nil, fmt.Errorf("mint permit: address %s is not a plain address and port", p.Address)
	}
	b := append([]byte(nil), magic[:]...)
	b = append(b, p.ID[:]...)
	b = append(b, p.Plan[:]...)
	b = binary.BigEndian.AppendUint32(b, p.Item)
	b = binary.BigEndian.AppendUint32(b, p.Ordinal)
	b = binary.BigEndian.AppendUint64(b, p.Epoch)
	for _, t := range []time.Time{p.From, p.Until, p.Closes} {
		b = binary.BigEndian.AppendUint64(b, uint64(t.UnixMilli()))
	}
	addr := p.Address.Addr().As16()
	b = append(b, addr[:]...)
	b = binary.BigEndian.AppendUint16(b, p.Address.Port())
	for _, s := range []string{p.Order, p.Agent, p.Device} {
		if len(s) > 64 {
			return nil, fmt.Errorf("mint permit: name %q is longer than 64 octets", s)
		}
		b = append(b, byte(len(s)))
		b = append(b, s...)
	}
	return b, nil
}

const fixedSize = 4 + 16 + 32 + 4 + 4 + 8 + 3*8 + 16 + 2

// Open verifies the signature first and only then reads the permit. It fails with ErrSignature or
// ErrForm.
func Open(b []byte, key ed25519.PublicKey) (Permit, error) {
	if len(b) > MaxSize || len(b) < fixedSize+3+ed25519.SignatureSize {
		return Permit{}, fmt.Errorf("open permit: %d octets: %w", len(b), ErrForm)
	}
	body, sig := b[:len(b)-ed25519.SignatureSize], b[len(b)-ed25519.SignatureSize:]
	if err := Verify(DomainPermit, key, body, sig); err != nil {
		return Permit{}, fmt.Errorf("open permit: %w", err)
	}
	return decode(body)
}

func decode(b []byte) (Permit, error) {
	if len(b) < fixedSize+3 || [4]byte(b) != magic {
		return Permit{}, fmt.Errorf("open permit: %w", ErrForm)
	}
	p := Permit{ID: ID(b[4:]), Plan: Digest(b[20:])}
	p.Item = binary.BigEndian.Uint32(b[52:])
	p.Ordinal = binary.BigEndian.Uint32(b[56:])
	p.Epoch = binary.BigEndian.Uint64(b[60:])
	for i, t := range []*time.Time{&p.From, &p.Until, &p.Closes} {
		*t = time.UnixMilli(int64(binary.BigEndian.Uint64(b[68+8*i:]))).UTC()
	}
	p.Address = netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[92:])).Unmap(), binary.BigEndian.Uint16(b[108:]))
	rest := b[fixedSize:]
	for _, s := range []*string{&p.Order, &p.Agent, &p.Device} {
		if len(rest) == 0 || len(rest) < 1+int(rest[0]) || rest[0] > 64 {
			return Permit{}, fmt.Errorf("open permit: %w", ErrForm)
		}
		*s, rest = string(rest[1:1+rest[0]]), rest[1+rest[0]:]
	}
	if len(rest) != 0 || !p.From.Before(p.Until) || p.Until.Sub(p.From) > MaxLife {
		return Permit{}, fmt.Errorf("open permit: %w", ErrForm)
	}
	return p, nil
}
