package whereabouts

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"time"
)

// ParseKea reads the memfile of Kea's DHCPv4 server (Kea ARM, "Memfile Basic Storage For Leases"): CSV with a head
// line. The server appends to it, so that the last line of an address counts; a line whose lifetime is 0 gives it
// back. A lease that was declined or reclaimed is none.
func ParseKea(r io.Reader) ([]Lease, error) {
	c := csv.NewReader(r)
	c.FieldsPerRecord = -1 // newer versions have more columns; those that are read come first
	c.ReuseRecord = true
	head, err := c.Read()
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	const columns = 10
	want := [columns]string{"address", "hwaddr", "client_id", "valid_lifetime", "expire", "subnet_id", "fqdn_fwd", "fqdn_rev", "hostname", "state"}
	if err != nil || len(head) < columns || [columns]string(head[:columns]) != want {
		return nil, errors.New("line 1 of the lease file is not the head of Kea's memfile")
	}
	newest := map[netip.Addr]int{}
	var out []Lease
	for n := 2; ; n++ {
		f, err := c.Read()
		if errors.Is(err, io.EOF) {
			return running(out), nil
		}
		if err == nil && n > maxLines {
			err = fmt.Errorf("the lease file has more than %d lines", maxLines)
		}
		if err != nil || len(f) < columns {
			return nil, fmt.Errorf("line %d of the lease file is not a lease: %w", n, errors.Join(err, io.ErrUnexpectedEOF))
		}
		addr, addrErr := netip.ParseAddr(f[0])
		lifetime, lifeErr := strconv.ParseUint(f[3], 10, 32)
		expire, endErr := strconv.ParseInt(f[4], 10, 64)
		state, stateErr := strconv.ParseUint(f[9], 10, 8)
		if err := errors.Join(addrErr, lifeErr, endErr, stateErr); err != nil {
			return nil, fmt.Errorf("line %d of the lease file is not a lease: %w", n, err)
		}
		lease := Lease{Address: addr.Unmap(), Expires: time.Unix(expire, 0)}
		if lifetime == 1<<32-1 {
			lease.Expires = time.Time{}
		}
		if lifetime > 0 && state == 0 { // any other line of the address ends what it had
			if lease.MAC, err = net.ParseMAC(f[1]); err != nil {
				return nil, fmt.Errorf("line %d of the lease file is not a lease: %w", n, err)
			}
		}
		if i, ok := newest[lease.Address]; ok {
			out[i] = lease
			continue
		}
		newest[lease.Address] = len(out)
		out = append(out, lease)
	}
}

// running leaves out what nobody holds.
func running(all []Lease) (out []Lease) {
	for _, l := range all {
		if l.MAC != nil {
			out = append(out, l)
		}
	}
	return out
}
