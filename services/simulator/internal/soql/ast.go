package soql

import "strings"

// Query is a parsed SELECT statement.
type Query struct {
	Select []Item
	// Count is set for SELECT COUNT().
	Count   bool
	From    Name
	Where   Expr
	GroupBy []Path
	OrderBy []Order
	// Limit and Offset are -1 when absent.
	Limit, Offset int
	// AllRows is set by ALL ROWS: deleted records count too.
	AllRows bool
	text    string
}

// Name is a name and where it stands.
type Name struct {
	Text string
	Pos  int
}

// Path is a field name with the relationships that lead to it: Account.Owner.Name.
type Path struct {
	Names []string
	Pos   int
}

// String returns the path as it was written.
func (p Path) String() string { return strings.Join(p.Names, ".") }

// Item is one entry of the select list; exactly one of its parts is set.
type Item struct {
	Path *Path
	// Fields is the group of FIELDS(ALL), FIELDS(STANDARD) or FIELDS(CUSTOM).
	Fields string
	// Aggregate is a function over a group: COUNT, COUNT_DISTINCT, MIN, MAX, SUM or AVG.
	Aggregate *Aggregate
	// Children is a subquery over a child relationship.
	Children *Query
}

// Aggregate is one aggregate function. Alias may be empty.
type Aggregate struct {
	Func  string
	Path  Path
	Alias string
}

// Order is one entry of ORDER BY. Nulls come first unless NullsLast.
type Order struct {
	Path      Path
	Desc      bool
	NullsLast bool
}

// Expr is a condition: And, Or, Not, *Comparison or *Membership.
type Expr interface{ expr() }

// And holds when all its parts hold.
type And []Expr

// Or holds when one of its parts holds.
type Or []Expr

// Not holds when its part does not.
type Not struct{ Expr Expr }

// Comparison compares a field with a literal. Op is =, !=, <, <=, >, >= or LIKE.
type Comparison struct {
	Path  Path
	Op    string
	Value Literal
}

// Membership is IN, NOT IN, INCLUDES or EXCLUDES over literals, or IN and NOT IN over a subquery.
type Membership struct {
	Path   Path
	Op     string
	Values []Literal
	Query  *Query
}

func (And) expr()         {}
func (Or) expr()          {}
func (Not) expr()         {}
func (*Comparison) expr() {}
func (*Membership) expr() {}

// LiteralKind is the type of a literal.
type LiteralKind uint8

// The kinds of literals.
const (
	NullLiteral LiteralKind = iota
	StringLiteral
	NumberLiteral
	BoolLiteral
	DateLiteral
	DateTimeLiteral
	// RelativeLiteral is a date literal such as TODAY or LAST_N_DAYS:7.
	RelativeLiteral
)

// Literal is one literal. Text is a string's content, or the literal as written; N is the number after the colon of a
// relative date.
type Literal struct {
	Kind LiteralKind
	Text string
	True bool
	N    int
	Pos  int
}
