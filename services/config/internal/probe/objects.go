package probe

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/throughline-dev/throughline/libs/salesforce"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// Need is what must be possible with one object.
type Need struct {
	Create, Update bool
	// Read are fields that must be visible, Write those that must be writable as well.
	Read, Write []string
}

// Needs is by object.
type Needs map[string]Need

// NeedsOf collects what the switched-on integrations of a connection do.
func NeedsOf(integrations []*configv1.Integration, connection string) Needs {
	out := Needs{}
	for _, i := range integrations {
		if !i.GetEnabled() || i.GetConnection() != connection {
			continue
		}
		for _, a := range i.GetActions() {
			if a.GetDisabled() {
				continue
			}
			n := out[a.GetObject()]
			n.Create = true
			n.Update = n.Update || a.GetOperation() == configv1.ActionOperation_ACTION_OPERATION_UPSERT
			for _, f := range a.GetFields() {
				if name := f.GetField(); !strings.Contains(name, ".") && !slices.Contains(n.Write, name) {
					n.Write = append(n.Write, name)
				}
			}
			if key := a.GetExternalIdField(); key != "" && !slices.Contains(n.Read, key) {
				n.Read = append(n.Read, key)
			}
			out[a.GetObject()] = n
		}
	}
	return out
}

// basics are the objects that are always asked about, with what every recipe does with them.
var basics = Needs{
	"Task":           {Create: true, Write: []string{"WhoId", "OwnerId", "Subject", "Description", "ActivityDate"}},
	"Lead":           {Read: []string{"Email", "OwnerId"}},
	"Contact":        {Read: []string{"Email", "OwnerId"}},
	"CampaignMember": {Create: true, Write: []string{"CampaignId", "LeadId", "ContactId", "Status"}},
}

// shapes describes every object once per diagnosis.
type shapes struct {
	org  Shape
	mu   sync.Mutex
	once map[string]func() (*salesforce.ObjectDescribe, error)
}

func (s *shapes) describe(ctx context.Context, object string) (*salesforce.ObjectDescribe, error) {
	s.mu.Lock()
	if s.once == nil {
		s.once = map[string]func() (*salesforce.ObjectDescribe, error){}
	}
	get := s.once[object]
	if get == nil {
		get = sync.OnceValues(func() (*salesforce.ObjectDescribe, error) { return s.org.Describe(ctx, object) })
		s.once[object] = get
	}
	s.mu.Unlock()
	return get()
}

// objectQuestions asks about the basic objects and those that integrations write. The connection's state depends on what is
// used: by integrations, by the search for people, or by the source product's purpose.
func (s Subject) objectQuestions(shapes *shapes) []question {
	var out []question
	objects := slices.Sorted(maps.Keys(basics))
	for _, object := range slices.Sorted(maps.Keys(s.Needs)) {
		if _, basic := basics[object]; !basic {
			objects = append(objects, object)
		}
	}
	for _, object := range objects {
		need, used := s.Needs[object]
		_, searched := s.MatchFields[object]
		required := used || searched || object == "Task" && s.TasksNeeded
		need = need.and(basics[object], object, used)
		name := ObjectPrefix + object
		if object == "Task" {
			name = Tasks
		}
		out = append(out, question{name, required, func(ctx context.Context) finding { return askObject(ctx, shapes, object, need) }})
	}
	return out
}

// and adds what is always done with an object. What integrations do with a task is all there is to do with it, once there are
// any: they may leave fields out that others would fill.
func (n Need) and(basic Need, object string, used bool) Need {
	if used && object != "Lead" && object != "Contact" {
		return n
	}
	n.Create = n.Create || basic.Create
	n.Read = append(slices.Clone(n.Read), basic.Read...)
	n.Write = append(slices.Clone(n.Write), basic.Write...)
	return n
}

func askObject(ctx context.Context, shapes *shapes, object string, need Need) finding {
	shape, err := shapes.describe(ctx, object)
	switch {
	case err != nil && hidden(err):
		return blocked(streamv1.Reason_REASON_SF_NO_PERMISSION, textObject, object)
	case err != nil:
		return unchecked(err)
	case need.Create && !shape.Createable:
		return blocked(streamv1.Reason_REASON_SF_NO_PERMISSION, textCreate, object)
	case need.Update && !shape.Updateable:
		return blocked(streamv1.Reason_REASON_SF_NO_PERMISSION, textEdit, object)
	}
	if missing := need.missing(shape); len(missing) > 0 {
		return blocked(streamv1.Reason_REASON_SF_NO_PERMISSION, textFields, strings.Join(missing, ", "))
	}
	return ok(textObjectFine, object)
}

// missing names the fields that the user cannot see, or cannot write.
func (n Need) missing(shape *salesforce.ObjectDescribe) []string {
	var out []string
	for _, name := range n.Read {
		if _, found := shape.Field(name); !found {
			out = append(out, shape.Name+"."+name)
		}
	}
	for _, name := range n.Write {
		f, found := shape.Field(name)
		if !found || n.Create && !f.Createable {
			out = append(out, shape.Name+"."+name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// askEncryption looks for fields that cannot be searched. Source: Salesforce Help, "Use Encrypted Data in Formulas" and
// "Filter Encrypted Data with Deterministic Encryption".
func askEncryption(ctx context.Context, shapes *shapes, fields map[string][]string) finding {
	var bad []string
	for _, object := range slices.Sorted(maps.Keys(fields)) {
		shape, err := shapes.describe(ctx, object)
		if err != nil {
			return unchecked(err)
		}
		for _, name := range fields[object] {
			f, found := shape.Field(name)
			if found && f.Encrypted && !f.Filterable {
				bad = append(bad, object+"."+name)
			}
		}
	}
	if len(bad) > 0 {
		return blocked(streamv1.Reason_REASON_FIELD_ENCRYPTED_PROBABILISTIC, textEncrypted, strings.Join(bad, ", "))
	}
	return ok(textSearchable, "")
}
