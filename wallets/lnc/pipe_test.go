package lnc

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// messages is a connection that, as the library does, gives a message only to a buffer that has
// room for all of it and takes messages of limited size.
type messages struct {
	net.Conn
	in      [][]byte
	written [][]byte
	fail    error
}

func (m *messages) Read(b []byte) (int, error) {
	if len(m.in) == 0 {
		return 0, io.EOF
	}
	next := m.in[0]
	m.in = m.in[1:]
	copy(b, next)
	return len(next), nil
}

func (m *messages) Write(b []byte) (int, error) {
	if m.fail != nil {
		return 0, m.fail
	}
	if len(b) > 65535 {
		return 0, errors.New("message too long")
	}
	m.written = append(m.written, bytes.Clone(b))
	return len(b), nil
}

func (m *messages) Close() error { return nil }

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestPipe(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 4000)
	inner := &messages{in: [][]byte{big[:40000], big[40000:40001], big[40001:]}}
	p := newPipe(inner)
	var got []byte
	for b := make([]byte, 7); len(got) < len(big); {
		n, err := p.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, b[:n]...)
	}
	if !bytes.Equal(got, big) {
		t.Error("reading in small portions loses bytes")
	}
	if isClosed(p.lost) {
		t.Error("lost before the end")
	}
	if _, err := p.Read(make([]byte, 1)); !errors.Is(err, io.EOF) || !isClosed(p.lost) {
		t.Errorf("at the end: %v", err)
	}

	p = newPipe(inner)
	if n, err := p.Write(append(big, big...)); n != 2*len(big) || err != nil {
		t.Errorf("wrote %d, %v", n, err)
	}
	if !bytes.Equal(bytes.Join(inner.written, nil), append(big, big...)) {
		t.Error("writing a long text loses bytes")
	}
	inner.fail = errors.New("broken")
	if _, err := p.Write([]byte("x")); !errors.Is(err, inner.fail) || !isClosed(p.lost) {
		t.Errorf("got %v", err)
	}
	p = newPipe(inner)
	if err := p.Close(); err != nil || !isClosed(p.lost) {
		t.Error("not lost by closing")
	}
}

func TestComplaint(t *testing.T) {
	var c complaint
	ctx := t.Context()
	quiet := c.reason()
	for _, err := range []error{nil, io.EOF, status.Error(codes.Canceled, "context canceled"), errors.New("x")} {
		if c.note(ctx, err); c.reason() != quiet {
			t.Errorf("%v was noted as %q", err, c.reason())
		}
	}
	secret := "61a7b20c7d90eeae1d6201a2b8e59bd9605e5ed2fd471fa9f7502bcc5112c962"
	for _, s := range []struct {
		code       codes.Code
		text, want string
	}{
		{codes.Unknown, "stream not found", "knows no such session"},
		{codes.Unknown, "read stream occupied", "in use"},
		{codes.Unimplemented, "unknown service", "is no mailbox"},
		{codes.Unavailable, "no route to " + secret + "\n", "no route to … "},
	} {
		c.note(ctx, status.Error(s.code, s.text))
		if got := c.reason(); !bytes.Contains([]byte(got), []byte(s.want)) || bytes.Contains([]byte(got), []byte(secret[:40])) {
			t.Errorf("%s is explained by %q", s.text, got)
		}
	}
	c.clear()
	if c.reason() != quiet {
		t.Error("not cleared")
	}
}

func FuzzClean(f *testing.F) {
	f.Add("a\x00b\xff" + string(bytes.Repeat([]byte("a1"), 400)))
	f.Fuzz(func(t *testing.T, text string) {
		got := clean(text)
		if len(got) > maxErrorText+len("…") || longRun.MatchString(got) {
			t.Errorf("%q", got)
		}
	})
}
