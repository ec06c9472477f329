package wire

import (
	"bytes"
	"encoding/hex"
	"slices"
	"testing"

	"github.com/gosnmp/gosnmp"

	"primum/agent/internal/secret"
	list "primum/safetylists"
	"primum/safetylists/frame"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// RFC 3414 A.3.1 and A.3.2, RFC 7860 has none of its own for the other hashes: those were reckoned with
// Python's hashlib by the words of RFC 3414 A.2.
func TestKeysAreLocalisedAsTheStandardsVectorsSay(t *testing.T) {
	engine := unhex(t, "000000000000000000000002")
	for name, want := range map[string]string{
		"MD5":    "526f5eed9fcce26f8964c2930787d82b",
		"SHA1":   "6695febc9288e36282235fc7151f128497b38f3f",
		"SHA224": "0bd8827c6e29f8065e08e09237f177e410f69b90e1782be682075674",
		"SHA256": "8982e0e549e866db361a6b625d84cccc11162d453ee8ce3a6445c2d6776f0f8b",
		"SHA384": "3b298f16164a11184279d5432bf169e2d2a48307de02b3d3f7e2b4f36eb6f0455a53689a3937eea07319a633d2ccba78",
		"SHA512": "22a5a36cedfcc085807a128d7bc6c2382167ad6c0dbc5fdff856740f3d84c099ad1ea87a8db096714d9788bd544047c9021e4229ce27e4c0a69250adfcffbb0b",
	} {
		a, err := authOf(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(a.localised([]byte("maplesyrup"), engine)); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if _, err := authOf("SHA-3"); err == nil {
		t.Error("an unknown protocol is taken")
	}
}

// RFC 2202 2 and 3 case 2, RFC 4231 4.3, cut to the length that USM sends. They are taken from the documents.
func TestTheMACIsTheStandardsHMACCutShort(t *testing.T) {
	for name, want := range map[string]string{
		"MD5":    "750c783e6ab0b503eaa86e310a5db738",
		"SHA1":   "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
		"SHA224": "a30e01098bc6dbbf45690f3a7e9e6d0f8bbea2a39e6148008fd05e44",
		"SHA256": "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
		"SHA384": "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
		"SHA512": "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
	} {
		a, err := authOf(name)
		if err != nil {
			t.Fatal(err)
		}
		sizes := map[string]int{"MD5": 12, "SHA1": 12, "SHA224": 16, "SHA256": 24, "SHA384": 32, "SHA512": 48} // RFC 7860 4.1
		if got := hex.EncodeToString(a.mac([]byte("Jefe"), []byte("what do ya want for nothing?"))); got != want[:2*sizes[name]] {
			t.Errorf("%s: %s, want %s", name, got, want[:2*sizes[name]])
		}
	}
}

// levels are all that a question of version 3 can name.
func levels() (out []list.QuerySpec) {
	for _, auth := range list.AuthProtocols() {
		for _, privacy := range append([]string{""}, list.PrivacyProtocols()...) {
			out = append(out, list.QuerySpec{Kind: list.SNMPGet, Port: 161, OIDs: list.DefaultOIDs(), SNMPVersion: list.SNMPv3, Auth: auth, Privacy: privacy})
		}
	}
	return out
}

func user() secret.User {
	return secret.User{Name: []byte("reader"), Auth: []byte("authphrase"), Privacy: []byte("privphrase")}
}

func theirs(t *testing.T, s list.QuerySpec, engine string) *gosnmp.GoSNMP {
	t.Helper()
	x := &gosnmp.GoSNMP{Version: gosnmp.Version3, SecurityModel: gosnmp.UserSecurityModel, MsgFlags: gosnmp.AuthNoPriv}
	if s.Privacy != "" {
		x.MsgFlags = gosnmp.AuthPriv
	}
	x.SecurityParameters = &gosnmp.UsmSecurityParameters{UserName: "reader", AuthoritativeEngineID: engine,
		AuthenticationProtocol:   map[string]gosnmp.SnmpV3AuthProtocol{"MD5": gosnmp.MD5, "SHA1": gosnmp.SHA, "SHA224": gosnmp.SHA224, "SHA256": gosnmp.SHA256, "SHA384": gosnmp.SHA384, "SHA512": gosnmp.SHA512}[s.Auth],
		PrivacyProtocol:          map[string]gosnmp.SnmpV3PrivProtocol{"": gosnmp.NoPriv, "DES": gosnmp.DES, "AES128": gosnmp.AES}[s.Privacy],
		AuthenticationPassphrase: "authphrase", PrivacyPassphrase: "privphrase"}
	if err := x.SecurityParameters.InitSecurityKeys(); err != nil {
		t.Fatal(err)
	}
	return x
}

// What this room makes, gosnmp decodes and decrypts to the same objects: the two share no code.
func TestGosnmpReadsWhatIsSignedAndEncryptedHere(t *testing.T) {
	engine := frame.Engine{ID: unhex(t, "80001f8880e9630000d61ff449"), Boots: 3, Time: 1234}
	for _, s := range levels() {
		k, err := newKeys(s, user(), engine.ID)
		if err != nil {
			t.Fatal(err)
		}
		c := &Conversation{credential: &secret.Credential{User: user()}, keys: k}
		b, id, err := c.sealed(&engine, s.OIDs, 77)
		if err != nil {
			t.Fatal(err)
		}
		p, err := theirs(t, s, string(engine.ID)).SnmpDecodePacket(b)
		if err != nil {
			t.Errorf("%s %s: %v", s.Auth, s.Privacy, err)
			continue
		}
		var oids []string
		for _, v := range p.Variables {
			oids = append(oids, v.Name[1:])
		}
		if p.MsgID != id || p.RequestID != 77 || p.PDUType != gosnmp.GetRequest || !slices.Equal(oids, s.OIDs) || p.ContextName != "" {
			t.Errorf("%s %s: read as %+v", s.Auth, s.Privacy, p)
		}
	}
}

// A reply is taken when it is this engine's, this user's, to this message, signed, of now, and encrypted where
// it was asked for so; each of these taken away refuses it.
func TestAReplyIsTakenOnlyWhenEverythingInItIsVerified(t *testing.T) {
	engine := frame.Engine{ID: unhex(t, "80001f8880e9630000d61ff449"), Boots: 3, Time: 1234}
	for _, s := range levels() {
		name := s.Auth + " " + s.Privacy
		k, err := newKeys(s, user(), engine.ID)
		if err != nil {
			t.Fatal(err)
		}
		reply := func(change func(*frame.Secured), k *keys) []byte {
			pdu := unhex(t, "a21c02014d0201000201003011300f06082b060102010105000403616263")
			scoped := append([]byte{0x30, byte(2 + len(engine.ID) + 2 + len(pdu)), 0x04, byte(len(engine.ID))}, engine.ID...)
			scoped = append(append(scoped, 0x04, 0), pdu...)
			m := frame.Secured{MessageID: 9, Flags: frame.FlagAuth, EngineID: engine.ID, Boots: 3, Time: 1240, User: []byte("reader"), MAC: make([]byte, k.auth.size), Scoped: scoped}
			if k.priv.name != "" {
				m.Flags |= frame.FlagPrivacy
				if m.Scoped, m.Salt, err = k.priv.seal(m.Boots, m.Time, scoped); err != nil {
					t.Fatal(err)
				}
			}
			if change != nil {
				change(&m)
			}
			b, at, err := m.Encode()
			if err != nil {
				t.Fatal(err)
			}
			copy(b[at:], k.auth.mac(k.sign, b))
			return b
		}
		open := func(b []byte) error {
			c := &Conversation{credential: &secret.Credential{User: user()}, keys: k}
			e := engine
			shown, report, err := c.opened(b, &e, 9, 77)
			if err == nil && (report != frame.NoReport || !bytes.Contains(shown, []byte("abc"))) {
				t.Errorf("%s: shown % x, report %q", name, shown, report)
			}
			return err
		}
		if err := open(reply(nil, k)); err != nil {
			t.Fatalf("%s: the good reply: %v", name, err)
		}
		other := user()
		other.Auth = []byte("otherphrase")
		wrong, err := newKeys(s, other, engine.ID)
		if err != nil {
			t.Fatal(err)
		}
		wrong.priv = k.priv
		for what, b := range map[string][]byte{
			"signed with another key": reply(nil, wrong),
			"another message id":      reply(func(m *frame.Secured) { m.MessageID = 8 }, k),
			"another engine":          reply(func(m *frame.Secured) { m.EngineID = unhex(t, "80001f8880e9630000d61ff44a") }, k),
			"another user":            reply(func(m *frame.Secured) { m.User = []byte("writer") }, k),
			"of an earlier start":     reply(func(m *frame.Secured) { m.Boots = 2 }, k),
			"not signed": reply(func(m *frame.Secured) {
				m.Flags &^= frame.FlagAuth | frame.FlagPrivacy
			}, k),
		} {
			if err := open(b); err == nil {
				t.Errorf("%s: a reply is taken that is %s", name, what)
			}
		}
		good := reply(nil, k)
		for i := range good {
			b := bytes.Clone(good)
			b[i] ^= 0x10
			if err := open(b); err == nil {
				t.Errorf("%s: a reply is taken whose octet %d was changed", name, i)
			}
		}
	}
}

// A user without a pass phrase, as of a community taken for one, ends the conversation and not the agent.
func TestAPassPhraseOfNothingMakesNoKey(t *testing.T) {
	s := levels()[1]
	for _, u := range []secret.User{{Name: []byte("reader")}, {Name: []byte("reader"), Auth: []byte("seven77"), Privacy: user().Privacy}} {
		if k, err := newKeys(s, u, []byte{0x80, 0, 0x1f, 0x88, 0x80, 1}); err == nil {
			t.Errorf("%+v", k)
		}
	}
}

// FuzzOpened: whatever a device sends, nothing is taken without its key.
func FuzzOpened(f *testing.F) {
	engine := frame.Engine{ID: []byte{0x80, 0, 0x1f, 0x88, 0x80, 1}, Boots: 3, Time: 1234}
	s := levels()[1]
	k, err := newKeys(s, user(), engine.ID)
	if err != nil {
		f.Fatal(err)
	}
	discovery, err := frame.EncodeDiscovery(9, 9)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(discovery)
	f.Fuzz(func(t *testing.T, b []byte) {
		e := engine
		c := &Conversation{credential: &secret.Credential{User: user()}, keys: k}
		shown, report, err := c.opened(bytes.Clone(b), &e, 9, 77)
		if err == nil && (shown != nil || report == frame.NoReport || report == frame.NotInTimeWindow) {
			t.Errorf("% x is taken", b)
		}
	})
}
