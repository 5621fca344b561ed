package soql

// maxJoins is how many semi-joins and anti-joins a query may have ("Comparison Operators", subquery limits).
const maxJoins = 2

// checkJoins keeps the rules for IN (SELECT …) that need no schema: at most two, in AND at the top of the WHERE clause of the
// outermost query, over a field of the object itself, without ordering and limits.
func (q *Query) checkJoins() error {
	for _, item := range q.Select {
		if item.Children == nil {
			continue
		}
		if joins, _ := split(item.Children.Where); len(joins) > 0 {
			return q.nesting(joins[0])
		}
	}
	joins, deep := split(q.Where)
	if len(deep) > 0 {
		text := "Semi join sub-selects are only allowed at the top level WHERE expressions and not in nested WHERE expressions."
		if _, either := q.Where.(Or); either {
			text = "Semi join sub-selects are not allowed with the 'OR' operator"
		}
		return q.Invalid(deep[0].Path.Pos, Malformed, "%s", text)
	}
	if having, deep := split(q.Having); len(having)+len(deep) > 0 {
		return q.Invalid(q.From.Pos, Malformed, "Semi join sub-selects are not allowed in HAVING")
	}
	if len(joins) > maxJoins {
		return q.Invalid(joins[maxJoins].Path.Pos, Malformed, "Maximum %d semi join sub-selects are allowed", maxJoins)
	}
	for _, join := range joins {
		if err := q.checkJoin(join); err != nil {
			return err
		}
	}
	return nil
}

func (q *Query) checkJoin(join *Membership) error {
	sub := join.Query
	if inner, deep := split(sub.Where); len(inner)+len(deep) > 0 {
		return q.nesting(join)
	}
	if len(sub.OrderBy) > 0 || sub.Limit >= 0 || sub.Offset >= 0 || sub.Count || len(sub.GroupBy) > 0 {
		return q.Invalid(sub.From.Pos, Malformed, "COUNT(), GROUP BY, ORDER BY, LIMIT and OFFSET are not allowed in a semi join sub-select")
	}
	if len(sub.Select) != 1 || sub.Select[0].Path == nil {
		return q.Invalid(sub.From.Pos, Malformed, "a semi join sub-select selects one field")
	}
	if p := sub.Select[0].Path; len(p.Names) > 1 || p.Func != "" {
		return q.Invalid(p.Pos, Malformed, "a semi join sub-select selects a field of its own object, not %s", p)
	}
	return nil
}

func (q *Query) nesting(join *Membership) error {
	return q.Invalid(join.Path.Pos, Malformed, "Nesting of semi join sub-selects is not supported")
}

// split finds the semi-joins of a condition: those that all the others are joined to by AND, and those deeper.
func split(x Expr) (top, deep []*Membership) {
	switch x := x.(type) {
	case *Membership:
		if x.Query != nil {
			top = append(top, x)
		}
	case And:
		for _, part := range x {
			t, d := split(part)
			top, deep = append(top, t...), append(deep, d...)
		}
	case Or:
		for _, part := range x {
			t, d := split(part)
			deep = append(append(deep, t...), d...)
		}
	case Not:
		t, d := split(x.Expr)
		deep = append(append(deep, t...), d...)
	}
	return top, deep
}
