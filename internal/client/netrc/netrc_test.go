package netrc

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	host = "cache.example.com"
	line = "machine cache.example.com login l402 password AgEE+/=:00ff\n"
)

func TestSet(t *testing.T) {
	const old = "machine cache.example.com login l402 password old\n"
	for name, tc := range map[string]struct{ text, want string }{
		"an empty file":               {"", line},
		"no line break at the end":    {"machine a login b password c", "machine a login b password c\n" + line},
		"others stay":                 {"# mine\nmachine a\n\tlogin b\n\tpassword \"c d\"\n", "# mine\nmachine a\n\tlogin b\n\tpassword \"c d\"\n" + line},
		"our own is replaced":         {"machine a login b\n" + old + "machine z login y\n", "machine a login b\n" + line + "machine z login y\n"},
		"over several lines":          {"machine cache.example.com\n  login l402\n  password old\n# after\n", line + "# after\n"},
		"on one line with others":     {"machine a login b " + strings.TrimSpace(old) + " machine z login y\n", "machine a login b \n" + line + " machine z login y\n"},
		"twice":                       {old + "machine a login b\n" + old, line + "machine a login b\n"},
		"hosts have no case":          {"machine Cache.Example.COM login l402 password old", line},
		"before the default":          {"machine a login b\ndefault login anonymous password x\n", "machine a login b\n" + line + "default login anonymous password x\n"},
		"not into a macro":            {"macdef init\nmachine cache.example.com login other\nquit\n\nmachine a login b\n", "macdef init\nmachine cache.example.com login other\nquit\n\nmachine a login b\n" + line},
		"not into a comment":          {"# machine cache.example.com login other\n", "# machine cache.example.com login other\n" + line},
		"a password is no comment":    {"machine a login b password #c\n" + old, "machine a login b password #c\n" + line},
		"a password is no keyword":    {"machine a login b password machine\n" + old, "machine a login b password machine\n" + line},
		"words in quotes":             {`machine "cache.example.com" login "l402" password "o\"ld"` + "\n", line},
		"another host with this name": {"machine xcache.example.com login other\n", "machine xcache.example.com login other\n" + line},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Set(tc.text, host, "AgEE+/=:00ff")
			if err != nil || got != tc.want {
				t.Errorf("got %q, %v\nwant %q", got, err, tc.want)
			}
			if again, err := Set(got, host, "AgEE+/=:00ff"); err != nil || again != got {
				t.Errorf("a second time it becomes %q, %v", again, err)
			}
		})
	}
}

func TestSetRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		text, host, credential string
		want                   error
	}{
		"a password of the user's":    {"machine cache.example.com login me password mine\n", host, "a:b", ErrForeign},
		"an entry without a login":    {"machine cache.example.com password mine\n", host, "a:b", ErrForeign},
		"one of both":                 {line + "machine cache.example.com login me\n", host, "a:b", ErrForeign},
		"no host":                     {"", "", "a:b", ErrUnfit},
		"a host of two words":         {"", "a login b", "a:b", ErrUnfit},
		"a host of two lines":         {"", "a\nmachine", "a:b", ErrUnfit},
		"no credential":               {"", host, "", ErrUnfit},
		"a credential of two lines":   {"", host, "a\nmachine b", ErrUnfit},
		"a credential with quotes":    {"", host, `"a"`, ErrUnfit},
		"a credential as a comment":   {"", host, "#a", ErrUnfit},
		"quotes that do not end":      {"machine a password \"b\nmachine c\n", host, "a:b", ErrDamaged},
		"a macro that does not end":   {"macdef init\nquit\n", host, "a:b", ErrDamaged},
		"a line that curl would drop": {"", host, strings.Repeat("A", 4000), ErrUnfit},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := Set(tc.text, tc.host, tc.credential); !errors.Is(err, tc.want) || got != "" {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestUpdate(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "netrc")
	const others = "machine a login b password c\n"
	if err := os.WriteFile(path, []byte(others), 0o644); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := Update(t.Context(), link, host, "AgEE+/=:00ff"); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil || string(text) != others+line {
			t.Errorf("got %q, %v", text, err)
		}
		info, err := os.Lstat(path)
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("got %v, %v", info.Mode(), err)
		}
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link was replaced: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestUpdateRefuses(t *testing.T) {
	dir := t.TempDir()
	foreign := filepath.Join(dir, "foreign")
	const text = "machine cache.example.com login me password mine\n"
	if err := os.WriteFile(foreign, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"an entry of the user's": foreign, "a folder": dir, "a folder that is not there": filepath.Join(dir, "no", "netrc"),
	} {
		t.Run(name, func(t *testing.T) {
			err := Update(t.Context(), path, host, "a:b")
			if !errors.Is(err, ErrFile) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "mine") {
				t.Error(err)
			}
			if err := Check(path, host); name != "a folder that is not there" && !errors.Is(err, ErrFile) {
				t.Error("Check:", err)
			}
		})
	}
	if got, err := os.ReadFile(foreign); err != nil || string(got) != text {
		t.Errorf("the file was changed: %q, %v", got, err)
	}
	if err := Check(filepath.Join(dir, "new"), host); err != nil {
		t.Error("a file that is not there yet:", err)
	}
}

// FuzzSet: what is put in is there afterwards, once, what others had stays in its order, and a
// second time changes nothing.
func FuzzSet(f *testing.F) {
	f.Add("machine a login b\ndefault\n")
	f.Add("machine cache.example.com login l402 password x machine \"q\\\"\" macdef m\n\n#\n")
	f.Add("machine a password \"unended\nmachine b")
	f.Fuzz(func(t *testing.T, text string) {
		before := parse(text)
		got, err := Set(text, host, "a:b")
		if err != nil {
			if !errors.Is(err, ErrForeign) && !errors.Is(err, ErrDamaged) {
				t.Fatal(err)
			}
			return
		}
		if again, err := Set(got, host, "a:b"); err != nil || again != got {
			t.Fatalf("%q became %q and then %q, %v", text, got, again, err)
		}
		kept, now := outline(before, host), outline(parse(got), host)
		if now.ours != 1 || !slices.Equal(kept.others, now.others) {
			t.Fatalf("%q became %q", text, got)
		}
	})
}
