package lnurl

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/btcsuite/btcd/btcutil/bech32"
)

// maxURL bounds every address that is followed, in bytes.
const maxURL = 2048

// target is a payee.
type target struct {
	// url is where the pay request of LUD-06 is.
	url *url.URL
	// name is what errors and logs call the payee: user@host, or the host alone, since the
	// rest of a URL may be secret.
	name string
}

// rules say which addresses are followed.
type rules struct {
	// allowPrivate permits http and hosts outside of the public internet.
	allowPrivate bool
	// onion tells whether onion names can be reached.
	onion bool
}

var errNoAddress = errors.New("address is missing: give a Lightning address such as user@example.com, " +
	"an LNURL (lnurl1…), or a URL that begins with https:// or lnurlp://")

// parseTarget reads a payee in any of the forms of LUD-01, LUD-16 and LUD-17. Errors do not
// repeat the text.
func parseTarget(text string, r rules) (*target, error) {
	text = strings.TrimSpace(text)
	if rest, ok := cutPrefixFold(text, "lightning:"); ok {
		text = rest
	}
	_, encoded := cutPrefixFold(text, "lnurl1")
	switch {
	case text == "":
		return nil, errNoAddress
	case len(text) > 2*maxURL:
		return nil, fmt.Errorf("address is longer than %d bytes", 2*maxURL)
	case encoded:
		return parseLNURL(text, r)
	case strings.Contains(text, "://"):
		return parseLink(text, r)
	case strings.Contains(text, "@"):
		return parseAddress(text, r)
	}
	return nil, errors.New("address is neither a Lightning address such as user@example.com, nor an LNURL " +
		"(lnurl1…), nor a URL that begins with https:// or lnurlp://")
}

func cutPrefixFold(text, prefix string) (string, bool) {
	if len(text) >= len(prefix) && strings.EqualFold(text[:len(prefix)], prefix) {
		return text[len(prefix):], true
	}
	return text, false
}

// parseLNURL reads the bech32 form of LUD-01.
func parseLNURL(text string, r rules) (*target, error) {
	prefix, data, err := bech32.DecodeNoLimit(text)
	if err != nil || prefix != "lnurl" {
		return nil, errors.New("address: the LNURL is mistyped or incomplete, its checksum does not match")
	}
	raw, err := bech32.ConvertBits(data, 5, 8, false)
	if err != nil {
		return nil, errors.New("address: the LNURL holds no text")
	}
	return targetOf(string(raw), r)
}

// parseLink reads a URL: the pay request's own, one of LUD-17's schemes, or LUD-01's fallback that
// carries an LNURL.
func parseLink(text string, r rules) (*target, error) {
	scheme, rest, _ := strings.Cut(text, "://")
	switch strings.ToLower(scheme) {
	case "http", "https":
		if u, err := url.Parse(text); err == nil {
			if inner := u.Query().Get("lightning"); inner != "" {
				if _, ok := cutPrefixFold(inner, "lnurl1"); ok {
					return parseLNURL(inner, r)
				}
			}
		}
		return targetOf(text, r)
	case "lnurlp":
		// LUD-17: https, and http for onion names, whose network encrypts by itself.
		u, err := url.Parse("https://" + rest)
		if err == nil && isOnion(u.Hostname()) {
			return targetOf("http://"+rest, r)
		}
		return targetOf("https://"+rest, r)
	case "lnurlw", "lnurlc", "keyauth":
		return nil, fmt.Errorf("address begins with %s://, which is not for payments: "+
			"use the payee's lnurlp:// or https:// address", strings.ToLower(scheme))
	}
	return nil, errors.New("address has an unknown scheme: use https:// or lnurlp://")
}

func targetOf(text string, r rules) (*target, error) {
	u, err := r.parse(text)
	if err != nil {
		return nil, fmt.Errorf("address: %w", err)
	}
	return &target{url: u, name: u.Host}, nil
}

// parseAddress reads a Lightning address, LUD-16.
func parseAddress(text string, r rules) (*target, error) {
	user, host, _ := strings.Cut(text, "@")
	if err := checkUser(user); err != nil {
		return nil, err
	}
	if host != strings.ToLower(host) {
		return nil, errors.New("address: write the host in lower case")
	}
	scheme := "https"
	if isOnion(host) {
		scheme = "http"
	}
	if host == "" || strings.ContainsAny(host, "/?#@%\\") {
		return nil, errors.New("address is not of the form user@host, with one '@' and no '/'")
	}
	t, err := targetOf(scheme+"://"+host+"/.well-known/lnurlp/"+user, r)
	if err != nil {
		return nil, err
	}
	t.name = user + "@" + t.url.Host
	return t, nil
}

func checkUser(user string) error {
	if user == "" || len(user) > 64 {
		return errors.New("address: the part before '@' must have 1 to 64 characters")
	}
	if strings.Trim(user, "abcdefghijklmnopqrstuvwxyz0123456789-_.+") != "" {
		return errors.New("address: use lower-case letters, digits, '-', '_', '.' and '+' before '@'")
	}
	if strings.Trim(user, ".") == "" {
		return errors.New("address: the part before '@' is made of dots only")
	}
	return nil
}

// parse reads a URL that is to be followed and checks all of it that can be checked before its
// name is resolved. Errors do not repeat the URL.
func (r rules) parse(text string) (*url.URL, error) {
	if len(text) > maxURL {
		return nil, fmt.Errorf("the URL is longer than %d bytes", maxURL)
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("it is not a URL")
	}
	if err := r.check(u); err != nil {
		return nil, err
	}
	u.Host = strings.ToLower(u.Host)
	u.Fragment, u.RawFragment = "", ""
	return u, nil
}

// check tells whether a URL may be followed.
func (r rules) check(u *url.URL) error {
	host := u.Hostname()
	onion := isOnion(host)
	switch {
	case u.Opaque != "" || u.Host == "":
		return errors.New("the URL names no host")
	case u.User != nil:
		return errors.New("the URL holds a user name or password, which is not allowed")
	case u.Scheme != "https" && u.Scheme != "http":
		return errors.New("the URL does not begin with https://")
	case onion && !r.onion:
		return errors.New("it is an onion name: set proxy, such as socks5://127.0.0.1:9050 for Tor")
	case u.Scheme == "http" && !onion && !r.allowPrivate:
		return errors.New("plain http is not allowed: use https, or set allow_private for tests and one's own network")
	}
	if port := u.Port(); port != "" || strings.HasSuffix(u.Host, ":") {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return errors.New("the URL's port is none")
		}
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		if r.allowPrivate {
			return nil
		}
		return checkPublic(addr)
	}
	return checkName(host)
}

func isOnion(host string) bool {
	if i := strings.LastIndexByte(host, ':'); i >= 0 {
		host = host[:i]
	}
	host = strings.TrimSuffix(host, ".")
	return strings.HasSuffix(strings.ToLower(host), ".onion")
}

// checkName checks a host's name (RFC 1123). Names in other scripts have to be in their ASCII
// form, so that what looks alike is not taken for the same.
func checkName(host string) error {
	if host == "" || len(host) > 253 {
		return errors.New("the host's name must have 1 to 253 characters")
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(host, "."), ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return errors.New("the host's name is malformed")
		}
		for _, c := range []byte(label) {
			switch {
			case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
			default:
				return errors.New("the host's name holds characters other than letters, digits, '-' and '.': " +
					"write names of other scripts in their ASCII form (xn--…)")
			}
		}
	}
	return nil
}
