package wire

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des" //nolint:gosec // only where an approval names it (S8)
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // the same
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"

	"primum/agent/internal/secret"
	list "primum/safetylists"
)

// auth is one authentication protocol: its hash, and how much of the HMAC is sent (RFC 3414 6.3 and 7.3,
// RFC 7860 4.1).
type auth struct {
	hash func() hash.Hash
	size int
}

func authOf(name string) (auth, error) {
	switch name {
	case "MD5":
		return auth{md5.New, 12}, nil
	case "SHA1":
		return auth{sha1.New, 12}, nil
	case "SHA224":
		return auth{sha256.New224, 16}, nil
	case "SHA256":
		return auth{sha256.New, 24}, nil
	case "SHA384":
		return auth{sha512.New384, 32}, nil
	case "SHA512":
		return auth{sha512.New, 48}, nil
	default:
		return auth{}, fmt.Errorf("authentication protocol %q is not known", name)
	}
}

// localised makes a user's key for one engine of a pass phrase (RFC 3414 2.6 and A.2, RFC 7860 9.3). The
// caller overwrites it after use.
func (a auth) localised(phrase, engineID []byte) []byte {
	h := a.hash()
	const megabyte = 1 << 20
	block := make([]byte, 0, 64+len(phrase))
	for len(block) < 64 {
		block = append(block, phrase...)
	}
	// The octets hashed are the phrase over and over; a block of whole phrases gives the same stream.
	block = block[:len(block)/len(phrase)*len(phrase)]
	left := megabyte
	for left > 0 {
		n := min(left, len(block))
		h.Write(block[:n])
		left -= n
	}
	clear(block)
	key := h.Sum(nil)
	h.Reset()
	h.Write(key)
	h.Write(engineID)
	h.Write(key)
	clear(key)
	return h.Sum(nil)
}

// mac returns what stands in msgAuthenticationParameters, of a message in which it is zero.
func (a auth) mac(key, message []byte) []byte {
	h := hmac.New(a.hash, key)
	h.Write(message)
	return h.Sum(nil)[:a.size]
}

// verified reports whether the MAC at a place of a message is the one that the key makes. It does not leave
// the message changed.
func (a auth) verified(key, message []byte, at, size int) bool {
	if size != a.size || at < 0 || at+size > len(message) {
		return false
	}
	got := append([]byte(nil), message[at:at+size]...)
	clear(message[at : at+size])
	want := a.mac(key, message)
	copy(message[at:], got)
	return hmac.Equal(got, want)
}

// privacy is the encryption of one message (RFC 3826, RFC 3414 8). key is the user's privacy key, localised.
type privacy struct {
	name string
	key  []byte
}

// seal encrypts a scoped PDU and returns the salt that goes with it.
func (p privacy) seal(boots, seconds uint32, plain []byte) (sealed, salt []byte, err error) {
	salt = make([]byte, 8)
	if _, err := rand.Read(salt); err != nil {
		return nil, nil, fmt.Errorf("make salt: %w", err)
	}
	switch p.name {
	case "AES128":
		stream, err := p.aes(boots, seconds, salt, true)
		if err != nil {
			return nil, nil, err
		}
		sealed = make([]byte, len(plain))
		stream.XORKeyStream(sealed, plain)
	case "DES":
		binary.BigEndian.PutUint32(salt, boots) // RFC 3414 8.1.1.1
		mode, err := p.des(salt, true)
		if err != nil {
			return nil, nil, err
		}
		sealed = make([]byte, (len(plain)+7)/8*8)
		copy(sealed, plain)
		mode.CryptBlocks(sealed, sealed)
	default:
		return nil, nil, fmt.Errorf("privacy protocol %q is not known", p.name)
	}
	return sealed, salt, nil
}

// open decrypts. padded says that up to seven octets may follow the scoped PDU.
func (p privacy) open(boots, seconds uint32, salt, sealed []byte) (plain []byte, padded bool, err error) {
	if len(salt) != 8 {
		return nil, false, fmt.Errorf("salt of %d octets", len(salt))
	}
	plain = make([]byte, len(sealed))
	if p.name == "DES" {
		if len(sealed)%8 != 0 {
			return nil, false, fmt.Errorf("%d octets are no whole blocks", len(sealed))
		}
		mode, err := p.des(salt, false)
		if err != nil {
			return nil, false, err
		}
		mode.CryptBlocks(plain, sealed)
		return plain, true, nil
	}
	stream, err := p.aes(boots, seconds, salt, false)
	if err != nil {
		return nil, false, err
	}
	stream.XORKeyStream(plain, sealed)
	return plain, false, nil
}

// aes is AES-128 in CFB with a feedback of 128 bits (RFC 3826 3.1.4). CFB is what the standard has: the MAC
// over the whole message gives the integrity that the mode lacks.
func (p privacy) aes(boots, seconds uint32, salt []byte, encrypt bool) (cipher.Stream, error) {
	block, err := aes.NewCipher(p.key[:16])
	if err != nil {
		return nil, err
	}
	iv := binary.BigEndian.AppendUint32(nil, boots)
	iv = binary.BigEndian.AppendUint32(iv, seconds)
	iv = append(iv, salt...)
	if encrypt {
		//lint:ignore SA1019 RFC 3826 3.1.3 names this mode
		return cipher.NewCFBEncrypter(block, iv), nil
	}
	//lint:ignore SA1019 RFC 3826 3.1.4 names this mode
	return cipher.NewCFBDecrypter(block, iv), nil
}

// des is DES in CBC, its vector made of the key's second half and the salt (RFC 3414 8.1.1.1).
func (p privacy) des(salt []byte, encrypt bool) (cipher.BlockMode, error) {
	block, err := des.NewCipher(p.key[:8])
	if err != nil {
		return nil, err
	}
	iv := make([]byte, 8)
	for i := range iv {
		iv[i] = p.key[8+i] ^ salt[i]
	}
	if encrypt {
		return cipher.NewCBCEncrypter(block, iv), nil
	}
	return cipher.NewCBCDecrypter(block, iv), nil
}

// keys are those of one user at one engine. They are made for one conversation and overwritten after it (S8).
type keys struct {
	auth auth
	sign []byte
	priv privacy // without a name: not encrypted
}

func newKeys(q list.QuerySpec, u secret.User, engineID []byte) (*keys, error) {
	a, err := authOf(q.Auth)
	if err != nil {
		return nil, err
	}
	// RFC 3414 11.2. A phrase of nothing would be repeated without end.
	if len(u.Auth) < 8 || q.Privacy != "" && len(u.Privacy) < 8 {
		return nil, errors.New("a pass phrase has at least 8 octets")
	}
	k := &keys{auth: a, sign: a.localised(u.Auth, engineID)}
	if q.Privacy != "" {
		// MD5 makes 16 octets, the least of all, and both ciphers need no more (RFC 3826 1.2).
		k.priv = privacy{q.Privacy, a.localised(u.Privacy, engineID)}
	}
	return k, nil
}

func (k *keys) clear() {
	clear(k.sign)
	clear(k.priv.key)
}
