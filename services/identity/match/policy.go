package match

import (
	"errors"
	"fmt"
	"strings"
)

// The objects that can stand for a person.
const (
	Lead    = "Lead"
	Contact = "Contact"
)

// Order is one criterion of a ranking.
type Order struct {
	// Field is an API name.
	Field string
	// Descending puts the largest value first.
	Descending bool
}

// Policy is a workspace's ranking. Make one with NewPolicy.
type Policy struct {
	// Name is kept on every decision.
	Name string
	// Objects in order of preference for the linked person (IMM-32).
	Objects []string
	// OrderBy ranks within one object, the most important first (IMM-33).
	OrderBy []Order
	// FollowConverted lets the Contact of a converted Lead compete (IMM-35).
	FollowConverted bool
}

// DefaultPolicy prefers Leads, and within one object the latest change, then the later created, then the higher id.
func DefaultPolicy() Policy {
	return Policy{
		Name:            "default",
		Objects:         []string{Lead, Contact},
		OrderBy:         []Order{{"LastModifiedDate", true}, {"CreatedDate", true}, {"Id", true}},
		FollowConverted: true,
	}
}

// NewPolicy completes settings with the defaults: orderBy holds criteria such as "LastModifiedDate DESC". An error names
// the criterion that cannot be used; the settings must be corrected.
func NewPolicy(name string, objects, orderBy []string, followConverted bool) (Policy, error) {
	p := DefaultPolicy()
	p.FollowConverted = followConverted
	if name != "" {
		p.Name = name
	}
	if len(objects) > 0 {
		p.Objects = objects
	}
	if len(orderBy) == 0 {
		return p, nil
	}
	p.OrderBy = nil
	for _, criterion := range orderBy {
		o, err := parseOrder(criterion)
		if err != nil {
			return Policy{}, fmt.Errorf("match_policy.order_by %q: %w", criterion, err)
		}
		p.OrderBy = append(p.OrderBy, o)
	}
	return p, nil
}

func parseOrder(s string) (Order, error) {
	words := strings.Fields(s)
	if len(words) == 0 || len(words) > 2 || !isField(words[0]) {
		return Order{}, errors.New("want a field name and ASC or DESC")
	}
	o := Order{Field: words[0]}
	if len(words) == 2 {
		switch strings.ToUpper(words[1]) {
		case "ASC":
		case "DESC":
			o.Descending = true
		default:
			return Order{}, errors.New("want ASC or DESC after the field")
		}
	}
	return o, nil
}

// isField accepts API names only, because they become part of a query.
func isField(s string) bool {
	for i, c := range s {
		letter := (c|0x20) >= 'a' && (c|0x20) <= 'z'
		if !letter && (i == 0 || (c != '_' && (c < '0' || c > '9'))) {
			return false
		}
	}
	return s != "" && len(s) <= 80
}

// Fields returns the fields of OrderBy that candidates do not have anyway; whoever finds candidates must fill them into
// Candidate.Extra.
func (p Policy) Fields() []string {
	var extra []string
	for _, o := range p.OrderBy {
		switch o.Field {
		case fieldID, fieldModified, fieldCreated:
		default:
			extra = append(extra, o.Field)
		}
	}
	return extra
}
