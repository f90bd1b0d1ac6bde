package notify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"time"
)

// Target is who is told.
type Target struct {
	// URL is where the POST goes: https, or http on this machine. It may hold secrets.
	URL string
	// Secret is what requests are signed with, at least MinSecret bytes.
	Secret string
}

// MinSecret is the least length of a secret in bytes.
const MinSecret = 16

// SignatureHeader is the header that carries the signature.
const SignatureHeader = "L402-Signature"

// ID names the target without showing anything of it: half of a SHA-256 in hex.
func (t Target) ID() string {
	sum := sha256.Sum256([]byte(t.URL + "\x00" + t.Secret))
	return hex.EncodeToString(sum[:16])
}

// check reads the URL. Its errors show neither URL nor secret.
func (t Target) check() (*url.URL, error) {
	u, err := url.Parse(t.URL)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "" || u.Hostname() == "":
		return nil, fmt.Errorf("%w: the URL cannot be read: use one such as https://example.com/hook", ErrTarget)
	case u.User != nil:
		return nil, fmt.Errorf("%w: the URL holds a password: leave it out, for requests are signed with the secret", ErrTarget)
	case u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u.Hostname())):
		return nil, fmt.Errorf("%w: the URL must begin with https://, or http:// for this machine itself", ErrTarget)
	case t.Secret == "":
		return nil, fmt.Errorf("%w: there is no secret to sign with: make one with `openssl rand -hex 32`", ErrTarget)
	case len(t.Secret) < MinSecret:
		return nil, fmt.Errorf("%w: the secret has %d bytes and needs at least %d: make one with `openssl rand -hex 32`",
			ErrTarget, len(t.Secret), MinSecret)
	}
	u.Fragment, u.RawFragment = "", ""
	return u, nil
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}

// sign gives the value of SignatureHeader for a body at a time.
func (t Target) sign(body []byte, at time.Time) string {
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(t.Secret))
	mac.Write([]byte(stamp + "."))
	mac.Write(body)
	return "t=" + stamp + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}
