package conf

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/v2"
)

// origins says which source set a key last.
type origins map[string]string

func (o origins) note(k *koanf.Koanf, source string) {
	for _, key := range k.Keys() {
		o[key] = source
	}
}

// of names the source of a key, in brackets; nothing if it is not known.
func (o origins) of(key string) string {
	key, _, _ = strings.Cut(key, "[") // lists are given whole
	for have, source := range o {
		if have == key || strings.HasPrefix(have, key+Delimiter) || strings.HasPrefix(key, have+Delimiter) {
			return " (" + source + ")"
		}
	}
	return ""
}

// unknown tells of a key that no field takes, and of those that there are beside it.
func (o origins) unknown(key string, target any) error {
	at := reflect.TypeOf(target)
	if i := strings.LastIndex(key, Delimiter); i >= 0 {
		for part := range strings.SplitSeq(key[:i], Delimiter) {
			at = keys(at)[part]
		}
	}
	beside := slices.Sorted(maps.Keys(keys(at)))
	if len(beside) == 0 {
		return fmt.Errorf("%s%s: there is no such key", key, o.of(key))
	}
	return fmt.Errorf("%s%s: there is no such key; there are %s", key, o.of(key), strings.Join(beside, ", "))
}

// keys are the keys of a struct with their types; of a list, those of its elements.
func keys(t reflect.Type) map[string]reflect.Type {
	for t != nil && (t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice) {
		t = t.Elem()
	}
	out := map[string]reflect.Type{}
	if t == nil || t.Kind() != reflect.Struct {
		return out
	}
	for i := range t.NumField() {
		name, options, _ := strings.Cut(t.Field(i).Tag.Get(tag), ",")
		switch {
		case options == "inline" || options == "squash":
			maps.Copy(out, keys(t.Field(i).Type))
		case name != "" && name != "-":
			out[name] = t.Field(i).Type
		}
	}
	return out
}

// explain says of each value that cannot be read which key it is, where it comes from and what is wanted.
func (o origins) explain(err error) []error {
	var out []error
	for _, one := range flatten(err) {
		var at *mapstructure.DecodeError
		if !errors.As(one, &at) {
			out = append(out, one)
			continue
		}
		out = append(out, fmt.Errorf("%s%s: %s", at.Name(), o.of(at.Name()), wanted(at.Unwrap())))
	}
	return out
}

// wanted is what a value must be. It does not repeat the value: that may be a secret.
func wanted(err error) string {
	var kind reflect.Type
	var parse *mapstructure.ParseError
	var unconvertible *mapstructure.UnconvertibleTypeError
	switch {
	case errors.As(err, &parse):
		kind = parse.Expected.Type()
	case errors.As(err, &unconvertible):
		kind = unconvertible.Expected.Type()
	case strings.HasPrefix(err.Error(), "expected a map or struct"):
		return "want keys of its own below it"
	default:
		return err.Error()
	}
	switch {
	case kind.Kind() == reflect.Bool:
		return "want true or false"
	case kind.Kind() >= reflect.Int && kind.Kind() <= reflect.Uint64:
		return "want a whole number"
	case kind.Kind() == reflect.Float32 || kind.Kind() == reflect.Float64:
		return "want a number"
	case kind.Kind() == reflect.Slice:
		return "want a list, [a, b]"
	case kind.Kind() == reflect.String:
		return "want a text"
	}
	return err.Error()
}

// flatten is every error that was joined.
func flatten(err error) []error {
	switch e := err.(type) { //nolint:errorlint // the outermost one that names a key is wanted, and no other
	case nil:
		return nil
	case *mapstructure.DecodeError:
		return []error{e}
	case interface{ Unwrap() []error }:
		var out []error
		for _, one := range e.Unwrap() {
			out = append(out, flatten(one)...)
		}
		return out
	case interface{ Unwrap() error }:
		return flatten(e.Unwrap())
	}
	return []error{err}
}
