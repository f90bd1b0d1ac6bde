package httpjson

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Pin is the certificate that a node must show, or that of the authority that issued it. A pinned
// certificate is recognized whatever name the node was dialed by, since nodes sign their own and
// rarely know all their names; for one by a pinned authority the name must fit.
type Pin struct {
	// path is the file to read at each handshake, so that a renewed certificate is found;
	// where it is empty, certs are fixed.
	path  string
	certs []*x509.Certificate
	now   func() time.Time
}

// ParsePin reads the setting: one or more certificates in PEM, or the path of a file of those.
// The file is not read yet.
func ParsePin(setting, text string) (*Pin, error) {
	if !strings.Contains(text, "-----BEGIN") {
		if strings.TrimSpace(text) == "" || strings.ContainsAny(text, "\n\r\x00") {
			return nil, fmt.Errorf("%s is neither a certificate in PEM nor the path of a file", setting)
		}
		return &Pin{path: text, now: time.Now}, nil
	}
	certs, err := parsePEM([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	return &Pin{certs: certs, now: time.Now}, nil
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
			return nil, fmt.Errorf("reading certificate: %w", err)
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, errors.New("no certificate in PEM")
	}
	return certs, nil
}

// Config makes a TLS configuration that verifies a node at host by the pin alone. The library's
// own verification, which insists on names, is replaced.
func (p *Pin) Config(host string) *tls.Config {
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

func (p *Pin) load() ([]*x509.Certificate, error) {
	if p.path == "" {
		return p.certs, nil
	}
	b, err := ReadFile(p.path)
	if err != nil {
		return nil, fmt.Errorf("reading the pinned certificate: %w", err)
	}
	certs, err := parsePEM(b)
	if err != nil {
		return nil, fmt.Errorf("reading the pinned certificate %s: %w", p.path, err)
	}
	return certs, nil
}

func (p *Pin) verify(pinned, shown []*x509.Certificate, host string) error {
	if len(shown) == 0 {
		return errors.New("the node showed no certificate")
	}
	leaf, now := shown[0], p.now()
	match := 0
	roots := x509.NewCertPool()
	for _, cert := range pinned {
		match |= subtle.ConstantTimeCompare(cert.Raw, leaf.Raw)
		if cert.IsCA {
			roots.AddCert(cert)
		}
	}
	if match == 1 {
		if now.After(leaf.NotAfter) || now.Before(leaf.NotBefore) {
			return fmt.Errorf("the node's certificate is valid from %s to %s only: renew it and pin the new one",
				leaf.NotBefore.UTC().Format(time.DateOnly), leaf.NotAfter.UTC().Format(time.DateOnly))
		}
		return nil
	}
	between := x509.NewCertPool()
	for _, cert := range shown[1:] {
		between.AddCert(cert)
	}
	// The name comes second, so that a foreign certificate is not taken for one by the authority.
	if _, err := leaf.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: now,
	}); err != nil {
		// A short print tells two certificates apart.
		sum := sha256.Sum256(leaf.Raw)
		return fmt.Errorf("the node's certificate (SHA-256 begins %x) is neither the pinned one "+
			"nor by a pinned authority: set ca to the current one", sum[:8])
	}
	if leaf.VerifyHostname(host) != nil {
		return fmt.Errorf("the node's certificate is by the pinned authority but not for %s: "+
			"pin the node's own certificate instead", host)
	}
	return nil
}
