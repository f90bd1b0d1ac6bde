package l402

import (
	"strings"
	"testing"

	"github.com/lightningnetwork/lnd/lnwire"
)

func TestCaveats(t *testing.T) {
	const pre = "preimage="
	good, bad := testPreimage.String(), strings.Repeat("00", 32)
	long := strings.Repeat("n", MaxNameLength)
	svc := Want{Service: "svc", Now: testNow}
	with := func(change func(w *Want)) Want {
		w := svc
		change(&w)
		return w
	}
	capable := with(func(w *Want) { w.Capabilities = []string{"a", "b"} })
	host := with(func(w *Want) { w.Host = "h" })
	mustHost := with(func(w *Want) { w.Host, w.RequireHost = "h", true })
	mustPath := with(func(w *Want) { w.Path, w.RequirePath = "/p", true })
	mustRequest := with(func(w *Want) { w.Request, w.RequireRequest = "r", true })
	mustPrice := with(func(w *Want) { w.Price, w.RequirePrice = 1000, true })
	mustAll := with(func(w *Want) {
		w.Host, w.Path, w.Request, w.Price = "h", "/p", "r", 1000
		w.RequireHost, w.RequirePath, w.RequireRequest, w.RequirePrice = true, true, true, true
	})
	lax := with(func(w *Want) { w.SkipUnknown = true })

	tests := []struct {
		name    string
		want    Want
		caveats string // separated by "|"
		err     error
	}{
		{"services", svc, "services=svc:0", nil},
		{"services, blanks", svc, " services = other:1 , svc : 0 ", nil},
		{"services, two tiers", with(func(w *Want) { w.Tier = 2 }), "services=svc:0,svc:2", nil},
		{"services, greatest tier", with(func(w *Want) { w.Tier = 255 }), "services=svc:255", nil},
		{"services missing", svc, "svc_valid_until=1800000001", ErrNoServices},
		{"no caveat", svc, "", ErrUnknownCaveat}, // one empty caveat
		{"services, prefix of the name", svc, "services=sv:0,svcx:0", ErrWrongService},
		{"services, other case", svc, "services=SVC:0", ErrWrongService},
		{"services, tier not granted", svc, "services=svc:1,svc:2,other:0", ErrWrongTier},
		{"services empty", svc, "services=", ErrMalformedCaveat},
		{"services without =", svc, "services", ErrMalformedCaveat},
		{"services, empty item", svc, "services=svc:0,", ErrMalformedCaveat},
		{"services, no tier", svc, "services=svc", ErrMalformedCaveat},
		{"services, empty tier", svc, "services=svc:", ErrMalformedCaveat},
		{"services, tier too great", svc, "services=svc:256", ErrMalformedCaveat},
		{"services, tier with zeros", svc, "services=svc:00", ErrMalformedCaveat},
		{"services, negative tier", svc, "services=svc:-0", ErrMalformedCaveat},
		{"services, no name", svc, "services=:0", ErrMalformedCaveat},
		{"services, name with a blank", svc, "services=s vc:0", ErrMalformedCaveat},
		{"services, name too long", svc, "services=svc:0," + long + "n:0", ErrMalformedCaveat},
		{"services, long name", svc, "services=svc:0," + long + ":0", nil},
		{"services repeated", svc, "services=svc:0|services=svc:0", nil},
		{"services narrowed", svc, "services=a:1,svc:0,b:2|services=b:2,svc:0|services=svc:0", nil},
		{"services narrowed away", svc, "services=a:1,svc:0|services=a:1", ErrWrongService},
		{"services, tier narrowed away", svc, "services=svc:1,svc:0|services=svc:1", ErrWrongTier},
		{"services widened", svc, "services=a:0|services=a:0,svc:0", ErrConflictingCaveats},
		{"services, tier changed", svc, "services=svc:1|services=svc:0", ErrConflictingCaveats},
		{"services narrowed and widened", svc, "services=a:0,svc:0|services=a:0|services=a:0,svc:0", ErrConflictingCaveats},
		{"no service wanted", Want{Now: testNow}, "services=svc:0", ErrWrongService},
		{"no service wanted, condition _host", Want{Now: testNow}, "services=svc:0|_host=x", ErrUnknownCaveat},

		{"valid until later", svc, "services=svc:0|svc_valid_until=1800000001", nil},
		{"valid until now", svc, "services=svc:0|svc_valid_until=1800000000", ErrExpired},
		{"valid until a second ago", svc, "services=svc:0|svc_valid_until=1799999999", ErrExpired},
		{"valid until 1970", svc, "services=svc:0|svc_valid_until=0", ErrExpired},
		{"valid for ever", svc, "services=svc:0|svc_valid_until=9223372036854775807", nil},
		{"valid until beyond time", svc, "services=svc:0|svc_valid_until=9223372036854775808", ErrMalformedCaveat},
		{"valid until, negative", svc, "services=svc:0|svc_valid_until=-1", ErrMalformedCaveat},
		{"valid until, empty", svc, "services=svc:0|svc_valid_until=", ErrMalformedCaveat},
		{"valid until, no =", svc, "services=svc:0|svc_valid_until", ErrMalformedCaveat},
		{"valid until shrunk", svc, "services=svc:0|svc_valid_until=1800000009|svc_valid_until=1800000009|svc_valid_until=1800000001", nil},
		{"valid until shrunk to the past", svc, "services=svc:0|svc_valid_until=1800000009|svc_valid_until=5", ErrExpired},
		{"valid until grown", svc, "services=svc:0|svc_valid_until=1800000001|svc_valid_until=1800000002", ErrConflictingCaveats},
		{"valid until grown from the past", svc, "services=svc:0|svc_valid_until=0|svc_valid_until=1800000002", ErrConflictingCaveats},

		{"all capabilities", capable, "services=svc:0", nil},
		{"capabilities", capable, "services=svc:0|svc_capabilities=c, b ,a", nil},
		{"capability missing", capable, "services=svc:0|svc_capabilities=a,c", ErrMissingCapability},
		{"capability, prefix", capable, "services=svc:0|svc_capabilities=a,bb", ErrMissingCapability},
		{"no capabilities", capable, "services=svc:0|svc_capabilities=", ErrMissingCapability},
		{"no capabilities, none wanted", svc, "services=svc:0|svc_capabilities=", nil},
		{"capabilities narrowed", capable, "services=svc:0|svc_capabilities=a,b,c|svc_capabilities=b,a", nil},
		{"capabilities narrowed away", capable, "services=svc:0|svc_capabilities=a,b,c|svc_capabilities=a", ErrMissingCapability},
		{"capabilities narrowed to none", capable, "services=svc:0|svc_capabilities=a,b|svc_capabilities=", ErrMissingCapability},
		{"capabilities widened", capable, "services=svc:0|svc_capabilities=a|svc_capabilities=a,b", ErrConflictingCaveats},
		{"capabilities widened from none", svc, "services=svc:0|svc_capabilities=|svc_capabilities=a", ErrConflictingCaveats},
		{"capabilities, empty item", capable, "services=svc:0|svc_capabilities=a,,b", ErrMalformedCaveat},
		{"capabilities, bad name", capable, "services=svc:0|svc_capabilities=a,b c", ErrMalformedCaveat},
		{"capabilities, no =", svc, "services=svc:0|svc_capabilities", ErrMalformedCaveat},

		{"uses", svc, "services=svc:0|svc_uses=1", nil},
		{"uses, zero", svc, "services=svc:0|svc_uses=0", ErrMalformedCaveat},
		{"uses, no number", svc, "services=svc:0|svc_uses=x", ErrMalformedCaveat},
		{"uses, too great", svc, "services=svc:0|svc_uses=18446744073709551616", ErrMalformedCaveat},
		{"uses shrunk", svc, "services=svc:0|svc_uses=5|svc_uses=5|svc_uses=4", nil},
		{"uses grown", svc, "services=svc:0|svc_uses=5|svc_uses=6", ErrConflictingCaveats},
		{"bytes", svc, "services=svc:0|svc_bytes=18446744073709551615", nil},
		{"bytes, zero", svc, "services=svc:0|svc_bytes=0", ErrMalformedCaveat},
		{"bytes grown", svc, "services=svc:0|svc_bytes=5|svc_bytes=6", ErrConflictingCaveats},

		{"host", host, "services=svc:0|svc_host=h", nil},
		{"host repeated", host, "services=svc:0|svc_host=h|svc_host=h", nil},
		{"host, not needed", host, "services=svc:0", nil},
		{"host, another", host, "services=svc:0|svc_host=g", ErrWrongHost},
		{"host, longer", host, "services=svc:0|svc_host=h.h", ErrWrongHost},
		{"host, none wanted", svc, "services=svc:0|svc_host=h", ErrWrongHost},
		{"host, empty", svc, "services=svc:0|svc_host=", ErrMalformedCaveat},
		{"host, no =", svc, "services=svc:0|svc_host", ErrMalformedCaveat},
		{"hosts in conflict", host, "services=svc:0|svc_host=h|svc_host=g", ErrConflictingCaveats},
		{"hosts in conflict, the other way", host, "services=svc:0|svc_host=g|svc_host=h", ErrConflictingCaveats},
		{"host needed", mustHost, "services=svc:0|svc_host=h|svc_valid_until=1800000001", nil},
		{"host needed, missing", mustHost, "services=svc:0", ErrWrongHost},
		{"host needed, another's", mustHost, "services=svc:0,other:0|other_host=h", ErrWrongHost},
		{"host needed, added by the holder", mustHost, "services=svc:0|svc_valid_until=1800000001|svc_host=h", ErrWrongHost},
		{"host needed, repeated by the holder", mustHost, "services=svc:0|svc_host=h|svc_uses=1|svc_host=h", nil},
		{"path needed", mustPath, "services=svc:0|svc_path=/p", nil},
		{"path needed, missing", mustPath, "services=svc:0|svc_host=", ErrMalformedCaveat},
		{"path needed, added", mustPath, "services=svc:0|svc_uses=2|svc_path=/p", ErrWrongPath},
		{"path, slash behind", mustPath, "services=svc:0|svc_path=/p/", ErrWrongPath},
		{"path, case", mustPath, "services=svc:0|svc_path=/P", ErrWrongPath},
		{"paths in conflict", mustPath, "services=svc:0|svc_path=/p|svc_path=/q", ErrConflictingCaveats},
		{"request needed", mustRequest, "services=svc:0|svc_request=r", nil},
		{"request, another", mustRequest, "services=svc:0|svc_request=s", ErrWrongRequest},
		{"request needed, added", mustRequest, "services=svc:0|svc_bytes=2|svc_request=r", ErrWrongRequest},
		{"requests in conflict", mustRequest, "services=svc:0|svc_request=r|svc_request=s", ErrConflictingCaveats},
		{"price needed", mustPrice, "services=svc:0|svc_price_msat=1000", nil},
		{"price needed, missing", mustPrice, "services=svc:0", ErrWrongPrice},
		{"price, lower", mustPrice, "services=svc:0|svc_price_msat=999", ErrWrongPrice},
		{"price, higher", mustPrice, "services=svc:0|svc_price_msat=1001", ErrWrongPrice},
		{"price needed, added", mustPrice, "services=svc:0|svc_capabilities=|svc_price_msat=1000", ErrWrongPrice},
		{"price needed, added behind a preimage", mustPrice, "services=svc:0|preimage=" + good + "|svc_price_msat=1000", ErrWrongPrice},
		{"price of nothing needed", with(func(w *Want) { w.RequirePrice = true }), "services=svc:0", ErrWrongPrice},
		{"price changed since", with(func(w *Want) { w.Price = 5 }), "services=svc:0|svc_price_msat=1000", nil},
		{"price, zero", svc, "services=svc:0|svc_price_msat=0", ErrMalformedCaveat},
		{"price, fraction", svc, "services=svc:0|svc_price_msat=1.5", ErrMalformedCaveat},
		{"prices in conflict", svc, "services=svc:0|svc_price_msat=1|svc_price_msat=2", ErrConflictingCaveats},
		{"all bindings", mustAll, "services=svc:0|svc_host=h|svc_path=/p|svc_request=r|svc_price_msat=1000|svc_uses=1", nil},

		{"preimage", svc, "services=svc:0|" + pre + good, nil},
		{"preimage twice", svc, "services=svc:0|" + pre + good + "|preimage = " + strings.ToUpper(good), nil},
		{"preimage, wrong", svc, "services=svc:0|" + pre + bad, ErrConflictingCaveats},
		{"preimage, then a wrong one", svc, "services=svc:0|" + pre + good + "|" + pre + bad, ErrConflictingCaveats},
		{"preimage, malformed", svc, "services=svc:0|" + pre + "x", ErrMalformedCaveat},
		{"preimage, empty", svc, "services=svc:0|" + pre, ErrMalformedCaveat},
		{"preimage, byte behind", svc, "services=svc:0|" + pre + good + "00", ErrMalformedCaveat},
		{"preimage, no =", svc, "services=svc:0|preimage", ErrMalformedCaveat},

		{"unknown", svc, "services=svc:0|foo=bar", ErrUnknownCaveat},
		{"unknown, no =", svc, "services=svc:0|foobar", ErrUnknownCaveat},
		{"unknown, empty", svc, "services=svc:0|", ErrUnknownCaveat},
		{"unknown, no condition", svc, "services=svc:0|=bar", ErrUnknownCaveat},
		{"unknown, case", svc, "services=svc:0|svc_Valid_until=1800000001", ErrUnknownCaveat},
		{"unknown of the service", svc, "services=svc:0|svc_foo=bar", ErrUnknownCaveat},
		{"unknown, only the service", svc, "services=svc:0|svc=bar", ErrUnknownCaveat},
		{"unknown, underscore behind", svc, "services=svc:0|svc_=bar", ErrUnknownCaveat},
		{"unknown, line end", svc, "services=svc:0|svc_host\n=h", ErrUnknownCaveat},
		{"unknown first", svc, "foo=bar|services=svc:0", ErrUnknownCaveat},
		{"of a service not named", svc, "services=svc:0|other_valid_until=1", ErrUnknownCaveat},
		{"of a service named", svc, "services=svc:0,other:0|other_valid_until=1|other_foo=x|other_bar", nil},
		{"of a service named later", svc, "other_valid_until=1|services=svc:0,other:0", nil},
		{"of a service named only by a repeat", svc, "services=svc:0|services=svc:0,other:0|other_x=1", ErrConflictingCaveats},
		{"of a service narrowed away", svc, "services=svc:0,other:0|services=svc:0|other_uses=0", nil},
		{"of a service named, no constraint", svc, "services=svc:0,other:0|other_=1", ErrUnknownCaveat},
		{"of a service whose name goes on", svc, "services=svc:0,svc_b:0|svc_b_host=x", nil},
		{"of the service whose name goes on", with(func(w *Want) { w.Service = "svc_b" }), "services=svc:0,svc_b:0|svc_b_foo=x", ErrUnknownCaveat},
		{"known one that reads as another's", with(func(w *Want) { w.Service = "a" }), "services=a:0,a_valid:0|a_valid_until=1", ErrExpired},
		{"the same for the other", with(func(w *Want) { w.Service = "a_valid" }), "services=a:0,a_valid:0|a_valid_until=1", ErrUnknownCaveat},

		{"skip: unknown", lax, "services=svc:0|foo=bar|foobar||=x|svc_foo=1|other_uses=0", nil},
		{"skip: malformed", lax, "services=svc:0|svc_uses=x", ErrMalformedCaveat},
		{"skip: known without =", lax, "services=svc:0|svc_valid_until", ErrMalformedCaveat},
		{"skip: conflict", lax, "services=svc:0|svc_host=a|svc_host=b", ErrConflictingCaveats},
		{"skip: no services", lax, "foo=bar", ErrNoServices},
		{"skip: expired", lax, "foo=bar|services=svc:0|svc_valid_until=1", ErrExpired},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			mac := mintRaw(t, strings.Split(test.caveats, "|")...)
			g, err := verify(mac, &testPreimage, &test.want)
			if err != test.err {
				t.Errorf("got %v, want %v", err, test.err)
			}
			if (err == nil) != g.Paid || err != nil && g != (Grant{}) {
				t.Errorf("error %v, grant %+v", err, g)
			}
			// A token that is refused is refused without a preimage as well.
			if !strings.Contains(test.caveats, "preimage") {
				missing := test.err
				if missing == nil {
					missing = ErrPreimageMissing
				}
				if g, err := verify(mac, nil, &test.want); err != missing || g.Paid {
					t.Errorf("without preimage: got %v, want %v", err, missing)
				}
			}
		})
	}
}

func TestEffectiveLimits(t *testing.T) {
	mac := mintRaw(t, "services=svc:0", "svc_valid_until=1800000009", "svc_uses=9", "svc_bytes=99",
		"svc_uses=8", "svc_valid_until=1800000005", "svc_bytes=50", "svc_uses=3")
	g, err := verify(mac, &testPreimage, &Want{Service: "svc", Now: testNow})
	if err != nil || g.ValidUntil != 1_800_000_005 || g.Uses != 3 || g.Bytes != 50 {
		t.Errorf("got %+v, %v", g, err)
	}
}

// A preimage inside the token that is wrong refuses also when it is the only one.
func TestWrongPreimageInside(t *testing.T) {
	mac := mintRaw(t, "services=svc:0", "preimage="+strings.Repeat("00", 32))
	if g, err := verify(mac, nil, &Want{Service: "svc"}); err != ErrPreimageMismatch || g != (Grant{}) {
		t.Errorf("got %+v, %v", g, err)
	}
	mac = mintRaw(t, "services=svc:0", "preimage=x")
	if g, err := verify(mac, nil, &Want{Service: "svc"}); err != ErrMalformedCaveat || g != (Grant{}) {
		t.Errorf("malformed: got %+v, %v", g, err)
	}
	mac = mintRaw(t, "services=svc:0", "preimage=x", "preimage="+testPreimage.String())
	if g, err := verify(mac, nil, &Want{Service: "svc"}); err != ErrMalformedCaveat || g != (Grant{}) {
		t.Errorf("malformed before the right one: got %+v, %v", g, err)
	}
}

// TestGrantPriceIsTheServers: a holder can write a price into a token that has none, and it tells
// nothing.
func TestGrantPriceIsTheServers(t *testing.T) {
	for _, test := range []struct {
		caveats string
		want    lnwire.MilliSatoshi
	}{
		{"services=svc:0|svc_price_msat=7|svc_uses=5", 7},
		{"services=svc:0|svc_price_msat=7|svc_uses=5|svc_price_msat=7", 7},
		{"services=svc:0|svc_uses=5|svc_price_msat=7", 0},
	} {
		mac := mintRaw(t, strings.Split(test.caveats, "|")...)
		if g, err := verify(mac, &testPreimage, &Want{Service: "svc", Now: testNow}); err != nil || g.Price != test.want {
			t.Errorf("%s: got %d, %v", test.caveats, g.Price, err)
		}
	}
}

func TestSizedRequests(t *testing.T) {
	want := Want{Service: "svc", Now: testNow, Request: "r", SizedRequest: true}
	plain := Want{Service: "svc", Now: testNow, Request: "r", RequireRequest: true}
	for _, test := range []struct {
		caveats string
		want    Want
		size    uint64
		err     error
	}{
		{"svc_request=r~5", want, 5, nil},
		{"svc_request=r~9223372036854775807|svc_uses=1", want, 1<<63 - 1, nil},
		{"svc_request=r~5|svc_uses=1|svc_request=r~5", want, 5, nil},
		{"svc_request=r~5|svc_uses=1|svc_request=r~6", want, 0, ErrConflictingCaveats},
		{"svc_uses=1|svc_request=r~5", want, 0, ErrWrongRequest},
		{"svc_uses=1", want, 0, ErrWrongRequest},
		{"svc_request=r", want, 0, ErrWrongRequest},
		{"svc_request=r~", want, 0, ErrWrongRequest},
		{"svc_request=r~0", want, 0, ErrWrongRequest},
		{"svc_request=r~05", want, 0, ErrWrongRequest},
		{"svc_request=r~-5", want, 0, ErrWrongRequest},
		{"svc_request=r~5~6", want, 0, ErrWrongRequest},
		{"svc_request=r~99999999999999999999", want, 0, ErrWrongRequest},
		{"svc_request=q~5", want, 0, ErrWrongRequest},
		{"svc_request=~5", want, 0, ErrWrongRequest},
		{"svc_request=r~5", plain, 0, ErrWrongRequest},
	} {
		mac := mintRaw(t, append([]string{"services=svc:0"}, strings.Split(test.caveats, "|")...)...)
		if g, err := verify(mac, &testPreimage, &test.want); err != test.err || g.Size != test.size {
			t.Errorf("%s: got %d, %v", test.caveats, g.Size, err)
		}
	}
	sold := Terms{Service: "svc", Request: "r", RequestSize: 7, Uses: 1}
	if g, err := verify(mint(t, sold), &testPreimage, &want); err != nil || g.Size != 7 {
		t.Error(g, err)
	}
}
