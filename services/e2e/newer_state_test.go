package e2e_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/throughline-dev/throughline/libs/stage"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	statev1 "github.com/throughline-dev/throughline/proto/throughline/state/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/e2e/internal/rig"
	"github.com/throughline-dev/throughline/services/internal/ids"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// entry is one entry of a compacted topic.
type entry struct {
	topic, key string
	value      []byte
}

// put writes an entry past its service, into the one partition there is.
func (e entry) put(r *rig.Rig) {
	r.T.Helper()
	require.NoError(r.T, r.Kafka.Produce(r.T.Context(), stage.ProduceBatch{
		StateTopic: e.topic, Entries: []stage.Entry{{Key: e.key, Value: e.value}},
	}))
}

// newer is the entry as a newer program would have written it.
func (e entry) newer(t *testing.T, m proto.Message) entry {
	t.Helper()
	require.NoError(t, proto.Unmarshal(e.value, m))
	version := m.ProtoReflect().Descriptor().Fields().ByName("version")
	m.ProtoReflect().Set(version, protoreflect.ValueOfUint32(uint32(m.ProtoReflect().Get(version).Uint())+1))
	value, err := proto.Marshal(m)
	require.NoError(t, err)
	return entry{e.topic, e.key, value}
}

// find returns the newest entry whose key ends with a text.
func find(r *rig.Rig, name, suffix string) entry {
	r.T.Helper()
	var found entry
	for _, rec := range r.Topic(name) {
		if strings.HasSuffix(string(rec.Key), suffix) {
			found = entry{name, string(rec.Key), rec.Value}
		}
	}
	require.NotEmpty(r.T, found.value, "no entry %s in %s", suffix, name)
	return found
}

// A program that finds state of a newer one, as after a deployment that was taken back, says so, leaves alone what it does
// not understand, and goes on with everything else.
func TestStateOfANewerVersionConcernsNobodyElse(t *testing.T) {
	rig.Parallel(t)
	r := rig.New(t, rig.Options{Partitions: 1})
	r.StartConfig()
	r.Add(rig.Customer{ID: "acme", Leads: []string{"visit@x.example", "totals@x.example", "ledger@x.example", "well@x.example", "new@x.example"}})
	data := r.Start("data")
	open := func() *rig.Event {
		return &rig.Event{Workspace: "acme", Session: "open", Type: "document.opened", Email: "visit@x.example", Content: "price-list", Title: "Price list"}
	}
	r.Send(open())
	keys := map[string]string{}
	for _, who := range []string{"totals", "ledger", "well"} {
		e := rig.Closed("acme", who+"@x.example")
		e.Session = who
		r.Send(e)
	}
	r.Quiet()
	for _, rec := range r.Topic(topic.Visits) {
		v := &streamv1.Visit{}
		require.NoError(t, proto.Unmarshal(rec.Value, v))
		keys[v.GetSession()] = ids.EngagementID("acme", v.GetSubject().GetPersonKey(), "price-list")
	}
	data.Stop()
	visit := find(r, topic.VisitState, ids.VisitID("acme", "open", "price-list"))
	totals := find(r, topic.TotalsState, keys["totals"])
	ledger := find(r, topic.Ledger, ids.WriteKey("acme", "document-engagement", "engagement", keys["ledger"]))
	visit.newer(t, &statev1.OpenVisit{}).put(r)
	totals.newer(t, &statev1.Totals{}).put(r)
	ledger.newer(t, &statev1.LedgerEntry{}).put(r)

	data = r.Start("data")
	r.Send(open())
	last := map[string]*rig.Event{}
	for _, who := range []string{"totals", "ledger", "well", "new"} {
		last[who] = rig.Closed("acme", who+"@x.example")
		r.Send(last[who])
	}
	visits := func(who string) float64 {
		for _, row := range r.Records("acme", "Engagement__c") {
			if row["Viewer_Email__c"] == who+"@x.example" {
				return row["Visit_Count__c"].(float64)
			}
		}
		return 0
	}
	r.Eventually(func() bool { return visits("well") == 2 && visits("new") == 1 }, "everybody else's rows are written")
	r.Eventually(func() bool {
		return len(r.Outcomes(&configv1.ListOutcomesRequest{Workspace: "acme", EventId: last["ledger"].ID, Status: streamv1.Status_STATUS_PARKED})) == 1
	}, "the write whose ledger entry cannot be read is parked")
	parked := r.Outcomes(&configv1.ListOutcomesRequest{Workspace: "acme", EventId: last["ledger"].ID, Status: streamv1.Status_STATUS_PARKED})
	require.Contains(t, parked[0].GetDetail(), "newer format")
	require.EqualValues(t, 1, visits("ledger"), "nothing is overwritten that is not understood")
	r.Eventually(func() bool { return len(r.Topic(topic.DeadLetters)) == 2 }, "visit and totals give up one record each")
	for _, rec := range r.Topic(topic.DeadLetters) {
		letter := &streamv1.DeadLetter{}
		require.NoError(t, proto.Unmarshal(rec.Value, letter))
		require.Contains(t, letter.GetDetail(), "version 2")
		require.Equal(t, "acme", letter.GetWorkspace())
	}
	require.NoError(t, data.Ready())

	// The newer program is back; for this test that is the old one with entries it understands.
	data.Stop()
	for _, e := range []entry{visit, totals, ledger} {
		e.put(r)
	}
	r.Start("data")
	r.Eventually(func() bool { return visits("ledger") == 2 }, "the parked write is made")
	r.Quiet()
}
