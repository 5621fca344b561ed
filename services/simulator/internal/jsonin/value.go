package jsonin

import "strings"

// Kind is the JSON type of a Value.
type Kind uint8

// The JSON types.
const (
	Null Kind = iota
	Bool
	Number
	String
	Array
	Object
)

// String returns the name that error texts use for the kind.
func (k Kind) String() string {
	return [...]string{"VALUE_NULL", "VALUE_BOOLEAN", "VALUE_NUMBER", "VALUE_STRING", "START_ARRAY", "START_OBJECT"}[k]
}

// Value is one JSON value. Text of strings may share the memory of the whole body: clone what outlives the request.
type Value struct {
	Kind Kind
	// True is the content of a Bool.
	True bool
	// Pos is the offset of the value's first byte in the body, End that of the first byte after it.
	Pos, End int
	// Text is a String's content or a Number's digits.
	Text string
	// Members are an Object's members in order, or an Array's items with empty keys.
	Members []Member
}

// Member is one member of an object or one item of an array.
type Member struct {
	Key   string
	Value Value
}

// Get returns the last member whose key equals key without regard to case.
func (v *Value) Get(key string) (*Value, bool) {
	if v.Kind != Object {
		return nil, false
	}
	for i := len(v.Members) - 1; i >= 0; i-- {
		if strings.EqualFold(v.Members[i].Key, key) {
			return &v.Members[i].Value, true
		}
	}
	return nil, false
}

// GetText returns the text of the member key, or "" when it is absent or no string.
func (v *Value) GetText(key string) string {
	if m, ok := v.Get(key); ok && m.Kind == String {
		return m.Text
	}
	return ""
}

// GetTrue reports whether the member key is true.
func (v *Value) GetTrue(key string) bool {
	m, ok := v.Get(key)
	return ok && m.Kind == Bool && m.True
}
