package query

import (
	"time"

	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
	"github.com/throughline-dev/throughline/services/simulator/internal/soql"
	"github.com/throughline-dev/throughline/services/simulator/internal/table"
)

// Data gives the table of an object.
type Data interface {
	Table(o *schema.Object) *table.Table
}

// Env is what a query is prepared and run against.
type Env struct {
	Schema *schema.Schema
	Data   Data
	// Access limits what the caller may see; nil for no limit.
	Access *schema.Access
	// Now and Zone decide what TODAY means.
	Now  time.Time
	Zone *time.Location
	// Deleted includes records in the recycle bin, as queryAll does.
	Deleted bool
	// Path is the version's path, for record URLs: "/services/data/v67.0".
	Path string
	// User is the caller's id, for USING SCOPE mine.
	User string

	groups *groups // while what follows GROUP BY is prepared
}

// object finds the object of a FROM clause.
func (e *Env) object(q *soql.Query) (*schema.Object, error) {
	o, ok := e.Schema.Object(q.From.Text)
	if !ok || !e.Access.Object(o).Read {
		return nil, q.Invalid(q.From.Pos, "INVALID_TYPE",
			"sObject type '%s' is not supported. If you are attempting to use a custom object, be sure to append the '__c' after the entity name. Please reference your WSDL or the describe call for the appropriate names.", q.From.Text)
	}
	return o, nil
}

func noColumn(q *soql.Query, p soql.Path, name string, o *schema.Object) error {
	return q.Invalid(p.Pos, "INVALID_FIELD",
		"No such column '%s' on entity '%s'. If you are attempting to use a custom field, be sure to append the '__c' after the custom field name. Please reference your WSDL or the describe call for the appropriate names.", name, o.Name)
}

func noRelationship(q *soql.Query, p soql.Path, name string, o *schema.Object) error {
	return q.Invalid(p.Pos, "INVALID_FIELD",
		"Didn't understand relationship '%s' in field path. If you are attempting to use a custom relationship, be sure to append the '__r' after the custom relationship name. Please reference your WSDL or the describe call for the appropriate names. (%s)", name, o.Name)
}
