package salesforce

import (
	"math"
	"strconv"
	"unicode/utf8"
)

// Field is one field to set. Value is a string, a float64, a bool, or nil, which clears the field.
type Field struct {
	Name  string
	Value any
}

// Fields are the fields of one record, in the order they are sent.
type Fields []Field

// appendJSON appends the fields as members of an object, each with a leading comma when the object has members already.
// Records are encoded by hand: a writer encodes thousands a second, and their fields are few and flat.
func (f Fields) appendJSON(b []byte, members int) ([]byte, error) {
	for i := range f {
		if members > 0 {
			b = append(b, ',')
		}
		members++
		b = appendString(b, f[i].Name)
		b = append(b, ':')
		switch v := f[i].Value.(type) {
		case nil:
			b = append(b, "null"...)
		case string:
			b = appendString(b, v)
		case bool:
			b = strconv.AppendBool(b, v)
		case float64:
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return b, badRequest("a number is not finite", f[i].Name)
			}
			b = strconv.AppendFloat(b, v, 'f', -1, 64)
		default:
			return b, badRequest("a value is neither text, number, checkbox nor null", f[i].Name)
		}
	}
	return b, nil
}

func badRequest(detail string, fields ...string) *Error {
	return &Error{Class: ClassData, Reason: ReasonTypeMismatch, Code: CodeBadRequest, Detail: detail, Fields: fields}
}

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string. Invalid UTF-8 becomes U+FFFD.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				b = append(b, s[start:i]...)
				b = append(b, "\uFFFD"...)
				start = i + 1
			}
			i += size
			continue
		}
		b = append(b, s[start:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
		}
		i++
		start = i
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}
