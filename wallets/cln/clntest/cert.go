package clntest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"
)

// NewCertificate makes a certificate as clnrest makes it: for the names cln and localhost and, like
// that of its authority, in PEM.
func NewCertificate(t testing.TB) (cert *tls.Certificate, serverPEM, authorityPEM string) {
	t.Helper()
	authority, authorityKey, authorityPEM := certify(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "cln Root REST CA"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign,
	}, nil, nil)
	leaf, key, serverPEM := certify(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "cln rest server"}, DNSNames: []string{"cln", "localhost"},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyAgreement,
	}, authority, authorityKey)
	return &tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}, serverPEM, authorityPEM
}

func certify(t testing.TB, template, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
