package integration

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// converter changes one value into another; it never sees an absent one, except when its format fills gaps.
type converter func(f *frame, v value) value

// format is one function that a pipe can name: {visit.dwell_seconds|duration}.
type format struct {
	takes, gives kind
	// arg tells whether the format takes an argument after a colon.
	arg argument
	// fills is true for the one format that turns an absent value into something.
	fills bool
	build func(arg string) (converter, error)
}

type argument uint8

const (
	noArgument argument = iota
	optionalArgument
	neededArgument
)

// formats are all functions there are (XC-35). docs/integrations.md explains them.
var formats = map[string]format{
	"date": {takes: instant, gives: text, build: simple(func(f *frame, v value) value {
		return textValue(f.language.date(v.at.In(f.localZone())))
	})},
	"datetime": {takes: instant, gives: text, build: simple(func(f *frame, v value) value {
		return textValue(f.language.dateTime(v.at.In(f.localZone())))
	})},
	"day": {takes: instant, gives: text, build: simple(func(f *frame, v value) value {
		return textValue(v.at.In(f.localZone()).Format(time.DateOnly))
	})},
	"duration": {takes: number, gives: text, build: simple(formatDuration)},
	"number": {takes: number, gives: text, arg: optionalArgument, build: decimalsOf(2, func(n float64, d int) value {
		return textValue(formatNumber(n, d))
	})},
	"percent": {takes: number, gives: text, arg: optionalArgument, build: decimalsOf(0, func(n float64, d int) value {
		return textValue(formatNumber(n, d) + "%")
	})},
	"round": {takes: number, gives: number, arg: optionalArgument, build: decimalsOf(0, func(n float64, d int) value {
		scale := math.Pow10(d)
		return numberValue(math.Round(n*scale) / scale)
	})},
	"prefix": {takes: text, gives: text, arg: neededArgument, build: withText(func(v value, arg string) value {
		return textValue(arg + v.text)
	})},
	"suffix": {takes: text, gives: text, arg: neededArgument, build: withText(func(v value, arg string) value {
		return textValue(v.text + arg)
	})},
	"whole": {takes: text, gives: text, arg: neededArgument, build: buildWhole},
	"or": {takes: text, gives: text, arg: neededArgument, fills: true, build: withText(func(v value, arg string) value {
		if v.kind == absent || strings.TrimSpace(v.text) == "" {
			return textValue(arg)
		}
		return v
	})},
}

// shrink is not a function of the value: it marks the placeholder that gives way when the whole text is too long.
const shrink = "shrink"

// source is a compiled "path|format|format:argument".
type source struct {
	read  reader
	kind  kind
	path  string
	yield bool // gives way when the text is too long
}

// compileSource compiles a path with its formats. Only templates may contain shrink.
func compileSource(pipe string, inTemplate bool) (source, error) {
	steps := strings.Split(pipe, "|")
	path := strings.TrimSpace(steps[0])
	read, k, err := compilePath(path)
	if err != nil {
		return source{}, err
	}
	s := source{read: read, kind: k, path: path}
	for _, step := range steps[1:] {
		if strings.TrimSpace(step) == shrink {
			if !inTemplate || s.kind != text {
				return source{}, fmt.Errorf("%s is for texts in templates only", shrink)
			}
			s.yield = true
			continue
		}
		if err := s.apply(step); err != nil {
			return source{}, err
		}
	}
	return s, nil
}

// apply adds one format.
func (s *source) apply(step string) error {
	name, arg, hasArg := strings.Cut(step, ":")
	name = strings.TrimSpace(name)
	fm, ok := formats[name]
	switch {
	case !ok:
		return fmt.Errorf("format %q is not known; there are %s", name, knownFormats())
	case fm.takes != s.kind:
		return fmt.Errorf("format %s needs %s, and gets %s", name, fm.takes, s.kind)
	case fm.arg == noArgument && hasArg:
		return fmt.Errorf("format %s takes no argument", name)
	case fm.arg == neededArgument && arg == "":
		return fmt.Errorf("format %s needs an argument, e.g. %s:text", name, name)
	}
	convert, err := fm.build(arg)
	if err != nil {
		return fmt.Errorf("format %s: %w", name, err)
	}
	read := s.read
	s.kind = fm.gives
	s.read = func(f *frame) value {
		v := read(f)
		if v.kind == absent && !fm.fills {
			return v
		}
		return convert(f, v)
	}
	return nil
}

func simple(c converter) func(string) (converter, error) {
	return func(string) (converter, error) { return c, nil }
}

func withText(change func(v value, arg string) value) func(string) (converter, error) {
	return func(arg string) (converter, error) {
		return func(_ *frame, v value) value { return change(v, arg) }, nil
	}
}

// decimalsOf reads the number of decimals, at most 6, from the argument.
func decimalsOf(standard int, change func(n float64, decimals int) value) func(string) (converter, error) {
	return func(arg string) (converter, error) {
		decimals := standard
		if arg != "" {
			var err error
			if decimals, err = strconv.Atoi(strings.TrimSpace(arg)); err != nil || decimals < 0 || decimals > 6 {
				return nil, fmt.Errorf("%q is not a number of decimals from 0 to 6", arg)
			}
		}
		return func(_ *frame, v value) value { return change(v.number, decimals) }, nil
	}
}

// buildWhole keeps a text that cutting would spoil, an address or a link, whole or not at all.
func buildWhole(arg string) (converter, error) {
	limit, err := strconv.Atoi(strings.TrimSpace(arg))
	if err != nil || limit < 1 {
		return nil, fmt.Errorf("%q is not a number of characters", arg)
	}
	return func(f *frame, v value) value {
		if len(v.text) > limit && units(v.text) > limit {
			f.warn("a text of more than %d characters was left out", limit)
			return value{}
		}
		return v
	}, nil
}

func formatDuration(f *frame, v value) value {
	if v.number < 0 {
		f.warn("a negative duration was written as 0")
		v.number = 0
	}
	return textValue(f.language.duration(v.number))
}

func knownFormats() string {
	names := []string{shrink}
	for name := range formats {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
