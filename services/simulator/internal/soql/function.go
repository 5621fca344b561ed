package soql

import "strings"

// functions is a set of kinds of functions.
type functions uint8

const (
	// dateFunction takes a part of a date ("Date Functions").
	dateFunction functions = 1 << iota
	// aggregateFunction is over a group ("Aggregate Functions").
	aggregateFunction
	// labelFunction is toLabel().
	labelFunction
)

// ToLabel is the function that gives a picklist's label.
const ToLabel = "TOLABEL"

var kinds = map[string]functions{
	"CALENDAR_MONTH": dateFunction, "CALENDAR_QUARTER": dateFunction, "CALENDAR_YEAR": dateFunction,
	"FISCAL_MONTH": dateFunction, "FISCAL_QUARTER": dateFunction, "FISCAL_YEAR": dateFunction,
	"DAY_IN_MONTH": dateFunction, "DAY_IN_WEEK": dateFunction, "DAY_IN_YEAR": dateFunction, "DAY_ONLY": dateFunction,
	"HOUR_IN_DAY": dateFunction, "WEEK_IN_MONTH": dateFunction, "WEEK_IN_YEAR": dateFunction,
	"COUNT": aggregateFunction, "COUNT_DISTINCT": aggregateFunction, "MIN": aggregateFunction, "MAX": aggregateFunction,
	"SUM": aggregateFunction, "AVG": aggregateFunction, ToLabel: labelFunction,
}

// Aggregates reports whether the path is a function over a group.
func (p Path) Aggregates() bool { return kinds[p.Func] == aggregateFunction }

// Dated reports whether the path is a part of a date.
func (p Path) Dated() bool { return kinds[p.Func] == dateFunction }

// operand reads a field, or a function around one that may stand there.
func (p *parser) operand(where string) (Path, error) {
	path, err := p.path()
	if err != nil || !p.tok.is("(") {
		return path, err
	}
	return p.call(path, where)
}

// call reads what stands in the parentheses behind a function's name.
func (p *parser) call(name Path, where string) (Path, error) {
	fn := strings.ToUpper(name.String())
	kind := kinds[fn]
	switch {
	case kind == 0 && where == "in GROUP BY":
		return name, p.unsupported(name.String() + "() " + where)
	case kind == 0:
		return name, p.unsupported("the function " + name.String() + "()")
	case p.functions&kind == 0:
		return name, p.lex.fail(name.Pos, "the function "+name.String()+"() cannot stand "+where)
	}
	if err := p.advance(); err != nil {
		return name, err
	}
	inner, err := p.path()
	if err != nil {
		return name, err
	}
	inner.Func = fn
	if kind == dateFunction && p.tok.is("(") && strings.EqualFold(strings.Join(inner.Names, "."), "convertTimezone") {
		if err := p.advance(); err != nil {
			return name, err
		}
		if inner, err = p.path(); err != nil {
			return name, err
		}
		inner.Func, inner.Zoned = fn, true
		if err := p.expect(")"); err != nil {
			return name, err
		}
	}
	inner.Pos = name.Pos
	return inner, p.expect(")")
}
