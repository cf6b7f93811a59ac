package exchange

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"time"
)

// guid is 16 bytes drawn from a seed and a name, so that the same seed gives
// the same ids.
type guid [16]byte

func newGUID(seed int64, kind, name string, n uint64) guid {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:8], uint64(seed))
	binary.LittleEndian.PutUint64(b[8:], n)
	h := sha256.New()
	h.Write(b[:])
	h.Write([]byte(kind))
	h.Write([]byte{0})
	h.Write([]byte(name))
	var g guid
	copy(g[:], h.Sum(nil))
	g[7] = g[7]&0x0f | 0x40
	g[8] = g[8]&0x3f | 0x80
	return g
}

func (g guid) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", g[0:4], g[4:6], g[6:8], g[8:10], g[10:16])
}

// itemID has the make-up of real ids ("AAMk…", 152 characters): the mailbox
// GUID as text, then a MAPI entry id of folder and message counters.
func itemID(mailbox guid, folder, item uint64) string {
	b := make([]byte, 0, 113)
	b = append(b, 0x00, 0x03, 0x24, 0x00)
	b = append(b, mailbox.String()...)
	b = append(b, 70, 0)
	b = append(b, 0, 0, 0, 0)
	b = append(b, mailbox[:]...)
	b = append(b, 0x07, 0x00)
	b = append(b, mailbox[:]...)
	b = append(b, counter(folder)...)
	b = append(b, 0, 0)
	b = append(b, mailbox[:]...)
	b = append(b, counter(item)...)
	b = append(b, 0, 0, 0)
	return base64.StdEncoding.EncodeToString(b)
}

// folderID is the folder's counterpart ("AQMk…", 120 characters).
func folderID(mailbox guid, folder uint64) string {
	b := make([]byte, 0, 89)
	b = append(b, 0x01, 0x03, 0x24, 0x00)
	b = append(b, mailbox.String()...)
	b = append(b, 46, 0)
	b = append(b, 0, 0, 0, 0)
	b = append(b, mailbox[:]...)
	b = append(b, 0x01, 0x00)
	b = append(b, mailbox[:]...)
	b = append(b, counter(folder)...)
	b = append(b, 0, 0, 0)
	return base64.StdEncoding.EncodeToString(b)
}

// changeKey begins "CQAAABY" for items and "AQAAABY" for folders.
func changeKey(kind byte, mailbox guid, n uint64) string {
	b := make([]byte, 0, 30)
	b = append(b, kind, 0, 0, 0, 0x16, 0, 0, 0)
	b = append(b, mailbox[:]...)
	b = append(b, counter(n)...)
	return base64.StdEncoding.EncodeToString(b)
}

const (
	changeKeyItem   = 0x09
	changeKeyFolder = 0x01
)

func counter(n uint64) []byte {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	return b[2:]
}

// subscriptionID has the make-up seen in traces of 2010 SP3 to Exchange
// Online: the length and name of the server that holds it, a GUID, the time of
// creation in .NET ticks and, from 2016 on, a second GUID.
func subscriptionID(host string, g guid, created time.Time, second *guid) string {
	b := make([]byte, 0, 2+len(host)+48)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(host)))
	b = append(b, host...)
	b = binary.LittleEndian.AppendUint32(b, 16)
	b = append(b, g[:]...)
	b = binary.LittleEndian.AppendUint64(b, ticks(created))
	if second != nil {
		b = binary.LittleEndian.AppendUint32(b, 16)
		b = append(b, second[:]...)
	}
	return base64.StdEncoding.EncodeToString(b)
}

// subscriptionHost takes the server's name out of an id; ok is false for
// nonsense.
func subscriptionHost(id string) (host string, ok bool) {
	b, err := base64.StdEncoding.DecodeString(id)
	if err != nil || len(b) < 2 {
		return "", false
	}
	n := int(binary.LittleEndian.Uint16(b))
	rest := b[2:]
	if n == 0 || len(rest) < n {
		return "", false
	}
	tail := len(rest) - n
	if tail != 28 && tail != 48 {
		return "", false
	}
	return string(rest[:n]), true
}

// ticks are 100-nanosecond steps since the year 1.
func ticks(t time.Time) uint64 {
	const unixEpoch = 621_355_968_000_000_000
	return uint64(t.UnixNano()/100 + unixEpoch)
}
