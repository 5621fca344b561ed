package query

import (
	"cmp"
	"slices"
	"strings"

	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
	"github.com/throughline-dev/throughline/services/simulator/internal/soql"
)

// Result is a query's answer before it is written. It holds the records as they were when the query ran.
type Result struct {
	// Total is the number of records found, or counted by COUNT().
	Total int
	env   Env
	shape *shape
	rows  []*record.Record

	group   []byte // JSON records of an aggregate query
	outputs []output
}

// Run answers a query. Errors are *soql.Error.
func (e *Env) Run(q *soql.Query) (*Result, error) {
	o, err := e.object(q)
	if err != nil {
		return nil, err
	}
	if q.Count {
		return e.count(q, o)
	}
	if len(q.GroupBy) > 0 || slices.ContainsFunc(q.Select, func(i soql.Item) bool { return i.Aggregate != nil }) {
		return e.aggregate(q, o)
	}
	sh, err := e.shape(q, o)
	if err != nil {
		return nil, err
	}
	rows, err := e.rows(q, o)
	if err != nil {
		return nil, err
	}
	return &Result{Total: len(rows), env: *e, shape: sh, rows: rows}, nil
}

func (e *Env) count(q *soql.Query, o *schema.Object) (*Result, error) {
	if len(q.OrderBy)+len(q.GroupBy) > 0 {
		return nil, q.Invalid(q.From.Pos, soql.Malformed, "COUNT() cannot be used with ORDER BY or GROUP BY")
	}
	rows, err := e.rows(q, o)
	return &Result{Total: len(rows), env: *e}, err
}

// Rows returns the records that the query's conditions select, in order and within its limits.
func (e *Env) Rows(q *soql.Query) ([]*record.Record, error) {
	o, err := e.object(q)
	if err != nil {
		return nil, err
	}
	return e.rows(q, o)
}

func (e *Env) rows(q *soql.Query, o *schema.Object) ([]*record.Record, error) {
	where, err := e.scoped(q, o)
	if err != nil {
		return nil, err
	}
	p, err := e.compile(q, o, where)
	if err != nil {
		return nil, err
	}
	less, err := e.ordering(q, o)
	if err != nil {
		return nil, err
	}
	stop := -1 // how many are enough
	if less == nil && q.Limit >= 0 {
		stop = q.Limit + max(q.Offset, 0)
	}
	rows := e.scan(o, p, q.AllRows || e.Deleted, stop)
	if less != nil {
		slices.SortStableFunc(rows, less)
	}
	return window(rows, q), nil
}

// scoped adds to the condition what USING SCOPE means.
func (e *Env) scoped(q *soql.Query, o *schema.Object) (soql.Expr, error) {
	switch strings.ToLower(q.Scope.Text) {
	case "", "everything":
		return q.Where, nil
	case "mine":
		if _, owned := o.Field("OwnerId"); !owned {
			return nil, q.Invalid(q.Scope.Pos, "INVALID_FIELD", "%s has no scope mine", o.Name)
		}
		mine := &soql.Comparison{
			Path: soql.Path{Names: []string{"OwnerId"}, Pos: q.Scope.Pos}, Op: "=",
			Value: soql.Literal{Kind: soql.StringLiteral, Text: e.User, Pos: q.Scope.Pos},
		}
		if q.Where == nil {
			return mine, nil
		}
		return soql.And{mine, q.Where}, nil
	}
	return nil, q.Unsupported(q.Scope.Pos, "USING SCOPE "+q.Scope.Text)
}

func window(rows []*record.Record, q *soql.Query) []*record.Record {
	rows = rows[min(max(q.Offset, 0), len(rows)):]
	if q.Limit >= 0 {
		rows = rows[:min(q.Limit, len(rows))]
	}
	return rows
}

// scan returns the records that hold, up to stop of them.
func (e *Env) scan(o *schema.Object, p predicate, deleted bool, stop int) []*record.Record {
	var out []*record.Record
	take := func(r *record.Record) bool {
		if stop >= 0 && len(out) >= stop {
			return false
		}
		if (deleted || !r.Deleted()) && p.holds(r) {
			out = append(out, r)
		}
		return true
	}
	t := e.Data.Table(o)
	if p.keys == nil || (deleted && p.keys.slot != record.SlotID) || (deleted && p.keys.union != nil) {
		t.All(take)
		return out
	}
	found := map[uint64]*record.Record{}
	e.collect(o, p.keys, found)
	nums := make([]uint64, 0, len(found))
	for num := range found {
		nums = append(nums, num)
	}
	slices.Sort(nums)
	for _, num := range nums {
		if !take(found[num]) {
			break
		}
	}
	return out
}

func (e *Env) collect(o *schema.Object, l *lookup, into map[uint64]*record.Record) {
	t := e.Data.Table(o)
	for _, key := range l.keys {
		if l.slot == record.SlotID {
			if r, ok := t.Get(key); ok {
				into[r.Num] = r
			}
			continue
		}
		for _, r := range t.Find(l.slot, key) {
			into[r.Num] = r
		}
	}
	for _, u := range l.union {
		e.collect(o, u, into)
	}
}

// ordering returns the comparison of ORDER BY, or nil when there is none.
func (e *Env) ordering(q *soql.Query, o *schema.Object) (func(a, b *record.Record) int, error) {
	if len(q.OrderBy) == 0 {
		return nil, nil
	}
	columns := make([]*column, len(q.OrderBy))
	for i, by := range q.OrderBy {
		c, err := e.resolve(q, o, by.Path)
		if err != nil {
			return nil, err
		}
		if !c.field.Filterable() {
			return nil, q.Invalid(by.Path.Pos, "INVALID_FIELD", "field '%s' can not be sorted in a query call", c.field.Name)
		}
		columns[i] = c
	}
	return func(a, b *record.Record) int {
		for i, by := range q.OrderBy {
			if order := compareOrder(columns[i].value(a), columns[i].value(b), by); order != 0 {
				return order
			}
		}
		return cmp.Compare(a.Num, b.Num)
	}, nil
}

func compareOrder(a, b record.Value, by soql.Order) int {
	if (a == nil) != (b == nil) {
		order := record.Compare(a, b) // null is smaller
		if by.NullsLast {
			return -order
		}
		return order
	}
	if by.Desc {
		return record.Compare(b, a)
	}
	return record.Compare(a, b)
}
