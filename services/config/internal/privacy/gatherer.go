package privacy

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/internal/trace"
)

// gatherer collects one export.
type gatherer struct {
	tenant tenant
	keys   []string
	doc    document
	// room is how many bytes may still come in; leftOut counts what had none.
	room    int
	leftOut int

	identities map[identity]bool
	records    map[recordID]*recordEntry
	newest     map[string]*entry
	order      []*entry
	failed     error
}

// entry is the newest revision of something.
type entry struct {
	into     *[]json.RawMessage
	revision int64
	text     json.RawMessage
}

func newGatherer(t tenant, row store.Export, room int) *gatherer {
	return &gatherer{
		tenant: t, keys: row.PersonKeys, room: room, doc: document{Workspace: row.Workspace, Export: row.ID},
		identities: map[identity]bool{}, records: map[recordID]*recordEntry{}, newest: map[string]*entry{},
	}
}

func (g *gatherer) note(text string) { g.doc.Notes = append(g.doc.Notes, text) }

// about reports whether a person key is one of the person's.
func (g *gatherer) about(workspace, key string) bool {
	return workspace == g.tenant.settings.GetId() && slices.Contains(g.keys, key) // promise 9
}

// keep takes a message in, in the place of an older revision under the same id.
func (g *gatherer) keep(into *[]json.RawMessage, id string, revision int64, m proto.Message) {
	g.keepWith(into, id, revision, m, nil)
}

// keepWith is keep with fields besides those of the message.
func (g *gatherer) keepWith(into *[]json.RawMessage, id string, revision int64, m proto.Message, more map[string]any) {
	id = fmt.Sprintf("%p/%s", into, id)
	old := g.newest[id]
	if old != nil && old.revision > revision {
		return
	}
	text, err := jsonOf(m, more)
	if err != nil {
		g.failed = err
		return
	}
	size := len(text)
	if old != nil {
		size -= len(old.text)
	}
	if size > g.room { // promise 7
		g.leftOut++
		return
	}
	g.room -= size
	if old == nil {
		old = &entry{into: into}
		g.newest[id], g.order = old, append(g.order, old)
	}
	old.revision, old.text = revision, text
}

func jsonOf(m proto.Message, more map[string]any) (json.RawMessage, error) {
	text, err := protojson.Marshal(m)
	if err != nil || more == nil {
		return text, err
	}
	fields := map[string]any{}
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, err
	}
	for k, v := range more {
		fields[k] = v
	}
	return json.Marshal(fields)
}

// outcome takes in an entry of the run log, and the record it tells of.
func (g *gatherer) outcome(o *streamv1.Outcome) {
	if r := recordOf(o); r != nil {
		known := g.records[idOf(r)]
		if known == nil {
			known = &recordEntry{Connection: r.GetConnection(), Object: r.GetObject(), RecordID: r.GetRecordId()}
			g.records[idOf(r)] = known
		}
		if at := r.GetWrittenAt().AsTime(); at.After(known.WrittenAt) {
			known.WrittenAt = at
		}
	}
	g.keep(&g.doc.Outcomes, o.GetOutcomeId(), o.GetDecidedAt().AsTime().UnixNano(), o)
}

// subject notes who a subject is and takes the sealed bytes out of it.
func (g *gatherer) subject(s *streamv1.Subject) {
	if len(s.GetSealed()) == 0 {
		return
	}
	plain, err := g.tenant.keys.Open(s.GetSealed())
	data := &streamv1.PersonalData{}
	if err == nil && proto.Unmarshal(plain, data) == nil {
		g.identities[identity{Email: data.GetEmail(), Name: data.GetName()}] = true
	}
	s.Sealed = nil
}

// hideOwner takes another person's data out of a content: its owner has rights of their own.
func (g *gatherer) hideOwner(c *streamv1.Content) {
	if c != nil {
		c.OwnerKey, c.OwnerSealed = "", nil
	}
}

// topics takes in what the pipeline's topics hold. The messages of one person are in one partition, but for activities and
// writes, which belong to sessions and orgs.
func (g *gatherer) topics(ctx context.Context, log trace.Log) error {
	for _, key := range g.keys {
		at := topic.PersonKey(g.tenant.settings.GetId(), key)
		for name, take := range map[string]func(stage.Record){
			topic.Visits: g.visit, topic.Engagements: g.engagement, topic.Resolved: g.resolved,
		} {
			if err := scan(ctx, log, trace.Scan{Topic: name, Key: at}, take); err != nil {
				return err
			}
		}
	}
	for _, s := range []struct {
		name string
		take func(stage.Record)
	}{{topic.Writes, g.write}, {topic.Parked, g.write}, {topic.DeadLetters, g.deadLetter}, {topic.Activities, g.activity}} {
		if err := scan(ctx, log, trace.Scan{Topic: s.name}, s.take); err != nil {
			return err
		}
	}
	g.note("Events that were refused before anybody could tell whom they are about are not in here; they are kept sealed for some days.")
	return g.failed
}

func scan(ctx context.Context, log trace.Log, s trace.Scan, take func(stage.Record)) error {
	s.Visit = func(r stage.Record) bool {
		if r.Value != nil {
			take(r)
		}
		return true
	}
	if err := log.Scan(ctx, s); err != nil {
		return fmt.Errorf("read %s: %w", s.Topic, err)
	}
	return nil
}

func (g *gatherer) activity(r stage.Record) {
	a := &streamv1.Activity{}
	if proto.Unmarshal(r.Value, a) != nil || !g.about(a.GetWorkspace(), a.GetSubject().GetPersonKey()) {
		return
	}
	g.subject(a.GetSubject())
	g.hideOwner(a.GetContent())
	g.keep(&g.doc.Activities, a.GetEventId(), r.Offset, a)
}

func (g *gatherer) visit(r stage.Record) {
	v := &streamv1.Visit{}
	if proto.Unmarshal(r.Value, v) != nil || !g.about(v.GetWorkspace(), v.GetSubject().GetPersonKey()) {
		return
	}
	g.strip(v)
	g.keep(&g.doc.Visits, v.GetVisitId(), v.GetRevision(), v)
}

func (g *gatherer) strip(v *streamv1.Visit) {
	g.subject(v.GetSubject())
	g.hideOwner(v.GetContent())
}

func (g *gatherer) engagement(r stage.Record) {
	e := &streamv1.Engagement{}
	if proto.Unmarshal(r.Value, e) != nil || !g.about(e.GetWorkspace(), e.GetSubject().GetPersonKey()) {
		return
	}
	g.stripEngagement(e)
	g.keep(&g.doc.Engagements, e.GetEngagementId(), e.GetRevision(), e)
}

func (g *gatherer) stripEngagement(e *streamv1.Engagement) {
	g.subject(e.GetSubject())
	g.hideOwner(e.GetContent())
	g.strip(e.GetVisit())
}

func (g *gatherer) resolved(r stage.Record) {
	m := &streamv1.Resolved{}
	if proto.Unmarshal(r.Value, m) != nil {
		return
	}
	e := m.GetEngagement()
	if !g.about(e.GetWorkspace(), e.GetSubject().GetPersonKey()) {
		return
	}
	g.stripEngagement(e)
	if m.GetResolution() != nil {
		m.Resolution.ContentOwner, m.Resolution.FixedUsers = nil, nil
	}
	id, revision := e.GetEngagementId()+"/"+m.GetConnection(), e.GetRevision()
	m.Engagement = &streamv1.Engagement{EngagementId: e.GetEngagementId(), Workspace: e.GetWorkspace(), Revision: revision}
	g.keep(&g.doc.Resolved, id, revision, m)
}

func (g *gatherer) write(r stage.Record) {
	w := &streamv1.Write{}
	if proto.Unmarshal(r.Value, w) != nil || !g.about(w.GetWorkspace(), w.GetPersonKey()) {
		return
	}
	values := map[string]any{}
	if plain, err := g.tenant.keys.Open(w.GetSealedFields()); err == nil {
		fields := &streamv1.FieldValues{}
		if proto.Unmarshal(plain, fields) == nil {
			for _, f := range fields.GetFields() {
				values[f.GetField()] = valueOf(f)
			}
		}
	}
	w.SealedFields = nil
	g.keepWith(&g.doc.Writes, w.GetConnection()+"/"+w.GetWriteKey(), w.GetRevision(), w, map[string]any{"fields": values})
}

func valueOf(f *streamv1.FieldValue) any {
	switch v := f.GetValue().(type) {
	case *streamv1.FieldValue_Text:
		return v.Text
	case *streamv1.FieldValue_Number:
		return v.Number
	case *streamv1.FieldValue_Flag:
		return v.Flag
	}
	return nil
}

// deadLetter takes in those of topics that are keyed by person.
func (g *gatherer) deadLetter(r stage.Record) {
	d := &streamv1.DeadLetter{}
	if proto.Unmarshal(r.Value, d) != nil {
		return
	}
	workspace, key, _ := strings.Cut(string(d.GetKey()), "/")
	if !g.about(workspace, key) {
		return
	}
	d.SealedValue, d.SealedEnvelope, d.Headers = nil, nil, nil
	g.keep(&g.doc.DeadLetters, d.GetDeadLetterId(), r.Offset, d)
}

// finish writes the document.
func (g *gatherer) finish() ([]byte, error) {
	if g.failed != nil {
		return nil, g.failed
	}
	for who := range g.identities {
		g.doc.Identities = append(g.doc.Identities, who)
	}
	slices.SortFunc(g.doc.Identities, func(a, b identity) int {
		return cmp.Or(strings.Compare(a.Email, b.Email), strings.Compare(a.Name, b.Name))
	})
	for _, r := range g.records {
		g.doc.SalesforceRecords = append(g.doc.SalesforceRecords, *r)
	}
	slices.SortFunc(g.doc.SalesforceRecords, func(a, b recordEntry) int {
		return cmp.Or(strings.Compare(a.Connection, b.Connection), strings.Compare(a.Object, b.Object), strings.Compare(a.RecordID, b.RecordID))
	})
	for _, e := range g.order {
		*e.into = append(*e.into, e.text)
	}
	if g.leftOut > 0 {
		g.note(fmt.Sprintf("%d entries are left out because the export would be too large (privacy.export_bytes).", g.leftOut))
	}
	return json.MarshalIndent(&g.doc, "", "  ")
}
