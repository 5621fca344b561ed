package soql

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits of a statement, as documented by Salesforce; depth and units are this parser's own.
const (
	MaxLength        = 100_000
	MaxLiteralLength = 4_000
	MaxOffset        = 2_000
	maxChildren      = 20
	maxDepth         = 50
	// maxUnits is the largest number of days, weeks and so on in a date literal.
	maxUnits = 10_000
)

// Parse reads one query. Errors are *Error.
func Parse(text string) (*Query, error) {
	if utf8.RuneCountInString(text) > MaxLength {
		return nil, &Error{Code: Malformed, Message: "SOQL statements cannot be longer than 100,000 characters."}
	}
	if !utf8.ValidString(text) {
		return nil, &Error{Code: Malformed, Message: "the query is not valid UTF-8"}
	}
	p, err := newParser(text)
	if err != nil {
		return nil, err
	}
	q, err := p.query(false)
	if err != nil {
		return nil, err
	}
	if p.tok.kind != endToken {
		return nil, p.unexpected()
	}
	return q, q.checkJoins()
}

// ParseCondition reads what may stand after WHERE.
func ParseCondition(text string) (Expr, error) {
	p, err := newParser(text)
	if err != nil {
		return nil, err
	}
	p.functions = dateFunction
	e, err := p.condition(0)
	if err == nil && p.tok.kind != endToken {
		err = p.unexpected()
	}
	return e, err
}

func newParser(text string) (*parser, error) {
	p := &parser{lex: lexer{s: text}}
	return p, p.advance()
}

type parser struct {
	lex lexer
	tok token
	// functions are those that may stand around a field where the parser is.
	functions functions
}

func (p *parser) advance() (err error) {
	p.tok, err = p.lex.next()
	return err
}

func (p *parser) unexpected() error {
	if p.tok.kind == endToken {
		return p.lex.fail(p.tok.pos, "unexpected end of query")
	}
	return p.lex.fail(p.tok.pos, fmt.Sprintf("unexpected token: '%s'", p.tok.text))
}

func (p *parser) unsupported(what string) error {
	return p.lex.fail(p.tok.pos, what+" is not supported by this simulator")
}

// accept reads the keyword or symbol if it comes next.
func (p *parser) accept(word string) (bool, error) {
	if !p.tok.is(word) {
		return false, nil
	}
	return true, p.advance()
}

func (p *parser) expect(words ...string) error {
	for _, word := range words {
		if !p.tok.is(word) {
			return p.unexpected()
		}
		if err := p.advance(); err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) name() (Name, error) {
	if p.tok.kind != nameToken {
		return Name{}, p.unexpected()
	}
	n := Name{p.tok.text, p.tok.pos}
	return n, p.advance()
}

func (p *parser) path() (Path, error) {
	first, err := p.name()
	path := Path{Names: []string{first.Text}, Pos: first.Pos}
	for err == nil && p.tok.is(".") {
		if err = p.advance(); err == nil {
			var n Name
			n, err = p.name()
			path.Names = append(path.Names, n.Text)
		}
	}
	return path, err
}

// query reads a statement; nested ones are subqueries.
func (p *parser) query(nested bool) (*Query, error) {
	q := &Query{Limit: -1, Offset: -1, text: p.lex.s}
	outer := p.functions
	defer func() { p.functions = outer }()
	if err := p.expect("SELECT"); err != nil {
		return nil, err
	}
	if err := p.selectList(q, nested); err != nil {
		return nil, err
	}
	if err := p.expect("FROM"); err != nil {
		return nil, err
	}
	names, err := p.from(q, nested)
	if err != nil {
		return nil, err
	}
	if err := p.clauses(q); err != nil {
		return nil, err
	}
	return q, names.apply(q)
}

func clauseWord(s string) bool {
	switch strings.ToUpper(s) {
	case "WHERE", "GROUP", "ORDER", "LIMIT", "OFFSET", "USING", "WITH", "HAVING", "FOR", "ALL", "UPDATE":
		return true
	}
	return false
}

func (p *parser) clauses(q *Query) error {
	for _, clause := range []struct {
		word string
		read func(*Query) error
	}{
		{"USING", p.scope},
		{"WHERE", p.where},
		{"WITH", func(*Query) error { return p.unsupported("WITH") }},
		{"GROUP", p.groupBy},
		{"ORDER", p.orderBy},
		{"LIMIT", func(q *Query) (err error) { q.Limit, err = p.count(); return err }},
		{"OFFSET", p.offset},
		{"FOR", p.forView},
		{"ALL", func(q *Query) error { q.AllRows = true; return p.expect("ROWS") }},
	} {
		found := p.tok.is(clause.word)
		if !found {
			continue
		}
		if clause.word != "WITH" {
			if err := p.advance(); err != nil {
				return err
			}
		}
		if err := clause.read(q); err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) where(q *Query) (err error) {
	p.functions = dateFunction | labelFunction
	q.Where, err = p.condition(0)
	return err
}

func (p *parser) scope(q *Query) (err error) {
	if err = p.expect("SCOPE"); err == nil {
		q.Scope, err = p.name()
	}
	return err
}

func (p *parser) forView(*Query) error {
	if p.tok.is("VIEW") || p.tok.is("REFERENCE") {
		return p.advance()
	}
	return p.unsupported("FOR " + p.tok.text)
}

func (p *parser) offset(q *Query) (err error) {
	pos := p.tok.pos
	if q.Offset, err = p.count(); err != nil {
		return err
	}
	if q.Offset > MaxOffset {
		return q.Invalid(pos, "NUMBER_OUTSIDE_VALID_RANGE", "Maximum SOQL offset allowed is %d", MaxOffset)
	}
	return nil
}

func (p *parser) count() (int, error) {
	n, err := strconv.Atoi(p.tok.text)
	if p.tok.kind != numberToken || err != nil || n < 0 {
		return 0, p.unexpected()
	}
	return n, p.advance()
}

func (p *parser) groupBy(q *Query) error {
	if err := p.expect("BY"); err != nil {
		return err
	}
	p.functions = dateFunction
	for {
		path, err := p.operand("in GROUP BY")
		if err != nil {
			return err
		}
		q.GroupBy = append(q.GroupBy, path)
		more, err := p.accept(",")
		if err != nil {
			return err
		}
		if !more {
			return p.having(q)
		}
	}
}

func (p *parser) having(q *Query) error {
	found, err := p.accept("HAVING")
	if err != nil || !found {
		return err
	}
	p.functions = dateFunction | aggregateFunction
	q.Having, err = p.condition(0)
	return err
}

func (p *parser) orderBy(q *Query) error {
	if err := p.expect("BY"); err != nil {
		return err
	}
	p.functions = dateFunction | aggregateFunction
	for {
		o, err := p.order()
		if err != nil {
			return err
		}
		q.OrderBy = append(q.OrderBy, o)
		if more, err := p.accept(","); !more || err != nil {
			return err
		}
	}
}

func (p *parser) order() (Order, error) {
	path, err := p.operand("in ORDER BY")
	o := Order{Path: path}
	if err != nil {
		return o, err
	}
	if o.Desc, err = p.accept("DESC"); err != nil {
		return o, err
	}
	if !o.Desc {
		if _, err = p.accept("ASC"); err != nil {
			return o, err
		}
	}
	if nulls, err := p.accept("NULLS"); !nulls || err != nil {
		return o, err
	}
	if o.NullsLast, err = p.accept("LAST"); err != nil || o.NullsLast {
		return o, err
	}
	return o, p.expect("FIRST")
}
