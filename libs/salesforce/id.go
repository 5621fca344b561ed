package salesforce

import (
	"errors"
	"fmt"
)

const (
	shortID = 15
	longID  = 18
)

// ErrNotAnID says that a text is not the id of a record.
var ErrNotAnID = errors.New("not a Salesforce id of 15 or 18 characters")

// ErrIDChecksum says that a text looks like an id of 18 characters, and its last three do not fit the others: a
// character was lost, or its case was changed.
var ErrIDChecksum = errors.New("the last three characters of the Salesforce id do not fit the others; copy it again")

// ID checks the id of a record and returns it with 18 characters, the form in which ids are equal or not, whatever the
// case. The key prefix of the object, such as 005 for users, must be the one given; "" accepts every object. An error
// is or wraps ErrNotAnID or ErrIDChecksum, and does not quote the text.
func ID(text, prefix string) (string, error) {
	if len(text) != shortID && len(text) != longID {
		return "", ErrNotAnID
	}
	for i := range len(text) {
		c := text[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return "", ErrNotAnID
		}
	}
	if text[:len(prefix)] != prefix {
		return "", fmt.Errorf("%w that starts with %s", ErrNotAnID, prefix)
	}
	full := text[:shortID] + idChecksum(text)
	if len(text) == longID && text != full {
		return "", ErrIDChecksum
	}
	return full, nil
}

// idChecksum returns the three characters that tell ids apart without regard to case: one bit for each upper-case
// letter of the first 15, five to a character.
func idChecksum(id string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
	const group = 5
	var sum [longID - shortID]byte
	for i := range sum {
		bits := 0
		for j := range group {
			if c := id[i*group+j]; c >= 'A' && c <= 'Z' {
				bits |= 1 << j
			}
		}
		sum[i] = alphabet[bits]
	}
	return string(sum[:])
}
