package pricer

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/caddy-l402/caddy-l402/internal/fetch"
)

// The ways that a program can be asked.
const (
	HTTP = "http"
	GRPC = "grpc"
)

// Defaults and bounds of a Config.
const (
	DefaultTimeout = 3 * time.Second
	maxTimeout     = time.Minute
	maxKeep        = 24 * time.Hour
	// maxKept bounds how many answers are kept in memory.
	maxKept = 4096
	// maxAnswer bounds an answer, in bytes.
	maxAnswer = 64 << 10
	maxFile   = 256 << 10
)

// Config says where a program is and how it is asked.
type Config struct {
	// Kind is HTTP or GRPC.
	Kind string
	// Address is the URL of a program that is asked over HTTP; over gRPC it is host:port, or
	// unix: with the path of a socket.
	Address string
	// Timeout bounds each question; zero is DefaultTimeout.
	Timeout time.Duration
	// Keep is how long an answer is used for the same question again; zero asks each time.
	Keep time.Duration
	// CA is the path of a file of certificates in PEM: the program's own or that of its
	// authority. Where it is empty, the authorities that the system trusts count.
	CA string
	// Insecure asks without TLS. Over HTTP it allows a URL with http:// for hosts that are
	// neither on this machine nor in a private network.
	Insecure bool
	// Secret is sent along as a bearer token, if there is one.
	Secret string
}

// Check refuses what cannot work. Errors name the setting and hold no secret.
func (c Config) Check() error {
	if c.Timeout < 0 || c.Timeout > maxTimeout {
		return fmt.Errorf("timeout must be at most %s", maxTimeout)
	}
	if c.Keep < 0 || c.Keep > maxKeep {
		return fmt.Errorf("cache must be at most %s", maxKeep)
	}
	if strings.ContainsFunc(c.Secret, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("secret holds blanks or characters that are not ASCII")
	}
	if c.CA != "" && c.Insecure {
		return errors.New("ca and insecure contradict each other: keep one")
	}
	switch c.Kind {
	case HTTP:
		return c.checkURL()
	case GRPC:
		return c.checkTarget()
	}
	return fmt.Errorf("%q is neither %s nor %s", c.Kind, HTTP, GRPC)
}

func (c Config) checkURL() error {
	u, err := fetch.ParseAddress("the address", c.Address)
	switch {
	case err != nil:
		return err
	case u.Scheme == "http" && c.CA != "":
		return errors.New("ca is for an address with https://")
	case u.Scheme == "http" && !c.Insecure && !isNear(u.Hostname()):
		return errors.New("over http:// anyone on the way could set the price: use https://, or allow it with insecure")
	case u.Scheme == "https" && c.Insecure:
		return errors.New("insecure is for an address with http://")
	}
	return nil
}

func (c Config) checkTarget() error {
	if path, ok := strings.CutPrefix(c.Address, "unix:"); ok {
		if path == "" || c.CA != "" {
			return errors.New("the address is no socket such as unix:/run/prices.sock, which needs no ca")
		}
		return nil
	}
	host, port, err := net.SplitHostPort(c.Address)
	if err != nil || host == "" || port == "" || strings.ContainsAny(c.Address, "/@ ") {
		return errors.New("the address is neither host:port nor unix:<path>")
	}
	return nil
}

// isNear tells whether a host is on this machine or in a private network.
func isNear(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.IsLoopback() || addr.IsPrivate() || addr.IsLinkLocalUnicast()
	}
	return !strings.Contains(host, ".") || strings.HasSuffix(host, ".internal")
}

// tls makes the verification of the program, nil where there is none.
func (c Config) tls() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA == "" {
		return config, nil
	}
	pem, err := c.readCA()
	if err != nil {
		return nil, err
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("reading ca: %s has no certificate in PEM", c.CA)
	}
	return config, nil
}

func (c Config) readCA() ([]byte, error) {
	info, err := os.Stat(c.CA)
	if err != nil {
		return nil, fmt.Errorf("reading ca: %w", err)
	}
	if !info.Mode().IsRegular() { // a pipe would block
		return nil, fmt.Errorf("reading ca: %s is not a regular file", c.CA)
	}
	f, err := os.Open(c.CA)
	if err != nil {
		return nil, fmt.Errorf("reading ca: %w", err)
	}
	defer f.Close()
	pem, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil || len(pem) > maxFile {
		return nil, fmt.Errorf("reading ca: %s cannot be read or has more than %d bytes", c.CA, maxFile)
	}
	return pem, nil
}

// ID names a program as it is asked: configurations with equal settings share one and what it
// answered. A certificate file that changed makes another one.
func (c Config) ID() string {
	hash := sha256.New()
	fmt.Fprintf(hash, "%q %q %d %d %q %t %q", c.Kind, c.Address, c.Timeout, c.Keep, c.CA, c.Insecure, c.Secret)
	if c.CA != "" {
		pem, err := c.readCA()
		fmt.Fprintf(hash, "%x %v", sha256.Sum256(pem), err)
	}
	return fmt.Sprintf("%x", hash.Sum(nil))
}
