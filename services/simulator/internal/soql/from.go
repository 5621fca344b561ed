package soql

import (
	"slices"
	"strings"
)

// aliases are the names that FROM gives: in lower case, with the relationships that lead there from the object.
type aliases map[string][]string

// from reads the object of a query, and the aliases of it and of its parents ("Alias Notation"). In a subquery the object is
// a child relationship, before which may stand what the outer query is about.
func (p *parser) from(q *Query, nested bool) (aliases, error) {
	path, err := p.path()
	if err != nil {
		return nil, err
	}
	if len(path.Names) > 2 || (len(path.Names) == 2 && !nested) {
		return nil, p.lex.fail(path.Pos, "unexpected token: '"+path.String()+"'")
	}
	q.From = Name{Text: path.Names[len(path.Names)-1], Pos: path.Pos}
	if len(path.Names) == 2 {
		q.parent = Name{Text: path.Names[0], Pos: path.Pos}
	}
	names := aliases{}
	if err := p.named(names, nil); err != nil {
		return nil, err
	}
	for {
		more, err := p.accept(",")
		if err != nil || !more {
			return names, err
		}
		if path, err = p.path(); err != nil {
			return nil, err
		}
		start, known := names[strings.ToLower(path.Names[0])]
		if !known || len(path.Names) < 2 {
			return nil, p.lex.fail(path.Pos, "a further object in FROM is a parent of the first, by its alias: "+path.String())
		}
		if err := p.named(names, slices.Concat(start, path.Names[1:])); err != nil {
			return nil, err
		}
	}
}

// named reads an alias, if one comes next.
func (p *parser) named(names aliases, path []string) error {
	if p.tok.kind != nameToken || clauseWord(p.tok.text) {
		return nil
	}
	names[strings.ToLower(p.tok.text)] = path
	return p.advance()
}

// apply writes the paths of a query without aliases.
func (a aliases) apply(q *Query) error {
	for i := range q.Select {
		item := &q.Select[i]
		switch {
		case item.Path != nil:
			a.path(item.Path)
		case item.Aggregate != nil:
			a.path(&item.Aggregate.Path)
		case item.TypeOf != nil:
			a.path(&item.TypeOf.Path)
		case item.Children != nil:
			of := item.Children.parent
			if path, known := a[strings.ToLower(of.Text)]; of.Text != "" && !strings.EqualFold(of.Text, q.From.Text) && (!known || len(path) > 0) {
				return q.Invalid(of.Pos, Malformed, "a subquery in the select list is over children of %s, not of %s", q.From.Text, of.Text)
			}
		}
	}
	for i := range q.GroupBy {
		a.path(&q.GroupBy[i])
	}
	for i := range q.OrderBy {
		a.path(&q.OrderBy[i].Path)
	}
	a.expr(q.Where)
	a.expr(q.Having)
	return nil
}

func (a aliases) path(p *Path) {
	if start, known := a[strings.ToLower(p.Names[0])]; known && len(p.Names) > 1 {
		p.Names = slices.Concat(start, p.Names[1:])
	}
}

func (a aliases) expr(x Expr) {
	switch x := x.(type) {
	case And:
		for _, part := range x {
			a.expr(part)
		}
	case Or:
		for _, part := range x {
			a.expr(part)
		}
	case Not:
		a.expr(x.Expr)
	case *Comparison:
		a.path(&x.Path)
	case *Membership:
		a.path(&x.Path)
	}
}
