package app

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/throughline-dev/throughline/libs/secret"
)

// LoadOrCreateToken reads a bearer token from a file that only its owner can read, or makes a random one (128 bits) there.
func LoadOrCreateToken(path string) (secret.String, error) {
	data, err := os.ReadFile(path)
	if err == nil {
		token := secret.New(strings.TrimSpace(string(data)))
		if token.IsEmpty() {
			return token, fmt.Errorf("token file %s is empty; remove it to have a new one made", path)
		}
		return token, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return secret.String{}, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return secret.String{}, err
	}
	value := rand.Text()
	// O_EXCL: of two processes that start at once, one makes the token and the other reads it.
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return LoadOrCreateToken(path)
	}
	if err != nil {
		return secret.String{}, err
	}
	_, err = f.WriteString(value + "\n")
	return secret.New(value), errors.Join(err, f.Close())
}
