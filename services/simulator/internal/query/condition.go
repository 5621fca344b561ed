package query

import (
	"fmt"
	"time"

	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/soql"
)

// Condition prepares what may stand after WHERE for use on single records of an object. Relative dates are those of the
// moment when the condition is tested.
func (e *Env) Condition(object, text string, now func() time.Time) (func(*record.Record) bool, error) {
	o, ok := e.Schema.Object(object)
	if !ok {
		return nil, fmt.Errorf("there is no object %s", object)
	}
	x, err := soql.ParseCondition(text)
	if err != nil {
		return nil, err
	}
	q := &soql.Query{Where: x, Limit: -1, Offset: -1}
	if _, err := e.compile(q, o, x); err != nil {
		return nil, err
	}
	return func(r *record.Record) bool {
		env := *e
		env.Now = now()
		p, err := env.compile(q, o, x)
		return err == nil && p.holds(r)
	}, nil
}
