package soql

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// condition reads terms joined by AND or by OR. As in SOQL, the two do not mix without parentheses.
func (p *parser) condition(depth int) (Expr, error) {
	if depth > maxDepth {
		return nil, errorAt(p.lex.s, p.tok.pos, "QUERY_TOO_COMPLICATED", "conditions are nested too deeply")
	}
	first, err := p.term(depth)
	if err != nil {
		return nil, err
	}
	word := strings.ToUpper(p.tok.text)
	if p.tok.kind != nameToken || (word != "AND" && word != "OR") {
		return first, nil
	}
	terms := []Expr{first}
	for p.tok.is(word) {
		if err := p.advance(); err != nil {
			return nil, err
		}
		term, err := p.term(depth)
		if err != nil {
			return nil, err
		}
		terms = append(terms, term)
	}
	if p.tok.is("AND") || p.tok.is("OR") {
		return nil, p.unexpected()
	}
	if word == "AND" {
		return And(terms), nil
	}
	return Or(terms), nil
}

func (p *parser) term(depth int) (Expr, error) {
	if p.tok.is("NOT") {
		if err := p.advance(); err != nil {
			return nil, err
		}
		if depth > maxDepth {
			return p.condition(depth)
		}
		inner, err := p.term(depth + 1)
		return Not{inner}, err
	}
	if p.tok.is("(") {
		if err := p.advance(); err != nil {
			return nil, err
		}
		inner, err := p.condition(depth + 1)
		if err != nil {
			return nil, err
		}
		return inner, p.expect(")")
	}
	return p.comparison()
}

func (p *parser) comparison() (Expr, error) {
	path, err := p.operand("in a condition")
	if err != nil {
		return nil, err
	}
	op := strings.ToUpper(p.tok.text)
	switch {
	case p.tok.is("NOT"):
		if err := p.advance(); err != nil {
			return nil, err
		}
		if !p.tok.is("IN") {
			return nil, p.unexpected()
		}
		return p.membership(path, "NOT IN")
	case p.tok.is("IN"), p.tok.is("INCLUDES"), p.tok.is("EXCLUDES"):
		return p.membership(path, op)
	case p.tok.is("LIKE"):
	case p.tok.kind == symbolToken && strings.IndexByte("=<>!", op[0]) >= 0:
		if op == "<>" {
			op = "!="
		}
	default:
		return nil, p.unexpected()
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	value, err := p.literal()
	if err != nil {
		return nil, err
	}
	if op != "LIKE" && value.Kind == StringLiteral {
		value.Text = unescapeWildcards(value.Text)
	}
	return &Comparison{Path: path, Op: op, Value: value}, nil
}

func (p *parser) membership(path Path, op string) (Expr, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	if p.tok.is(":") {
		return nil, p.unsupported("a bind variable")
	}
	if err := p.expect("("); err != nil {
		return nil, err
	}
	m := &Membership{Path: path, Op: op}
	if p.tok.is("SELECT") {
		sub, err := p.query(true)
		if err != nil {
			return nil, err
		}
		m.Query = sub
		return m, p.expect(")")
	}
	for {
		value, err := p.literal()
		if err != nil {
			return nil, err
		}
		value.Text = unescapeWildcards(value.Text)
		m.Values = append(m.Values, value)
		more, err := p.accept(",")
		if err != nil {
			return nil, err
		}
		if !more {
			return m, p.expect(")")
		}
	}
}

func unescapeWildcards(s string) string {
	return strings.ReplaceAll(s, string([]byte{EscapeMark}), "")
}

func (p *parser) literal() (Literal, error) {
	l := Literal{Text: p.tok.text, Pos: p.tok.pos}
	switch p.tok.kind {
	case stringToken:
		l.Kind = StringLiteral
		if len(l.Text) > MaxLiteralLength && utf8.RuneCountInString(l.Text) > MaxLiteralLength {
			return l, p.lex.fail(l.Pos, "string literal is longer than 4,000 characters")
		}
	case numberToken:
		l.Kind = NumberLiteral
	case dateToken:
		l.Kind = DateLiteral
	case dateTimeToken:
		l.Kind = DateTimeLiteral
	case nameToken:
		return p.word(l)
	default:
		return l, p.unexpected()
	}
	return l, p.advance()
}

// word reads TRUE, FALSE, NULL or a relative date.
func (p *parser) word(l Literal) (Literal, error) {
	l.Text = strings.ToUpper(l.Text)
	switch l.Text {
	case "TRUE", "FALSE":
		l.Kind, l.True = BoolLiteral, l.Text == "TRUE"
		return l, p.advance()
	case "NULL":
		l.Kind = NullLiteral
		return l, p.advance()
	}
	counted, known := relativeDates[l.Text]
	if !known {
		return l, p.unexpected()
	}
	l.Kind = RelativeLiteral
	if err := p.advance(); err != nil || !counted {
		return l, err
	}
	if err := p.expect(":"); err != nil {
		return l, err
	}
	n, err := strconv.Atoi(p.tok.text)
	if p.tok.kind != numberToken || err != nil || n < 0 || n > maxUnits {
		return l, p.unexpected()
	}
	l.N = n
	return l, p.advance()
}

// relativeDates lists the date literals and whether a number follows them ("Date Formats and Date Literals in WHERE").
var relativeDates = func() map[string]bool {
	known := map[string]bool{
		"TODAY": false, "YESTERDAY": false, "TOMORROW": false, "LAST_90_DAYS": false, "NEXT_90_DAYS": false,
		"LAST_N_DAYS": true, "NEXT_N_DAYS": true, "N_DAYS_AGO": true,
	}
	for _, unit := range []string{"WEEK", "MONTH", "QUARTER", "YEAR", "FISCAL_QUARTER", "FISCAL_YEAR"} {
		for _, which := range []string{"THIS_", "LAST_", "NEXT_"} {
			known[which+unit] = false
		}
		for _, which := range []string{"LAST_N_" + unit + "S", "NEXT_N_" + unit + "S", "N_" + unit + "S_AGO"} {
			known[which] = true
		}
	}
	return known
}()
