package lnd

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
)

// ParseCertificates reads one or more certificates: PEM or DER, or hex or base64 of either.
func ParseCertificates(text []byte) ([]*x509.Certificate, error) {
	if len(text) > maxFile {
		return nil, fmt.Errorf("longer than %d bytes", maxFile)
	}
	for _, b := range decodings(text) {
		if certs, err := parsePEM(b); err == nil {
			return certs, nil
		}
		if certs, err := x509.ParseCertificates(b); err == nil && len(certs) > 0 {
			return certs, nil
		}
	}
	return nil, errors.New("not a certificate: neither PEM nor DER nor hex or base64 of them")
}

func parsePEM(b []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for {
		var block *pem.Block
		block, b = pem.Decode(b)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, errors.New("no certificate in PEM")
	}
	return certs, nil
}

// pin is the certificate that the node must show. A pinned certificate is recognized whatever
// name the node was dialed by, since LND signs its own and rarely knows all its names. If the
// pinned one is an authority, a certificate by it for the dialed name will do as well.
type pin struct {
	// path is the file to read at each handshake, so that a renewed certificate is found; where
	// it is empty, certs are fixed.
	path  string
	certs []*x509.Certificate
	// now is the clock.
	now func() time.Time
}

func (p *pin) load() ([]*x509.Certificate, error) {
	if p.path == "" {
		return p.certs, nil
	}
	b, err := readFile(p.path)
	if err != nil {
		return nil, fmt.Errorf("reading tls_cert: %w", err)
	}
	certs, err := ParseCertificates(b)
	if err != nil {
		return nil, fmt.Errorf("reading tls_cert %s: %w", p.path, err)
	}
	return certs, nil
}

// config makes a TLS configuration that verifies by the pin alone. The library's own
// verification, which insists on names, is replaced by VerifyConnection.
func (p *pin) config(host string) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         host,
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			certs, err := p.load()
			if err != nil {
				return err
			}
			return p.verify(certs, state.PeerCertificates, host)
		},
	}
}

func (p *pin) verify(pinned, shown []*x509.Certificate, host string) error {
	if len(shown) == 0 {
		return errors.New("the node showed no certificate")
	}
	leaf := shown[0]
	now := p.now()
	match := 0
	for _, cert := range pinned {
		match |= subtle.ConstantTimeCompare(cert.Raw, leaf.Raw)
	}
	if match == 1 {
		if now.After(leaf.NotAfter) || now.Before(leaf.NotBefore) {
			return fmt.Errorf("the node's certificate is valid from %s to %s only: let LND renew it "+
				"(delete tls.cert and tls.key and restart) and pin the new one",
				leaf.NotBefore.UTC().Format(time.DateOnly), leaf.NotAfter.UTC().Format(time.DateOnly))
		}
		return nil
	}
	roots, authorities := x509.NewCertPool(), false
	for _, cert := range pinned {
		if cert.IsCA {
			roots.AddCert(cert)
			authorities = true
		}
	}
	if !authorities {
		return mismatch(leaf)
	}
	between := x509.NewCertPool()
	for _, cert := range shown[1:] {
		between.AddCert(cert)
	}
	// The name comes second: for a certificate by nobody known it is of no interest.
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: now}); err != nil {
		return mismatch(leaf)
	}
	if leaf.VerifyHostname(host) != nil {
		return fmt.Errorf("the node's certificate is by the pinned authority but not for %s: "+
			"pin the node's own certificate instead", host)
	}
	return nil
}

func mismatch(leaf *x509.Certificate) error {
	// A short print tells two certificates apart; the whole would be taken for a secret.
	sum := sha256.Sum256(leaf.Raw)
	return fmt.Errorf("the node's certificate (SHA-256 begins %x) is not the pinned one: "+
		"set tls_cert to the node's current tls.cert", sum[:8])
}
