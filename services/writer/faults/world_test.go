package faults

import (
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/broker"
	"github.com/throughline-dev/throughline/libs/seal"
	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/kafka"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/internal/settingstest"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

const workspace = "acme"

// world is what outlives the writers: a broker, the orgs, the settings.
type world struct {
	*simulated
	t       *testing.T
	plan    *plan
	brokers []string
	kafka   *kafka.Client
	inst    *seal.Installation
	view    *settings.View // the first settings: the keys stay
	now     atomic.Pointer[settings.View]
	next    *settings.View // those after a connection was given to another org
	tail    *tail
	hits    map[string]int // what befell the writer, by fault or moment
	// history is what the orgs' records were set to, one change after the other.
	history history
	chance  *brokerChance
	// launch starts a writer.
	launch func(kill) *running
	// wrap, if set, spoils the writer's way to the world, to see that the judge notices.
	wrap func(*life)
}

// newWorld makes a world in this process.
func newWorld(t *testing.T, p *plan) *world {
	t.Helper()
	w := newBroker(t, p)
	w.launch = w.start
	w.chance = &brokerChance{rand: rand.New(rand.NewPCG(p.broker.seed, 1)), faults: p.broker}
	build := settingstest.New(t).Workspace(workspace)
	for _, o := range p.orgs {
		build.Connection(o.key)
	}
	w.inst = build.Installation()
	w.views(build.Snapshot(), build.Snapshot())
	w.simulated = startOrgs(t, p, w.history.add)
	return w
}

// newBroker begins a world with a broker and the writer's topics.
func newBroker(t *testing.T, p *plan) *world {
	t.Helper()
	w := &world{t: t, plan: p, hits: map[string]int{}, chance: new(brokerChance)}
	embedded, err := broker.Start(broker.Config{})
	require.NoError(t, err)
	t.Cleanup(embedded.Close)
	w.brokers = embedded.Addr()
	w.kafka, err = kafka.New(kafka.DefaultConfig(w.brokers...), kafka.Deps{})
	require.NoError(t, err)
	t.Cleanup(w.kafka.Close)
	require.NoError(t, w.kafka.EnsureTopics(t.Context(),
		kafka.TopicSpec{Name: topic.Ledger, Partitions: p.partitions, Compacted: true},
		kafka.TopicSpec{Name: topic.Writes, Partitions: p.partitions},
		kafka.TopicSpec{Name: topic.Parked, Partitions: p.partitions},
		kafka.TopicSpec{Name: topic.Outcomes, Partitions: 1},
		kafka.TopicSpec{Name: topic.Changes, Partitions: 1},
		kafka.TopicSpec{Name: topic.DeadLetters, Partitions: 1}))
	w.tail = newTail(t, w.kafka, p)
	return w
}

// publish sends writes as mapping does.
func (w *world) publish(writes []*write) {
	w.t.Helper()
	messages := make([]stage.Message, 0, len(writes))
	for _, one := range writes {
		value, err := proto.Marshal(w.message(one))
		require.NoError(w.t, err)
		messages = append(messages, stage.Message{
			Topic: topic.Writes, Key: topic.ConnectionKey(workspace, one.connection), Value: value,
			ID: one.id(), Type: topic.TypeWrite, Time: time.Now(),
		})
	}
	require.NoError(w.t, w.kafka.Publish(w.t.Context(), messages...))
}

func (w *world) message(one *write) *streamv1.Write {
	w.t.Helper()
	m := &streamv1.Write{
		Workspace: workspace, Connection: one.connection, WriteKey: one.key, Revision: one.revision, Object: one.object,
		Operation: one.operation, LockParent: w.id(one.place(), one.parent), VisitId: "visit", OccurredAt: timestamppb.Now(),
		RecordId: w.id(one.place(), one.target), Integration: one.integration, IntegrationVersion: one.version,
	}
	if one.connection == w.plan.moved && one.in == "" {
		m.Org = movedID
	}
	values := new(streamv1.FieldValues)
	text := func(name, value string) {
		values.Fields = append(values.Fields, &streamv1.FieldValue{Field: name, Value: &streamv1.FieldValue_Text{Text: value}})
	}
	for _, f := range one.fields {
		if f.text == "" {
			values.Fields = append(values.Fields, &streamv1.FieldValue{Field: f.name, Value: &streamv1.FieldValue_Number{Number: f.num}})
			continue
		}
		text(f.name, w.id(one.place(), f.text))
	}
	if one.externalField != "" {
		m.ExternalIdField, m.ExternalId, m.Once = one.externalField, one.key, one.once
	}
	if one.marked {
		w.mark(m, one)
		if one.object != memberObject {
			text(m.MarkerField, "資料を閲覧\n\n"+m.Marker)
		}
	}
	switch {
	case one.links && one.object == memberObject:
		m.PersonLinks = []*streamv1.PersonLink{{Field: "LeadId", ContactField: "ContactId"}}
	case one.links:
		m.PersonLinks = []*streamv1.PersonLink{{Field: "WhoId", ContactField: "WhoId"}}
	}
	plain, err := proto.Marshal(values)
	require.NoError(w.t, err)
	ws, _ := w.view.Workspace(workspace)
	m.SealedFields, err = ws.Keys().Seal(plain)
	require.NoError(w.t, err)
	m.ContentHash = ws.Keys().Hash(plain)
	if one.broken {
		m.SealedFields = []byte("sealed for nobody")
	}
	return m
}

const (
	memberObject = "CampaignMember"
	markerPrefix = "Ref: tl-"
)

// mark says by what the record can be found again, as mapping does: a task by a line of its description among those of its
// person, a campaign member by person and campaign, anything else by the line alone.
func (w *world) mark(m *streamv1.Write, one *write) {
	m.Marker, m.MarkerField = markerPrefix+one.key, "Description"
	switch one.object {
	case memberObject:
		m.Marker, m.MarkerField = w.id(one.place(), one.who), "LeadId"
		m.MarkerScopeField, m.MarkerScopeValue = "CampaignId", w.id(one.place(), one.parent)
	case "Task":
		m.MarkerScopeField, m.MarkerScopeValue = "WhoId", w.id(one.place(), one.who)
	}
}
