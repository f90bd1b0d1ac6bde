package upstream

import "testing"

func TestBelow(t *testing.T) {
	for _, tc := range []struct {
		target string
		want   bool
	}{
		{"/premium/a", true},
		{"//premium//a?x=1", true},
		{"/PREMIUM/a", true},
		{"/free/../premium/a", true},
		{"/free/%2e%2e/premium/a", true},
		{"/premium%2fa", true},
		{"/premium", false},
		{"/premiums/a", false},
		{"/free/a?x=/premium/", false},
		{"/premium/../free", false},
	} {
		if got := below("/premium/", tc.target); got != tc.want {
			t.Errorf("%s: %t, want %t", tc.target, got, tc.want)
		}
	}
}
