package fakeapns

import (
	"crypto/x509"
	"encoding/asn1"
)

// The extensions that mark what environment a certificate is for: 1.2.840.
// 113635.100.6.3.1 development, 6.3.2 production. Without either it fits both.
var (
	oidDevelopment = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 6, 3, 1}
	oidProduction  = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 6, 3, 2}
)

func fitsEnvironment(cert *x509.Certificate, environment string) bool {
	var marked, fits bool
	for _, e := range cert.Extensions {
		switch {
		case e.Id.Equal(oidDevelopment):
			marked, fits = true, fits || environment == Development
		case e.Id.Equal(oidProduction):
			marked, fits = true, fits || environment == Production
		}
	}
	return fits || !marked
}

func trustedBy(roots *x509.CertPool, shown []*x509.Certificate) bool {
	intermediates := x509.NewCertPool()
	for _, c := range shown[1:] {
		intermediates.AddCert(c)
	}
	_, err := shown[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	return err == nil
}
