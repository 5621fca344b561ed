package sfid

import "errors"

const (
	alphabet  = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	checkset  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
	shortLen  = 15
	longLen   = 18
	prefixLen = 3
	podLen    = 3
)

// ErrMalformed says that a text is not a Salesforce id: wrong length, a character outside base62, or a checksum that
// does not fit.
var ErrMalformed = errors.New("malformed id")

// New builds the 18-character id of record number num. Prefix is the object's key prefix, three characters; pod marks
// the instance, three characters; num must be below 62^9.
func New(prefix, pod string, num uint64) string {
	var b [longLen]byte
	copy(b[:prefixLen], prefix)
	copy(b[prefixLen:prefixLen+podLen], pod)
	for i := shortLen - 1; i >= prefixLen+podLen; i-- {
		b[i] = alphabet[num%62]
		num /= 62
	}
	checksum(&b)
	return string(b[:])
}

// Pod returns the three instance characters for the org with the given ordinal, so that the ids of two orgs never
// collide. Ordinals from 0 to 3843 are told apart.
func Pod(ordinal int) string {
	return string([]byte{'S', alphabet[ordinal/62%62], alphabet[ordinal%62]})
}

// Long returns the 18-character form of id, which may have 15 or 18 characters.
func Long(id string) (string, error) {
	if len(id) != shortLen && len(id) != longLen {
		return "", ErrMalformed
	}
	var b [longLen]byte
	for i := range shortLen {
		if digit(id[i]) < 0 {
			return "", ErrMalformed
		}
		b[i] = id[i]
	}
	checksum(&b)
	if len(id) == longLen {
		if string(b[shortLen:]) != id[shortLen:] {
			return "", ErrMalformed
		}
		return id, nil
	}
	return string(b[:]), nil
}

// Short returns the first 15 characters of an id, the form that Salesforce quotes in some error texts.
func Short(id string) string {
	if len(id) > shortLen {
		return id[:shortLen]
	}
	return id
}

// Prefix returns the key prefix, which names the object, or "" when id is too short.
func Prefix(id string) string {
	if len(id) < prefixLen {
		return ""
	}
	return id[:prefixLen]
}

// checksum fills the last three characters from the first 15: one bit per upper-case letter, five to a character.
func checksum(b *[longLen]byte) {
	for group := range 3 {
		bits := 0
		for j := range 5 {
			if c := b[group*5+j]; c >= 'A' && c <= 'Z' {
				bits |= 1 << j
			}
		}
		b[shortLen+group] = checkset[bits]
	}
}

func digit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'A' && c <= 'Z':
		return int(c-'A') + 10
	case c >= 'a' && c <= 'z':
		return int(c-'a') + 36
	}
	return -1
}
