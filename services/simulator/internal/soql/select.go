package soql

import "strings"

func (p *parser) selectList(q *Query, nested bool) error {
	for {
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
		return p.unsupported("TYPEOF")
	}
	path, err := p.path()
	if err != nil {
		return err
	}
	if p.tok.is("(") {
		return p.function(q, path)
	}
	q.Select = append(q.Select, Item{Path: &path})
	return nil
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
	if err := p.advance(); err != nil {
		return err
	}
	switch fn := strings.ToUpper(name.String()); fn {
	case "COUNT":
		if p.tok.is(")") {
			q.Count = true
			if len(q.Select) > 0 {
				return p.unexpected()
			}
			return p.advance()
		}
		return p.aggregate(q, fn)
	case "COUNT_DISTINCT", "MIN", "MAX", "SUM", "AVG":
		return p.aggregate(q, fn)
	case "FIELDS":
		group, err := p.name()
		if err != nil {
			return err
		}
		q.Select = append(q.Select, Item{Fields: strings.ToUpper(group.Text)})
		return p.expect(")")
	}
	return p.unsupported("the function " + name.String() + "()")
}

func (p *parser) aggregate(q *Query, fn string) error {
	path, err := p.path()
	if err != nil {
		return err
	}
	if err := p.expect(")"); err != nil {
		return err
	}
	a := &Aggregate{Func: fn, Path: path}
	if p.tok.kind == nameToken && !p.tok.is("FROM") {
		a.Alias = p.tok.text
		if err := p.advance(); err != nil {
			return err
		}
	}
	q.Select = append(q.Select, Item{Aggregate: a})
	return nil
}
