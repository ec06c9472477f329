// Package whereabouts answers one question: does this address still belong to this device? It reads
// the lease file that the site's DHCP server writes, and the kernel's neighbour table if told to; without an entry
// in one of them the answer is that nothing proves it, and the device is not asked (H-003). It never reaches wire and sends nothing.
package whereabouts

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	list "primum/safetylists"
)

// MaxAge is how old a proof may be at the first byte.
const MaxAge = 5 * time.Minute

// Form is how a DHCP server writes its leases.
type Form string

// The forms.
const (
	Dnsmasq Form = "dnsmasq" // lines of expiry (Unix seconds, 0: never), MAC, address, name and client id
	Kea     Form = "kea"     // memfile, CSV
	ISC     Form = "isc"     // dhcpd.leases
)

// Leases is the lease file of a DHCP server. The zero value proves nothing.
type Leases struct {
	Path string
	Form Form // empty: dnsmasq

	kept *kept
}

// kept is what a file held when it was read last.
type kept struct {
	mu     sync.Mutex
	file   os.FileInfo // guarded by mu, as is all below; nil: nothing was read
	leases []Lease
	err    error
}

// Kept returns the same file, which is read anew only when it has changed: a hospital's has ten thousand lines, and an address is
// proven before every message.
func (l Leases) Kept() Leases {
	l.kept = &kept{}
	return l
}

// settled is how long ago a file has to have been written so that a later write shows in its time: file systems count in ticks.
const settled = time.Second

// read returns the leases of an open file.
func (l Leases) read(f *os.File, st os.FileInfo) ([]Lease, error) {
	if l.kept == nil {
		return l.Form.parse(f)
	}
	l.kept.mu.Lock()
	defer l.kept.mu.Unlock()
	if k := l.kept; k.file != nil && os.SameFile(k.file, st) && k.file.Size() == st.Size() && k.file.ModTime().Equal(st.ModTime()) {
		return k.leases, k.err
	}
	l.kept.file = nil
	leases, err := l.Form.parse(f)
	if age := time.Since(st.ModTime()); age > settled {
		l.kept.file, l.kept.leases, l.kept.err = st, leases, err
	}
	return leases, err
}

func (f Form) parse(r io.Reader) ([]Lease, error) {
	switch f {
	case Dnsmasq, "":
		return Parse(r)
	case Kea:
		return ParseKea(r)
	case ISC:
		return ParseISC(r)
	}
	return nil, fmt.Errorf("lease files of the form %q are not known", string(f))
}

// look says whether the address is proven to belong to the device at a moment. The file is looked at in each call, so that
// no proof is older than the file, and the file itself may be at most MaxAge old or name a lease that is still running.
func (l Leases) look(d list.Device, at time.Time) look {
	unproven := func(why string) look { return look{no: list.Refuse(list.AddressUnproven, why)} }
	if l.Path == "" {
		return unproven("the agent watches no lease file")
	}
	want, err := net.ParseMAC(d.MAC)
	if err != nil {
		return unproven("the inventory has no MAC for it")
	}
	f, err := os.Open(l.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return unproven("the lease file is not there")
	}
	if err != nil {
		return unproven(err.Error())
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return unproven(err.Error())
	}
	if age := at.Sub(st.ModTime()); age > MaxAge || age < -MaxAge {
		return unproven("the lease file was last written more than 5 minutes ago, or is from the future")
	}
	leases, err := l.read(f, st)
	if err != nil {
		return unproven(err.Error())
	}
	seen := held(leases, want, d.Address, at)
	words := ""
	if seen.IsValid() {
		words = "; the device's own card holds " + seen.String()
	}
	proven := false
	for _, lease := range leases {
		if lease.Address.Unmap() != d.Address || !lease.runs(at) {
			continue
		}
		if lease.MAC.String() != want.String() {
			return look{no: moved(seen, fmt.Sprintf("the lease of %s is held by %s%s", d.Address, lease.MAC, words))}
		}
		proven = true // unless another line has the address too
	}
	if proven {
		return look{}
	}
	return look{no: list.Refuse(list.AddressUnproven, "no running lease for "+d.Address.String()+words), seen: seen}
}

// held is the address that the device's own card holds now, for the technician who goes and looks.
func held(all []Lease, mac net.HardwareAddr, than netip.Addr, at time.Time) (found netip.Addr) {
	for _, l := range all {
		if bytes.Equal(l.MAC, mac) && l.runs(at) && another(l.Address, than) {
			return l.Address.Unmap()
		}
	}
	return found
}

// runs reports whether the lease has not ended.
func (l Lease) runs(at time.Time) bool { return l.Expires.IsZero() || at.Before(l.Expires) }

// Lease is one line of the file.
type Lease struct {
	Expires time.Time // zero: never
	MAC     net.HardwareAddr
	Address netip.Addr
}

const maxLines = 1 << 17

// Parse reads a lease file of dnsmasq. A line that is not a lease is an error: a file that is half understood
// proves nothing.
func Parse(r io.Reader) ([]Lease, error) {
	var out []Lease
	sc := bufio.NewScanner(r)
	for n := 1; sc.Scan(); n++ {
		f := strings.Fields(sc.Text())
		if len(f) == 0 || f[0] == "duid" {
			continue
		}
		if n > maxLines {
			return nil, fmt.Errorf("the lease file has more than %d lines", maxLines)
		}
		if len(f) < 4 {
			return nil, fmt.Errorf("line %d of the lease file is not a lease", n)
		}
		secs, err := strconv.ParseInt(f[0], 10, 64)
		mac, macErr := net.ParseMAC(f[1])
		addr, addrErr := netip.ParseAddr(f[2])
		if err != nil || macErr != nil || addrErr != nil {
			return nil, fmt.Errorf("line %d of the lease file is not a lease", n)
		}
		lease := Lease{MAC: mac, Address: addr}
		if secs != 0 {
			lease.Expires = time.Unix(secs, 0)
		}
		out = append(out, lease)
	}
	return out, sc.Err()
}
