package iisauth

import (
	"crypto"
	"crypto/hmac"
	"crypto/md5"
	_ "crypto/sha256" // hashes of certificates
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/binary"
)

// channelBinding is the value of pair 10 for a server that shows leaf: MD5
// over a gss_channel_bindings structure with the application data
// "tls-server-end-point:" and the hash of the certificate (RFC 5929, "The
// tls-server-end-point Channel Binding Type").
func channelBinding(leaf *x509.Certificate) []byte {
	h := certificateHash(leaf.SignatureAlgorithm).New()
	h.Write(leaf.Raw)
	return endPointBinding(h.Sum(nil))
}

func endPointBinding(certificateHash []byte) []byte {
	data := append([]byte("tls-server-end-point:"), certificateHash...)
	b := make([]byte, 16, 20+len(data)) // no initiator, no acceptor
	b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
	sum := md5.Sum(append(b, data...))
	return sum[:]
}

// certificateHash is the hash of the certificate's signature algorithm, with
// MD5 and SHA-1 replaced by SHA-256 as RFC 5929 asks.
func certificateHash(a x509.SignatureAlgorithm) crypto.Hash {
	switch a {
	case x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384:
		return crypto.SHA384
	case x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512:
		return crypto.SHA512
	}
	return crypto.SHA256
}

// bindingAccepted judges pair 10 of a type 3 that came over TLS. A pair of
// zeros is a wrong pair: that is how IIS treats it, although MS-NLMP reads as
// if it meant absence.
func (s *Site) bindingAccepted(pairs avPairs) bool {
	if s.options.ExtendedProtection == EPANone {
		return true
	}
	got, sent := pairs[avChannelBindings]
	if !sent {
		return s.options.ExtendedProtection == EPAAllow
	}
	leaf := s.options.leaf()
	return leaf != nil && hmac.Equal(got, channelBinding(leaf))
}

// leaf is the certificate the server shows, or nil.
func (o Options) leaf() *x509.Certificate {
	if o.Certificate.Leaf != nil {
		return o.Certificate.Leaf
	}
	if len(o.Certificate.Certificate) == 0 {
		return nil
	}
	leaf, err := x509.ParseCertificate(o.Certificate.Certificate[0])
	if err != nil {
		return nil
	}
	return leaf
}
