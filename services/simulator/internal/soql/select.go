package soql

import "strings"

func (p *parser) selectList(q *Query, nested bool) error {
	children := 0
	for {
		if p.tok.is("(") {
			if children++; children > maxChildren {
				return p.lex.fail(p.tok.pos, "a query may have 20 parent-to-child subqueries at most")
			}
		}
		if err := p.item(q, nested); err != nil {
			return err
		}
		more, err := p.accept(",")
		if err != nil {
			return err
		}
		if !more {
			return nil
		}
		if q.Count {
			return p.unexpected()
		}
	}
}

func (p *parser) item(q *Query, nested bool) error {
	if p.tok.is("(") {
		return p.children(q, nested)
	}
	if p.tok.is("TYPEOF") {
		return p.typeOf(q, nested)
	}
	path, err := p.path()
	if err != nil {
		return err
	}
	if p.tok.is("(") {
		return p.function(q, path)
	}
	return p.field(q, path)
}

// field adds a field, or a function around one, and reads its alias.
func (p *parser) field(q *Query, path Path) error {
	alias, err := p.alias()
	q.Select = append(q.Select, Item{Path: &path, Alias: alias})
	return err
}

// alias reads a name that stands before a comma or FROM.
func (p *parser) alias() (string, error) {
	if p.tok.kind != nameToken || p.tok.is("FROM") {
		return "", nil
	}
	ahead := *p
	if err := ahead.advance(); err != nil || !(ahead.tok.is(",") || ahead.tok.is("FROM")) {
		return "", p.unexpected()
	}
	name := p.tok.text
	*p = ahead
	return name, nil
}

func (p *parser) children(q *Query, nested bool) error {
	if nested {
		return p.unsupported("a subquery inside a subquery")
	}
	if err := p.advance(); err != nil {
		return err
	}
	sub, err := p.query(true)
	if err != nil {
		return err
	}
	q.Select = append(q.Select, Item{Children: sub})
	return p.expect(")")
}

func (p *parser) function(q *Query, name Path) error {
	fn := strings.ToUpper(name.String())
	switch {
	case fn == "FIELDS":
		return p.fields(q)
	case kinds[fn] == aggregateFunction:
		return p.aggregate(q, fn)
	}
	p.functions = dateFunction | labelFunction
	path, err := p.call(name, "here")
	if err != nil {
		return err
	}
	return p.field(q, path)
}

func (p *parser) fields(q *Query) error {
	if err := p.advance(); err != nil {
		return err
	}
	group, err := p.name()
	if err != nil {
		return err
	}
	q.Select = append(q.Select, Item{Fields: strings.ToUpper(group.Text)})
	return p.expect(")")
}

func (p *parser) aggregate(q *Query, fn string) error {
	if err := p.advance(); err != nil {
		return err
	}
	if fn == "COUNT" && p.tok.is(")") {
		q.Count = true
		if len(q.Select) > 0 {
			return p.unexpected()
		}
		return p.advance()
	}
	path, err := p.path()
	if err != nil {
		return err
	}
	if err := p.expect(")"); err != nil {
		return err
	}
	alias, err := p.alias()
	q.Select = append(q.Select, Item{Aggregate: &Aggregate{Func: fn, Path: path, Alias: alias}})
	return err
}
