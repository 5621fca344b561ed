package soql

import "strings"

// Query is a parsed SELECT statement.
type Query struct {
	Select []Item
	// Count is set for SELECT COUNT().
	Count bool
	From  Name
	// Scope is the word after USING SCOPE, empty without.
	Scope   Name
	Where   Expr
	GroupBy []Path
	Having  Expr
	OrderBy []Order
	// Limit and Offset are -1 when absent.
	Limit, Offset int
	// AllRows is set by ALL ROWS: deleted records count too.
	AllRows bool
	// parent is what stands before a child relationship in FROM.
	parent Name
	text   string
}

// Name is a name and where it stands.
type Name struct {
	Text string
	Pos  int
}

// Path is a field name with the relationships that lead to it: Account.Owner.Name. It may stand in a function.
type Path struct {
	Names []string
	Pos   int
	// Func is the function around the field in upper case, empty for none: a date function, TOLABEL, or, in HAVING and
	// ORDER BY, an aggregate. Zoned is set for a date function of convertTimezone().
	Func  string
	Zoned bool
}

// String returns the path as it was written; names of functions are in upper case.
func (p Path) String() string {
	text := strings.Join(p.Names, ".")
	if p.Zoned {
		text = "convertTimezone(" + text + ")"
	}
	if p.Func != "" {
		text = p.Func + "(" + text + ")"
	}
	return text
}

// Item is one entry of the select list; exactly one of its parts is set, apart from Alias, the name of a Path in the answer.
type Item struct {
	Path  *Path
	Alias string
	// Fields is the group of FIELDS(ALL), FIELDS(STANDARD) or FIELDS(CUSTOM).
	Fields string
	// Aggregate is a function over a group: COUNT, COUNT_DISTINCT, MIN, MAX, SUM or AVG.
	Aggregate *Aggregate
	// Children is a subquery over a child relationship.
	Children *Query
	// TypeOf chooses fields of a parent by its object.
	TypeOf *TypeOf
}

// TypeOf is TYPEOF Path WHEN … THEN … ELSE … END. Else is nil without ELSE.
type TypeOf struct {
	Path  Path
	Whens []When
	Else  []Path
}

// When is one WHEN … THEN … of a TYPEOF.
type When struct {
	Object Name
	Paths  []Path
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
