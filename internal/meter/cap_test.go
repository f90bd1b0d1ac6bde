package meter

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestCap(t *testing.T) {
	type step func(c *Cap) error
	header := func(name, value string) step {
		return func(c *Cap) error { c.Header().Set(name, value); return nil }
	}
	status := func(code int) step { return func(c *Cap) error { c.WriteHeader(code); return nil } }
	write := func(text string) step {
		return func(c *Cap) error { _, err := c.Write([]byte(text)); return err }
	}
	copied := func(src io.Reader) step {
		return func(c *Cap) error { _, err := c.ReadFrom(src); return err }
	}
	for _, tc := range []struct {
		name          string
		steps         []step
		body          string
		withheld, cut bool
	}{
		{"fits", []step{write("12345")}, "12345", false, false},
		{"in parts", []step{write("123"), write("45")}, "12345", false, false},
		{"one more", []step{write("12345"), write("6")}, "12345", false, true},
		{"told to fit", []step{header("Content-Length", "5"), write("12345")}, "12345", false, false},
		{"told to be longer", []step{header("Content-Length", "6"), write("123456")}, "", true, false},
		{"told a lie", []step{header("Content-Length", "5"), write("123"), write("456")}, "123", false, true},
		{"a part of what fits", []step{header("Content-Range", "bytes 0-1/5"), status(206), write("12")}, "12", false, false},
		{"a part of more", []step{header("Content-Range", "bytes 0-1/6"), status(206), write("12")}, "", true, false},
		{"a part of the unknown", []step{header("Content-Range", "bytes 0-1/*"), status(206), write("12")}, "", true, false},
		{"parts without a whole", []step{status(206), write("12")}, "", true, false},
		{"an upgrade", []step{status(101)}, "", true, false},
		{"interim first", []step{header("Content-Length", "9"), status(103), header("Content-Length", "2"), write("12")}, "12", false, false},
		{"copied", []step{copied(strings.NewReader("12345"))}, "12345", false, false},
		{"copied, longer", []step{copied(io.MultiReader(strings.NewReader("123"), strings.NewReader("456")))}, "123", false, true},
		{"copied, bounded", []step{copied(io.LimitReader(strings.NewReader("123456789"), 5))}, "12345", false, false},
		{"copied, bounded too late", []step{copied(io.LimitReader(strings.NewReader("123456"), 6))}, "", false, true},
		{"copied twice", []step{copied(io.LimitReader(strings.NewReader("12345"), 5)), write("6")}, "12345", false, true},
		{"flushed", []step{func(c *Cap) error { return c.FlushError() }, write("12345")}, "12345", false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			c := NewCap(w, 5)
			var err error
			for _, step := range tc.steps {
				err = errors.Join(err, step(c))
			}
			if w.Body.String() != tc.body || c.Withheld() != tc.withheld || c.Cut() != tc.cut {
				t.Errorf("sent %q, withheld %v, cut %v", w.Body, c.Withheld(), c.Cut())
			}
			if tc.cut && !errors.Is(err, ErrTooLong) {
				t.Error("the handler was not told:", err)
			}
		})
	}
	c := NewCap(httptest.NewRecorder(), 5)
	if _, _, err := http.NewResponseController(c).Hijack(); !errors.Is(err, ErrTooLong) || !c.Withheld() {
		t.Error("hijacking:", err)
	}
}
