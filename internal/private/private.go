// Package private reads and writes files that stand for money or open something: only their owner reads them,
// and after a crash each is there as a whole, the old one or the new one.
package private

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// ErrTooLarge says that a file is larger than its reader allows.
var ErrTooLarge = errors.New("it is larger")

// Read reads a file of at most most bytes. One that does not exist gives nothing and no error. What is
// no regular file is refused before it is opened, since a pipe would keep the reader waiting. Errors
// hold no path; that of a file that is too large wraps ErrTooLarge.
func Read(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, Bare(err)
	case !info.Mode().IsRegular():
		return nil, errors.New("it is not a regular file")
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, Bare(err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, most+1))
	if err != nil {
		return nil, Bare(err)
	}
	if int64(len(data)) > most {
		return nil, fmt.Errorf("%w than %d bytes", ErrTooLarge, most)
	}
	return data, nil
}

// Replace puts a complete new file in the place of the old one, if there is one. Its folder must
// exist. Where the path is a link, the link is replaced: callers that keep links resolve them before.
// It is safe for concurrent use; the last one wins, so those who read before they write need a lock.
func Replace(path string, data []byte) (err error) {
	dir := filepath.Dir(path)
	// CreateTemp makes files that only their owner can read.
	temp, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = temp.Close()
			_ = os.Remove(temp.Name())
		}
	}()
	if _, err = temp.Write(data); err != nil {
		return err
	}
	// What is written must outlive a crash before the old file goes.
	if err = temp.Sync(); err != nil {
		return err
	}
	if err = temp.Close(); err != nil {
		return err
	}
	if err = os.Rename(temp.Name(), path); err != nil {
		return err
	}
	return syncFolder(dir)
}

// Remove deletes a file for good: a crash brings it back no more. One that is not there is no error.
func Remove(path string) error {
	if err := os.Remove(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder makes a change of names outlive a crash, where systems can be asked for that.
func syncFolder(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Bare takes the path off an error, for callers whose own errors name it.
func Bare(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
