package conf

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
)

// Delimiter separates the parts of a key: "ingest.http.listen".
const Delimiter = "."

// tag is the struct tag that names a field's key.
const tag = "yaml"

// Sources says where values come from, weakest first. The zero value leaves the defaults as they are.
type Sources struct {
	// File is a YAML file; empty for none. A named file that cannot be read is an error.
	File string
	// EnvPrefix is the prefix of environment variables, e.g. "THROUGHLINE_". THROUGHLINE_INGEST__HTTP__LISTEN sets
	// ingest.http.listen: two underscores go down one level. Empty: the environment is not read.
	EnvPrefix string
	// Environ is the environment as "KEY=value"; nil for that of the process.
	Environ []string
	// Set holds "key=value" pairs, as given by repeated --set flags. A value is read as YAML, so lists are [a, b].
	Set []string
}

// Validator is a configuration that can say what is wrong with it, naming the key.
type Validator interface{ Validate() error }

// Load fills target, a pointer to a struct that already holds the defaults, from the sources, and validates it. The
// error names every offending key, and the file where one is to blame.
func Load(target Validator, src Sources) error {
	k, from := koanf.New(Delimiter), origins{}
	if err := src.read(k, from); err != nil {
		return err
	}
	if err := decode(k, target, from); err != nil {
		return err
	}
	if err := target.Validate(); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	return nil
}

func (src Sources) read(k *koanf.Koanf, from origins) error {
	if src.File != "" {
		if err := k.Load(file.Provider(src.File), yaml.Parser()); err != nil {
			return fmt.Errorf("configuration file %s: %w", src.File, err)
		}
		from.note(k, src.File)
	}
	if src.EnvPrefix != "" {
		given := koanf.New(Delimiter)
		provider := env.Provider(Delimiter, env.Opt{Prefix: src.EnvPrefix, TransformFunc: src.fromEnv, EnvironFunc: src.environ})
		if err := given.Load(provider, nil); err != nil {
			return fmt.Errorf("environment: %w", err)
		}
		from.note(given, "the environment, "+src.EnvPrefix+"…")
		if err := k.Merge(given); err != nil {
			return fmt.Errorf("environment: %w", err)
		}
	}
	for _, pair := range src.Set {
		given := koanf.New(Delimiter)
		if err := set(given, pair); err != nil {
			return err
		}
		key, _, _ := strings.Cut(pair, "=")
		from.note(given, "--set "+key)
		if err := k.Merge(given); err != nil {
			return fmt.Errorf("--set %s: %w", pair, err)
		}
	}
	return nil
}

func (src Sources) environ() []string {
	if src.Environ != nil {
		return src.Environ
	}
	return os.Environ()
}

func (src Sources) fromEnv(key, value string) (string, any) {
	key = strings.ToLower(strings.TrimPrefix(key, src.EnvPrefix))
	return strings.ReplaceAll(key, "__", Delimiter), scalar(value)
}

func set(k *koanf.Koanf, pair string) error {
	key, value, ok := strings.Cut(pair, "=")
	if !ok || key == "" {
		return fmt.Errorf("--set %q: want key=value, e.g. --set ingest.http.listen=:8080", pair)
	}
	return k.Load(confmap.Provider(map[string]any{key: scalar(value)}, Delimiter), nil)
}

// scalar reads a value as YAML does, so that numbers, booleans and [lists] keep their type; text that is not valid YAML
// stays text.
func scalar(value string) any {
	m, err := yaml.Parser().Unmarshal([]byte("v: " + value))
	if err != nil || m["v"] == nil {
		return value
	}
	return m["v"]
}

func decode(k *koanf.Koanf, target any, from origins) error {
	var seen mapstructure.Metadata
	decoder, err := mapstructure.NewDecoder(&mapstructure.DecoderConfig{
		Result:           target,
		Metadata:         &seen,
		TagName:          tag,
		WeaklyTypedInput: true,
		DecodeHook: mapstructure.ComposeDecodeHookFunc(
			replaceLists,
			durations,
			dates,
			mapstructure.TextUnmarshallerHookFunc(),
			mapstructure.StringToSliceHookFunc(","),
		),
	})
	if err != nil {
		return err
	}
	failed := from.explain(decoder.Decode(k.Raw()))
	for _, key := range seen.Unused {
		failed = append(failed, from.unknown(key, target))
	}
	if len(failed) > 0 {
		return fmt.Errorf("configuration: %w", errors.Join(failed...))
	}
	return nil
}

var errDuration = errors.New("want a time such as 30s, 5m or 24h")

// durations reads times with their unit. A bare number would be nanoseconds, which nobody means.
func durations(from, to reflect.Value) (any, error) {
	if to.Type() != reflect.TypeFor[time.Duration]() || from.Type() == to.Type() {
		return from.Interface(), nil
	}
	if text := fmt.Sprint(from.Interface()); text != "" {
		d, err := time.ParseDuration(text) // 0 needs no unit
		if err != nil {
			return nil, errDuration
		}
		return d, nil
	}
	return nil, errDuration
}

// dates gives back as text what YAML took for a time without being asked, e.g. 2027-03-01.
func dates(from, to reflect.Value) (any, error) {
	at, ok := from.Interface().(time.Time)
	if !ok || to.Kind() != reflect.String {
		return from.Interface(), nil
	}
	if at.Equal(at.Truncate(24*time.Hour)) && at.Location() == time.UTC {
		return at.Format(time.DateOnly), nil
	}
	return at.Format(time.RFC3339Nano), nil
}

// replaceLists empties a list before one that was given is put there. The decoder would put each element over the default
// at its place, so that what a user leaves out of it would be the default's: a list is given whole or not at all.
func replaceLists(from, to reflect.Value) (any, error) {
	if to.Kind() == reflect.Slice && to.CanSet() {
		to.SetZero()
	}
	return from.Interface(), nil
}
