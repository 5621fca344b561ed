package match

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

const (
	fieldID       = "Id"
	fieldModified = "LastModifiedDate"
	fieldCreated  = "CreatedDate"
)

// Candidate is a Lead or Contact with the person's address, or the Contact of such a Lead's conversion.
type Candidate struct {
	// ID has 18 characters.
	ID string
	// Object is Lead or Contact.
	Object string
	// OwnerID is a user (005…) or a queue (00G…).
	OwnerID string
	// AccountID of a Contact.
	AccountID string
	// PersonAccount says that a Contact is one record with its Account, a person account (XC-41). OwnerID and LastModified
	// are those of the pair.
	PersonAccount            bool
	LastModified, CreatedAt  time.Time
	Converted, ViaConversion bool
	// ConvertedContactID of a converted Lead; "" when it became an account only.
	ConvertedContactID string
	// Preferences are those of the privacy record; nothing when there is none, or it was not asked for.
	Preferences Preferences
	// Extra holds what Policy.Fields asks for: text, float64, bool or nil.
	Extra map[string]any
}

// Considered is a candidate and its fate.
type Considered struct {
	Candidate
	// Chosen for its object.
	Chosen bool
	// Rule is what decided, with the requirement it comes from.
	Rule string
}

// Decision is who was chosen, and why.
type Decision struct {
	// Lead and Contact are the best of their objects, Person the one to link a to-do to; nil when there is none.
	Lead, Contact, Person *Candidate
	// Considered are all candidates: by object in the policy's order, the best first, and last those that may not be chosen.
	Considered []Considered
}

// Decide ranks candidates. Their order and repetitions do not matter.
func Decide(p Policy, candidates []Candidate) Decision {
	byObject, refused := sortOut(p, candidates)
	var d Decision
	for _, object := range objectsOf(p) {
		ranked := byObject[object]
		slices.SortFunc(ranked, func(a, b Candidate) int { return compare(p, &a, &b) })
		for i := range ranked {
			d.Considered = append(d.Considered, Considered{Candidate: ranked[i], Chosen: i == 0, Rule: rule(p, ranked, i) + pairNote(&ranked[i])})
		}
		if len(ranked) == 0 {
			continue
		}
		best := &ranked[0]
		if object == Lead {
			d.Lead = best
		} else {
			d.Contact = best
		}
		if d.Person == nil && slices.Contains(p.Objects, object) {
			d.Person = best
		} else {
			d.yield(object)
		}
	}
	d.Considered = append(d.Considered, refused...)
	return d
}

// yield notes on the best of an object that another object's best was linked.
func (d *Decision) yield(object string) {
	for i := range d.Considered {
		if c := &d.Considered[i]; c.Object == object && c.Chosen && d.Person != nil {
			c.Rule += "; IMM-32 " + d.Person.Object + " before " + object
		}
	}
}

// objectsOf returns the policy's objects in order, and then those it leaves out: they are still linked to engagements.
func objectsOf(p Policy) []string {
	objects := slices.Clone(p.Objects)
	for _, o := range []string{Lead, Contact} {
		if !slices.Contains(objects, o) {
			objects = append(objects, o)
		}
	}
	return objects
}

// sortOut separates those that may be chosen, each once, from those that may not.
func sortOut(p Policy, candidates []Candidate) (byObject map[string][]Candidate, refused []Considered) {
	byObject = map[string][]Candidate{}
	visible := map[string]bool{}
	for _, c := range candidates {
		visible[c.ID] = true
	}
	seen := map[string]bool{}
	// One that has the address itself stands before the same one found through a conversion.
	ordered := slices.SortedStableFunc(slices.Values(candidates), func(a, b Candidate) int {
		return cmp.Or(strings.Compare(a.ID, b.ID), compareBool(a.ViaConversion, b.ViaConversion))
	})
	for _, c := range ordered {
		switch {
		case seen[c.ID]:
		case c.Object == Lead && c.Converted:
			refused = append(refused, Considered{Candidate: c, Rule: convertedRule(p, &c, visible)})
		case c.ViaConversion && !p.FollowConverted:
			refused = append(refused, Considered{Candidate: c, Rule: "IMM-35 conversions are not followed"})
		default:
			byObject[c.Object] = append(byObject[c.Object], c)
		}
		seen[c.ID] = true
	}
	return byObject, refused
}

func convertedRule(p Policy, c *Candidate, visible map[string]bool) string {
	switch {
	case !p.FollowConverted:
		return "IMM-35 converted"
	case c.ConvertedContactID == "":
		return "IMM-35 converted without a Contact"
	case !visible[c.ConvertedContactID]:
		return "IMM-35 converted; its Contact is not visible"
	}
	return "IMM-35 converted; its Contact competes"
}

// rule says what put ranked[i] where it is: the first criterion in which it differs from its rival.
func rule(p Policy, ranked []Candidate, i int) string {
	if len(ranked) == 1 {
		return "only " + ranked[i].Object
	}
	rival := 0
	if i == 0 {
		rival = 1
	}
	by := decisive(p, &ranked[i], &ranked[rival])
	if i == 0 {
		return "IMM-33 first by " + by
	}
	return "IMM-33 behind by " + by
}

// pairNote says of a Contact that it stands for a person account.
func pairNote(c *Candidate) string {
	if !c.PersonAccount {
		return ""
	}
	return "; XC-41 a pair with its person account " + c.AccountID
}

func decisive(p Policy, a, b *Candidate) string {
	for _, o := range p.OrderBy {
		if compareField(o, a, b) != 0 {
			if o.Descending {
				return o.Field + " DESC"
			}
			return o.Field
		}
	}
	return fieldID + " DESC"
}

// compare is negative when a ranks before b. The higher id decides in the end, so that the ranking is total.
func compare(p Policy, a, b *Candidate) int {
	for _, o := range p.OrderBy {
		if c := compareField(o, a, b); c != 0 {
			return c
		}
	}
	return strings.Compare(b.ID, a.ID)
}

func compareField(o Order, a, b *Candidate) int {
	var c int
	switch o.Field {
	case fieldID:
		c = strings.Compare(a.ID, b.ID)
	case fieldModified:
		c = a.LastModified.Compare(b.LastModified)
	case fieldCreated:
		c = a.CreatedAt.Compare(b.CreatedAt)
	default:
		c = compareValue(a.Extra[o.Field], b.Extra[o.Field])
	}
	if o.Descending {
		return -c
	}
	return c
}

// compareValue orders values of one field: nothing first, then by size, time or alphabet. Salesforce writes datetimes in
// UTC with leading zeros, so their texts order as their times do.
func compareValue(a, b any) int {
	switch a := a.(type) {
	case string:
		if b, ok := b.(string); ok {
			return strings.Compare(a, b)
		}
	case float64:
		if b, ok := b.(float64); ok {
			return cmp.Compare(a, b)
		}
	case bool:
		if b, ok := b.(bool); ok {
			return compareBool(a, b)
		}
	}
	return compareBool(a != nil, b != nil)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
