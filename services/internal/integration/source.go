package integration

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"cel.dev/cel-go/cel"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

const (
	// defaultLimit is the longest text of a mapping that names no limit.
	defaultLimit = 255
	// MarkerRoom is what the marker line of an insert may need of its field: a line feed, "Ref: tl-" and a write key.
	MarkerRoom = 48
)

func fieldPath(action string, n int) string { return fmt.Sprintf("%s.fields[%d]", action, n) }

// field compiles one mapping.
func (c *compiler) field(path string, m *configv1.FieldMapping, language string) field {
	f := field{
		name: m.GetField(), path: path, limit: defaultLimit, policy: m.GetNullPolicy(), tooLong: m.GetOnTooLong(),
	}
	if m.GetMaxLength() < 0 {
		c.add(path+".max_length", "must not be negative")
	}
	if _, known := configv1.TooLongPolicy_name[int32(m.GetOnTooLong())]; !known {
		c.add(path+".on_too_long", "not a known value; use TOO_LONG_POLICY_CUT or TOO_LONG_POLICY_FAIL")
	}
	if !apiName.MatchString(f.name) {
		c.add(path+".field", "%q is not the API name of a field", f.name)
	}
	switch m.GetSource().(type) {
	case *configv1.FieldMapping_Path:
		s, err := compileSource(m.GetPath(), false)
		if err != nil {
			c.addErr(path+".path", err)
			return f
		}
		f.volatile, f.given.kind = s.path == "trace_id", valueKinds[s.kind]
		f.eval = func(fr *frame, _ int) (result, error) { return result{value: s.read(fr)}, nil }
	case *configv1.FieldMapping_Expression:
		f.eval, f.given = c.expression(path+".expression", m.GetExpression())
	case *configv1.FieldMapping_Template:
		f.eval, f.given.kind = c.template(path+".template", m.GetTemplate(), language), ValueText
	case *configv1.FieldMapping_Constant:
		f.eval, f.given = c.constant(path+".constant", m.GetConstant())
	default:
		c.add(path, "%s has no source; give it a path, expression, template or constant", f.name)
	}
	return f
}

// fitTo sets the longest text: what the mapping says, and never more than what the field was described to take; 0 means
// that this is not known (XC-37).
func (t *field) fitTo(m *configv1.FieldMapping, described int32) {
	switch asked := m.GetMaxLength(); {
	case asked > 0 && described > 0:
		t.limit = int(min(asked, described))
	case asked > 0 || described > 0:
		t.limit = int(max(asked, described))
	}
}

func (c *compiler) expression(path, text string) (evaluator, given) {
	if text == "" {
		c.add(path, "the expression is empty")
		return nil, given{}
	}
	ast := c.check(path, text)
	if ast == nil {
		return nil, given{}
	}
	if !isWritable(ast.OutputType()) {
		c.add(path, "it gives %s, which no field can hold; give a text, number, bool or time", ast.OutputType())
		return nil, given{}
	}
	program := c.program(path, ast)
	if program == nil {
		return nil, given{}
	}
	return func(f *frame, _ int) (result, error) {
		v, err := run(program, f)
		return result{value: v}, err
	}, kindOfCEL(ast.OutputType())
}

// run evaluates a program; its errors are scrubbed.
func run(program cel.Program, f *frame) (value, error) {
	out, _, err := program.Eval(f)
	if err != nil {
		return value{}, scrub(err)
	}
	return fromCEL(out)
}

// template compiles a text per language. English must be there as the fallback, unless the integration has one
// language and its text is there.
func (c *compiler) template(path string, t *configv1.Template, fixed string) evaluator {
	texts := map[language]*template{}
	for _, key := range slices.Sorted(maps.Keys(t.GetTexts())) {
		at := fmt.Sprintf("%s.texts[%q]", path, key)
		l, ok := parseLanguage(key)
		if !ok || string(l) != key {
			c.add(at, "%q is not a language of generated texts; use ja or en", key)
			continue
		}
		parsed, err := parseTemplate(t.GetTexts()[key])
		if err != nil {
			c.addErr(at, err)
		}
		texts[l] = parsed
	}
	_, hasEnglish := texts[english]
	_, hasFixed := texts[language(fixed)]
	if !hasEnglish && !hasFixed {
		c.add(path, "it needs an English text (en), which is the fallback for every other language")
	}
	return func(f *frame, limit int) (result, error) {
		chosen := texts[f.language]
		if chosen == nil && f.language != english {
			f.warn("no text in %s; English was used", f.language)
			defer func(wanted language) { f.language = wanted }(f.language)
			f.language = english // dates and numbers follow the text
			chosen = texts[english]
		}
		if chosen == nil {
			return result{}, errors.New("the template has no text in the language needed")
		}
		rendered, cutFrom := chosen.render(f, limit)
		return result{value: textValue(rendered), fitted: true, cutFrom: cutFrom}, nil
	}
}

func (c *compiler) constant(path string, k *configv1.Constant) (evaluator, given) {
	var v value
	switch set := k.GetValue().(type) {
	case *configv1.Constant_Text:
		cleaned, _ := clean(set.Text, true)
		v = textValue(cleaned)
	case *configv1.Constant_Number:
		if math.IsNaN(set.Number) || math.IsInf(set.Number, 0) {
			c.add(path+".number", "must be a finite number")
		}
		v = numberValue(set.Number)
	case *configv1.Constant_Flag:
		v = flagValue(set.Flag)
	default:
		c.add(path, "it has no value; give it a text, number or flag")
	}
	return func(f *frame, limit int) (result, error) {
		if v.kind != text {
			return result{value: v}, nil
		}
		fitted, cutFrom := fit(v.text, limit)
		return result{value: textValue(fitted), fitted: true, cutFrom: cutFrom}, nil
	}, given{kind: valueKinds[v.kind], literal: v.text, sure: v.kind != absent}
}
