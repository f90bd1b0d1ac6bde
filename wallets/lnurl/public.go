package lnurl

import (
	"errors"
	"fmt"
	"net/netip"
)

// errPrivate says that an address is not on the public internet.
var errPrivate = errors.New("address is not on the public internet")

// notPublic are the ranges that lead to the own machine, the own network, a cloud's metadata
// service or nowhere (IANA's special-purpose registries, RFC 6890 and later). Of IPv6, where most
// is not assigned, only 2000::/3 is taken for public at all.
var notPublic = prefixesOf(
	"0.0.0.0/8",       // this network
	"10.0.0.0/8",      // private
	"100.64.0.0/10",   // shared, behind carriers' NAT
	"127.0.0.0/8",     // loopback
	"169.254.0.0/16",  // link-local; metadata of clouds
	"172.16.0.0/12",   // private
	"192.0.0.0/24",    // protocol assignments
	"192.0.2.0/24",    // documentation
	"192.88.99.0/24",  // 6to4 relays
	"192.168.0.0/16",  // private
	"198.18.0.0/15",   // benchmarks
	"198.51.100.0/24", // documentation
	"203.0.113.0/24",  // documentation
	"224.0.0.0/4",     // multicast
	"240.0.0.0/4",     // reserved, broadcast
	"2001::/23",       // protocol assignments, Teredo
	"2001:db8::/32",   // documentation
	"2002::/16",       // 6to4, which carries an IPv4 address
	"3fff::/20",       // documentation
)

var (
	globalIPv6 = netip.MustParsePrefix("2000::/3")
	// nat64 carries an IPv4 address in its last bytes (RFC 6052). Hosts without IPv4 reach the
	// public internet that way.
	nat64 = netip.MustParsePrefix("64:ff9b::/96")
)

func prefixesOf(texts ...string) []netip.Prefix {
	prefixes := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		prefixes[i] = netip.MustParsePrefix(text)
	}
	return prefixes
}

// checkPublic refuses addresses that are not on the public internet.
func checkPublic(addr netip.Addr) error {
	addr = addr.Unmap()
	if nat64.Contains(addr) {
		bytes := addr.As16()
		addr = netip.AddrFrom4([4]byte(bytes[12:]))
	}
	private := !addr.IsValid() || addr.Zone() != "" || addr.Is6() && !globalIPv6.Contains(addr)
	for _, prefix := range notPublic {
		private = private || prefix.Contains(addr)
	}
	if private {
		return fmt.Errorf("%w: set allow_private if this is meant to be", errPrivate)
	}
	return nil
}
