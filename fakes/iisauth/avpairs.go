package iisauth

import (
	"encoding/binary"
	"fmt"
	"time"
)

// Attribute-value pairs of target info (MS-NLMP, "AV_PAIR").
const (
	avEOL             = 0
	avNbComputerName  = 1
	avNbDomainName    = 2
	avDNSComputerName = 3
	avDNSDomainName   = 4
	avDNSTreeName     = 5
	avFlags           = 6
	avTimestamp       = 7
	avChannelBindings = 10
)

// avFlagMIC promises a message integrity code in the type 3.
const avFlagMIC = 0x2

// avPairs are the pairs a server looks at.
type avPairs map[uint16][]byte

// parseAVPairs reads pairs up to MsvAvEOL. Of a repeated one the first counts.
func parseAVPairs(b []byte) (avPairs, error) {
	pairs := avPairs{}
	for len(b) >= 4 {
		id, length := binary.LittleEndian.Uint16(b), int(binary.LittleEndian.Uint16(b[2:]))
		if id == avEOL {
			return pairs, nil
		}
		if length > len(b)-4 {
			break
		}
		if _, have := pairs[id]; !have {
			pairs[id] = b[4 : 4+length]
		}
		b = b[4+length:]
	}
	return nil, fmt.Errorf("%w: target info without an end", errMessage)
}

// promisesMIC says whether the flags pair does.
func (p avPairs) promisesMIC() bool {
	value := p[avFlags]
	return len(value) == 4 && binary.LittleEndian.Uint32(value)&avFlagMIC != 0
}

func appendAVPair(b []byte, id uint16, value []byte) []byte {
	b = binary.LittleEndian.AppendUint16(b, id)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(value)))
	return append(b, value...)
}

// targetInfo writes the pairs of a domain member in the order a real one uses:
// 2, 1, 4, 3, 5, 7, 0.
func targetInfo(variant TargetInfo, names Names, now time.Time) []byte {
	if variant == TargetInfoNone {
		return nil
	}
	var b []byte
	b = appendAVPair(b, avNbDomainName, utf16le(names.NetBIOSDomain))
	b = appendAVPair(b, avNbComputerName, utf16le(names.NetBIOSComputer))
	b = appendAVPair(b, avDNSDomainName, utf16le(names.DNSDomain))
	b = appendAVPair(b, avDNSComputerName, utf16le(names.DNSComputer))
	b = appendAVPair(b, avDNSTreeName, utf16le(names.DNSTree))
	if variant == TargetInfoFull {
		b = appendAVPair(b, avTimestamp, binary.LittleEndian.AppendUint64(nil, fileTime(now)))
	}
	return appendAVPair(b, avEOL, nil)
}

// fileTimeEpoch is 1970-01-01 as FILETIME: 100 ns since 1601-01-01.
const fileTimeEpoch = 116444736000000000

func fileTime(t time.Time) uint64 {
	return uint64(t.Unix()*10_000_000+int64(t.Nanosecond())/100) + fileTimeEpoch
}

func timeOfFileTime(ft uint64) time.Time {
	d := int64(ft) - fileTimeEpoch
	return time.Unix(d/10_000_000, d%10_000_000*100)
}
