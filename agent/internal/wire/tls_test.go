package wire

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"io"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"primum/agent/internal/papertest"
	list "primum/safetylists"
)

// stalled is a connection whose owner is kept from running between its first write and the read after it.
type stalled struct {
	net.Conn
	late time.Duration
	once *bool
}

func (s stalled) Read(b []byte) (int, error) {
	if !*s.once {
		*s.once = true
		time.Sleep(s.late) // of the kernel's own clock: no other is to be had for sockets
	}
	return s.Conn.Read(b)
}

// H-048: an agent that is late in a handshake of TLS has heard nothing when its time is over, and says so: that a device's first flight is
// there by then is no malformed reply of it, which two of would hold its model.
func TestALateHandshakeIsNoDistress(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	paper := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, paper, paper, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(der)
	for name, v := range map[string]uint16{"TLS 1.3": tls.VersionTLS13, "TLS 1.2": tls.VersionTLS12} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				raw, err := l.Accept()
				if err != nil {
					return
				}
				defer raw.Close()
				_ = tls.Server(raw, &tls.Config{MaxVersion: v, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}).Handshake() // the outcome shows it
				_, _ = io.Copy(io.Discard, raw)
			}()
			defer func() { l.Close(); <-done }()
			port := strings.TrimPrefix(l.Addr().String(), "127.0.0.1:")
			o := papertest.Options{Address: netip.MustParseAddrPort(l.Addr().String()), Device: func(d *list.Device) { d.TLSPin = hex.EncodeToString(sum[:]) },
				Question: `{kind: dicom.echo, port: "` + port + `", calling_ae: PRIMUM, tls: true}`}
			c, err := (&Dialer{}).Open(admitted(t, o), nil, unrecorded{})
			if err != nil {
				t.Fatal(err)
			}
			conn, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			c.conn, c.s.Connected, c.s.Asked = stalled{Conn: conn, late: 400 * time.Millisecond, once: new(bool)}, true, time.Now()
			c.deadline = time.Now().Add(200 * time.Millisecond)
			err = c.secure(t.Context(), hex.EncodeToString(sum[:]))
			if s := c.Summary(); err == nil || s.End != TimedOut || s.Replies != 0 {
				t.Errorf("%v %+v", err, s)
			}
		})
	}
}
