package authparam

import (
	"strings"
	"testing"
)

func read(line string) (all []string) {
	for rest := line; rest != "" && len(all) < 100; {
		var one []string
		var scheme string
		scheme, rest = Next(rest, func(name, value string) { one = append(one, name+"="+value) })
		all = append(all, scheme+" "+strings.Join(one, "|"))
	}
	return all
}

func TestNext(t *testing.T) {
	for line, want := range map[string]string{
		`Basic realm="x"`:                 "Basic realm=x",
		`A a="1", b=2, C c = "3"`:         "A a=1|b=2\nC c=3",
		`A a="1" b=2;c=3`:                 "A a=1|b=2;c=3",
		`Negotiate YII/abc+d==, A a=1`:    "Negotiate \nA a=1",
		`A a="x \"y\", B b=1 \\"`:         `A a=x "y", B b=1 \`,
		`A a="not closed, B b=1`:          "A a=not closed, B b=1",
		` , ,A a=1, , ,B b=2`:             "A a=1\nB b=2",
		"A a=1, a=2":                      "A a=1|a=2",
		"A @ a=1":                         "A a=1",
		"A":                               "A ",
		"A, B":                            "A \nB ",
		`A a=""`:                          "A a=",
		strings.Repeat(" ", 10) + "A a=1": "A a=1",
		`A description="caf` + "\u00e9" + `", realm="r"`: "A description=caf\u00e9|realm=r",
	} {
		if got := strings.Join(read(line), "\n"); got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}

// FuzzNext checks that reading ends and takes nothing from elsewhere.
func FuzzNext(f *testing.F) {
	f.Add(`A a="x \"y\"", B b=1, Negotiate YII==`)
	f.Add("\\\"=,")
	f.Fuzz(func(t *testing.T, line string) {
		for rest := line; rest != ""; {
			before := rest
			if _, rest = Next(rest, func(name, _ string) {
				if !strings.Contains(before, name) {
					t.Fatalf("%q is not in %q", name, before)
				}
			}); len(rest) >= len(before) || !strings.HasSuffix(before, rest) {
				t.Fatalf("%q goes on with %q", before, rest)
			}
		}
	})
}
