package soql

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits of a statement, as documented by Salesforce; depth is this parser's own.
const (
	MaxLength        = 100_000
	MaxLiteralLength = 4_000
	MaxOffset        = 2_000
	maxDepth         = 50
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
	return q, nil
}

// ParseCondition reads what may stand after WHERE.
func ParseCondition(text string) (Expr, error) {
	p, err := newParser(text)
	if err != nil {
		return nil, err
	}
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
	if err := p.expect("SELECT"); err != nil {
		return nil, err
	}
	if err := p.selectList(q, nested); err != nil {
		return nil, err
	}
	if err := p.expect("FROM"); err != nil {
		return nil, err
	}
	var err error
	if q.From, err = p.name(); err != nil {
		return nil, err
	}
	if err := p.alias(); err != nil {
		return nil, err
	}
	return q, p.clauses(q)
}

// alias refuses what may stand between the object and the first clause.
func (p *parser) alias() error {
	if p.tok.is(",") {
		return p.unsupported("more than one object in FROM")
	}
	if p.tok.kind != nameToken || clauseWord(p.tok.text) {
		return nil
	}
	return p.unsupported("an alias in FROM")
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
		{"USING", func(*Query) error { return p.unsupported("USING SCOPE") }},
		{"WHERE", p.where},
		{"WITH", func(*Query) error { return p.unsupported("WITH") }},
		{"GROUP", p.groupBy},
		{"HAVING", func(*Query) error { return p.unsupported("HAVING") }},
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
		if clause.word != "USING" && clause.word != "WITH" && clause.word != "HAVING" {
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
	q.Where, err = p.condition(0)
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
	for {
		path, err := p.path()
		if err != nil {
			return err
		}
		if p.tok.is("(") {
			return p.unsupported(path.String() + "() in GROUP BY")
		}
		q.GroupBy = append(q.GroupBy, path)
		if more, err := p.accept(","); !more || err != nil {
			return err
		}
	}
}

func (p *parser) orderBy(q *Query) error {
	if err := p.expect("BY"); err != nil {
		return err
	}
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
	path, err := p.path()
	o := Order{Path: path}
	if err != nil {
		return o, err
	}
	if p.tok.is("(") {
		return o, p.unsupported(path.String() + "() in ORDER BY")
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
