package query

import "github.com/throughline-dev/throughline/services/simulator/internal/schema"

// Column describes one column of a query's answer, as queries with columns=true tell it.
type Column struct {
	Aggregate      bool     `json:"aggregate"`
	ApexType       *string  `json:"apexType"`
	BooleanType    bool     `json:"booleanType"`
	ColumnName     string   `json:"columnName"`
	Custom         bool     `json:"custom"`
	DisplayName    string   `json:"displayName"`
	ForeignKeyName *string  `json:"foreignKeyName"`
	Insertable     bool     `json:"insertable"`
	JoinColumns    []Column `json:"joinColumns"`
	NumberType     bool     `json:"numberType"`
	TextType       bool     `json:"textType"`
	Updatable      bool     `json:"updatable"`
}

// Columns lists the columns of the answer; parents and subqueries have columns of their own.
func (r *Result) Columns() []Column {
	if r.shape != nil {
		return r.shape.columns()
	}
	out := []Column{}
	for _, o := range r.outputs {
		c := Column{ColumnName: o.name, DisplayName: o.name, JoinColumns: []Column{}}
		if o.fn != "" {
			c.Aggregate, c.DisplayName = true, o.fn
		}
		out = append(out, c)
	}
	return out
}

func (sh *shape) columns() []Column {
	out := []Column{}
	for _, en := range sh.entries {
		switch {
		case en.children != nil:
			out = append(out, Column{Aggregate: true, ColumnName: en.name, DisplayName: en.name, JoinColumns: en.children.shape.columns()})
		case en.parents != nil:
			out = append(out, Column{ColumnName: en.name, DisplayName: en.name, JoinColumns: parentColumns(sh.object, &en)})
		case en.slot >= 0 && en.slot < len(sh.object.Fields):
			out = append(out, fieldColumn(sh.object.Fields[en.slot]))
		}
	}
	return out
}

// parentColumns lists the columns of a parent; those of a polymorphic one are the same for all its types.
func parentColumns(o *schema.Object, en *entry) []Column {
	f, found := o.Relationship(en.name)
	if !found {
		return []Column{}
	}
	for _, target := range f.References {
		for _, p := range en.parents {
			if p.shape != nil && p.shape.object.Name == target {
				return p.shape.columns()
			}
		}
	}
	return []Column{}
}

func fieldColumn(f *schema.Field) Column {
	c := Column{
		ColumnName: f.Name, DisplayName: f.Name, Custom: f.Custom, Insertable: f.Createable, Updatable: f.Updateable,
		BooleanType: f.Type == schema.Boolean, JoinColumns: []Column{},
	}
	apex := "String"
	switch f.Type {
	case schema.ID, schema.Reference:
		apex = "Id"
	case schema.Boolean:
		apex = "Boolean"
	case schema.DateTimeType:
		apex = "Datetime"
	case schema.DateType:
		apex = "Date"
	case schema.Int:
		apex, c.NumberType = "Integer", true
	case schema.Double, schema.Currency, schema.Percent:
		apex, c.NumberType = "Double", true
	}
	c.ApexType, c.TextType = &apex, apex == "String"
	return c
}
