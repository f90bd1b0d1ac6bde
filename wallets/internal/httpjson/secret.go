package httpjson

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// maxFile bounds what is read from a file of the configuration.
const maxFile = 64 << 10

// ReadFile reads a small regular file. Errors name the path and hold nothing of the content.
func ReadFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	// A pipe would block, a device might never end.
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxFile {
		return nil, fmt.Errorf("%s has more than %d bytes", path, maxFile)
	}
	return b, nil
}

// Secret is a credential in text form that stands in the configuration or in a file, which is
// read at first use and again when Reload is called. It is safe for concurrent use.
type Secret struct {
	setting, path string

	mu      sync.Mutex
	current string
	known   []string
}

// NewSecret makes a Secret from the two settings that can give it, by value or by path; setting
// names it in errors. It reads no file. Exactly one of value and path must be set.
func NewSecret(setting, value, path string) (*Secret, error) {
	switch {
	case value != "" && path != "":
		return nil, fmt.Errorf("%s and %s_file are both set: keep one", setting, setting)
	case value == "" && path == "":
		return nil, fmt.Errorf("%s is missing: give it, or %s_file with the path of a file that holds it", setting, setting)
	case path != "":
		return &Secret{setting: setting, path: path}, nil
	}
	if err := checkText(value); err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	return &Secret{setting: setting, current: value, known: []string{value}}, nil
}

// Get gives the secret. Errors wrap ErrUnavailable, since a file may appear later.
func (s *Secret) Get() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != "" {
		return s.current, nil
	}
	return s.read()
}

// Reload reads the file again and tells whether it holds something else now. An adapter calls it
// when the peer refuses the credential, and on true tries once more.
func (s *Secret) Reload() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.path == "" {
		return false
	}
	before := s.current
	after, err := s.read()
	return err == nil && after != before
}

// All gives this secret and the former ones, for Config.Secrets.
func (s *Secret) All() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known
}

func (s *Secret) read() (string, error) {
	b, err := ReadFile(s.path)
	if err != nil {
		return "", fmt.Errorf("%w: reading %s_file: %w", wallets.ErrUnavailable, s.setting, err)
	}
	text := strings.TrimSpace(string(b))
	if err := checkText(text); err != nil {
		return "", fmt.Errorf("%w: reading %s_file %s: %w", wallets.ErrUnavailable, s.setting, s.path, err)
	}
	if text != s.current {
		s.current = text
		// The last few will do: texts of older calls are long gone.
		s.known = append([]string{text}, s.known[:min(len(s.known), 3)]...)
	}
	return text, nil
}

// checkText refuses what cannot stand in a header. It does not repeat the text.
func checkText(text string) error {
	if strings.TrimSpace(text) == "" {
		return errors.New("it is empty")
	}
	for _, c := range []byte(text) {
		if c < ' ' || c >= 0x7f {
			return errors.New("it holds line breaks or characters that are not ASCII")
		}
	}
	return nil
}
