package rates

import (
	"errors"
	"math/big"
	"slices"
	"strconv"
	"testing"
	"time"
)

var noon = time.Unix(1_800_000_000, 0)

func quotesOf(at time.Time, values ...int64) []quote {
	quotes := make([]quote, len(values))
	for i, v := range values {
		quotes[i] = quote{source: "s" + strconv.Itoa(i), perBTC: big.NewRat(v, 1), at: at}
	}
	return quotes
}

func TestConclude(t *testing.T) {
	for _, tt := range []struct {
		name     string
		min      int
		asked    int
		values   []int64
		want     string
		is       error
		outliers []string
	}{
		{"one of one", 0, 1, []int64{100}, "100", nil, nil},
		{"two", 0, 2, []int64{100, 102}, "101", nil, nil},
		{"three", 0, 3, []int64{104, 100, 101}, "101", nil, nil},
		{"four, one down", 0, 4, []int64{104, 100, 101}, "101", nil, nil},
		{"four, two down", 0, 4, []int64{104, 100}, "102", nil, nil},
		{"four, three down", 0, 4, []int64{104}, "", ErrStale, nil},
		{"all down", 0, 4, nil, "", ErrStale, nil},
		{"one outlier", 0, 4, []int64{100, 101, 7, 102}, "101", nil, []string{"s2"}},
		{"outliers at both ends", 0, 5, []int64{100, 1, 101, 900, 102}, "101", nil, []string{"s1", "s3"}},
		{"outliers are half", 0, 4, []int64{100, 101, 7, 900}, "", ErrDisagree, nil},
		{"two camps", 0, 4, []int64{100, 101, 200, 201}, "", ErrDisagree, nil},
		{"two disagree", 0, 2, []int64{100, 106}, "", ErrDisagree, nil},
		{"at the bound", 0, 2, []int64{100, 105}, "205/2", nil, nil},
		{"one disagrees with one", 1, 2, []int64{100, 200}, "", ErrDisagree, nil},
		{"a chain is no agreement", 0, 3, []int64{100, 104, 108}, "102", nil, []string{"s2"}},
		{"more needed", 3, 4, []int64{100, 101}, "", ErrStale, nil},
		{"more must agree", 3, 3, []int64{100, 101, 200}, "", ErrDisagree, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := Settings{MinSources: tt.min}.withDefaults()
			var v verdict
			outliers := v.conclude(s, "USD", quotesOf(noon, tt.values...), tt.asked, noon)
			if !slices.Equal(outliers, tt.outliers) {
				t.Errorf("left out: %v", outliers)
			}
			if tt.is != nil {
				if !errors.Is(v.err, ErrNoRate) || !errors.Is(v.err, tt.is) || v.usable(s, noon) {
					t.Errorf("got %+v", v)
				}
				return
			}
			if v.err != nil || v.rate.PerBTC.RatString() != tt.want || !v.usable(s, noon) {
				t.Errorf("got %+v", v)
			}
		})
	}
}

func TestConcludeInTime(t *testing.T) {
	s := Settings{}.withDefaults()
	var v verdict
	now := noon
	round := func(want string, is error, values ...int64) {
		t.Helper()
		now = now.Add(time.Minute)
		v.conclude(s, "USD", quotesOf(now, values...), 3, now)
		if !errors.Is(v.err, is) || is == nil && v.err != nil {
			t.Fatalf("got %v, want %v", v.err, is)
		}
		if got := v.usable(s, now); got != (want != "") {
			t.Fatalf("usable: %t", got)
		}
		if want != "" && v.rate.PerBTC.RatString() != want {
			t.Fatalf("rate %s, want %s", v.rate.PerBTC.RatString(), want)
		}
	}
	round("100", nil, 100, 100, 100)
	round("120", nil, 120, 120, 120)      // at the bound
	round("120", ErrStale, 120)           // the one before is new enough
	round("", ErrDisagree, 100, 200, 300) // and now it is in doubt
	round("", ErrDisagree, 100, 200, 300)
	round("121", nil, 121, 121, 121) // they agree again
	round("", ErrJump, 242, 242, 242)
	round("", ErrJump, 242, 242, 242)
	round("122", nil, 122, 122, 122) // it was none
	round("", ErrJump, 244, 244, 244)
	round("", ErrJump, 244, 244, 244)
	round("", ErrStale) // not in a row
	round("", ErrJump, 244, 244, 244)
	round("", ErrJump, 500, 500, 500) // another jump counts anew
	round("", ErrJump, 501, 501, 501)
	round("502", nil, 502, 502, 502)
	round("", ErrJump, 50, 50, 50) // downwards too
	now = now.Add(forgetAfter)
	round("51", nil, 51, 51, 51) // the one before is history
	now = now.Add(s.MaxAge - time.Minute)
	round("51", ErrStale)
	round("", ErrStale) // too old
	round("52", nil, 52, 52, 52)
}

func TestAgeIsTheOldestQuotes(t *testing.T) {
	s := Settings{}.withDefaults()
	var v verdict
	quotes := quotesOf(noon, 100, 101, 102)
	quotes[1].at = noon.Add(-9 * time.Minute)
	v.conclude(s, "USD", quotes, 3, noon)
	if !v.usable(s, noon.Add(time.Minute)) || v.usable(s, noon.Add(61*time.Second)) {
		t.Errorf("got %+v", v)
	}
}

func FuzzAgree(f *testing.F) {
	f.Add(int64(100), int64(101), int64(7), int64(102))
	f.Fuzz(func(t *testing.T, a, b, c, d int64) {
		for _, v := range []int64{a, b, c, d} {
			if v <= 0 {
				return
			}
		}
		best := agree(quotesOf(noon, a, b, c, d), DefaultMaxSpread)
		if len(best) == 0 || !near(best[0].perBTC, best[len(best)-1].perBTC, DefaultMaxSpread) {
			t.Fatalf("%v", best)
		}
		if m := median(best); m.Cmp(best[0].perBTC) < 0 || m.Cmp(best[len(best)-1].perBTC) > 0 {
			t.Fatalf("median %s of %v", m, best)
		}
	})
}
