package secret

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
)

// Redacted is what a non-empty String shows instead of its value.
const Redacted = "[REDACTED]"

// String is a secret text. The zero value is the empty secret. Compare with Equal: == compares identities, not values.
//
// The value sits behind a pointer, so that even code that prints a struct with a String in an unexported field, where
// fmt cannot call methods, shows an address and not the value.
type String struct {
	value *string
}

// New wraps a value.
func New(value string) String {
	if value == "" {
		return String{}
	}
	return String{value: &value}
}

// Reveal returns the value. Pass it straight to the call that needs it; do not keep it.
func (s String) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsEmpty reports whether there is no value.
func (s String) IsEmpty() bool { return s.value == nil || *s.value == "" }

// Equal compares values in time that depends on neither of them, nor on where they differ.
func (s String) Equal(other String) bool {
	a, b := sha256.Sum256([]byte(s.Reveal())), sha256.Sum256([]byte(other.Reveal()))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// String returns Redacted, or "" for the empty secret, so that a reader can tell "set" from "not set".
func (s String) String() string {
	if s.IsEmpty() {
		return ""
	}
	return Redacted
}

// GoString implements fmt.GoStringer.
func (s String) GoString() string { return s.String() }

// Format implements fmt.Formatter: every verb prints the same.
func (s String) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue implements slog.LogValuer.
func (s String) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText implements encoding.TextMarshaler.
func (s String) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON implements json.Marshaler.
func (s String) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// MarshalYAML implements the Marshaler of go.yaml.in/yaml.
func (s String) MarshalYAML() (any, error) { return s.String(), nil }

// UnmarshalText implements encoding.TextUnmarshaler, which JSON, YAML and configuration decoders use. It refuses
// Redacted: whoever sends it back has written out a redacted setting and would destroy the real one.
func (s *String) UnmarshalText(text []byte) error {
	if string(text) == Redacted {
		return fmt.Errorf("secret: the value is the placeholder %s; give the real one", Redacted)
	}
	*s = New(string(text))
	return nil
}
