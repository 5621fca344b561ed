package soql

// typeOf reads TYPEOF ("TYPEOF"). It stands in the outermost select list only.
func (p *parser) typeOf(q *Query, nested bool) error {
	if nested {
		return p.lex.fail(p.tok.pos, "TYPEOF is only allowed in the select list of the outermost query")
	}
	if err := p.advance(); err != nil {
		return err
	}
	path, err := p.path()
	if err != nil {
		return err
	}
	t := &TypeOf{Path: path}
	q.Select = append(q.Select, Item{TypeOf: t})
	if !p.tok.is("WHEN") {
		return p.unexpected()
	}
	for p.tok.is("WHEN") {
		w, err := p.when()
		if err != nil {
			return err
		}
		t.Whens = append(t.Whens, w)
	}
	if found, err := p.accept("ELSE"); err != nil {
		return err
	} else if found {
		if t.Else, err = p.paths(); err != nil {
			return err
		}
	}
	return p.expect("END")
}

func (p *parser) when() (w When, err error) {
	if err = p.advance(); err != nil {
		return w, err
	}
	if w.Object, err = p.name(); err != nil {
		return w, err
	}
	if err = p.expect("THEN"); err != nil {
		return w, err
	}
	w.Paths, err = p.paths()
	return w, err
}

func (p *parser) paths() ([]Path, error) {
	var out []Path
	for {
		path, err := p.path()
		if err != nil {
			return nil, err
		}
		if p.tok.is("(") {
			return nil, p.lex.fail(path.Pos, "TYPEOF can't be used with the function "+path.String()+"()")
		}
		out = append(out, path)
		more, err := p.accept(",")
		if err != nil || !more {
			return out, err
		}
	}
}
