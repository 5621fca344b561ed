package e2e_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/stage"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/app"
	"github.com/throughline-dev/throughline/services/e2e/internal/rig"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// erasing is a platform on which one person is erased while another one is not.
type erasing struct {
	*rig.Rig
	t       *testing.T
	process *rig.Process
	privacy configv1.PrivacyServiceClient
	out     pages
	// her is the person key of who is erased.
	her string
}

const (
	bystander     = "ren@bystander.example"
	erasedSkipped = "SKIPPED(ERASED_SUBJECT)"
)

func setupErasing(t *testing.T) *erasing {
	t.Helper()
	e := &erasing{t: t}
	e.Rig = rig.New(t, rig.Options{Log: logPage{&e.out}, Configure: func(cfg *app.Config) {
		cfg.Config.Privacy.Every, cfg.Config.Privacy.Settle = 50*time.Millisecond, 3*time.Second
	}})
	e.StartConfig()
	e.process = e.Start("all")
	e.Add(rig.Customer{ID: "acme", Leads: []string{plantedViewer, bystander}})
	e.process.AwaitSettings()
	e.privacy = e.Privacy()
	return e
}

// named is an event about the person who is erased.
func named(e *rig.Event) *rig.Event {
	e.Viewer = plantedName
	return e
}

// pause switches writing to the org off or on.
func (e *erasing) pause(on bool) {
	e.t.Helper()
	got, err := e.Config.GetConnection(e.t.Context(), &configv1.GetConnectionRequest{Workspace: "acme", Connection: rig.Connection})
	require.NoError(e.t, err)
	c := got.GetConnection()
	c.Paused = on
	_, err = e.Config.PutConnection(e.t.Context(), &configv1.PutConnectionRequest{Connection: c})
	require.NoError(e.t, err)
	e.process.AwaitSettings()
}

// ended reports whether the event came to an end that is listed.
func (e *erasing) ended(event *rig.Event, want string) bool {
	return slices.Contains(e.Ended("acme", event.ID), want)
}

// written are the ids of all records of the org that tell of an address, by object.
func (e *erasing) written(address string) []string {
	e.t.Helper()
	var ids []string
	for _, object := range []string{"Task", "Engagement__c"} {
		for _, fields := range e.Records("acme", object) {
			for _, v := range fields {
				if text, ok := v.(string); ok && strings.Contains(text, strings.ToLower(address)) {
					ids = append(ids, fields["Id"].(string))
					break
				}
			}
		}
	}
	slices.Sort(ids)
	return ids
}

// person finds the key of the person who is erased among the writes.
func (e *erasing) person(event *rig.Event) string {
	e.t.Helper()
	for _, r := range e.Topic(topic.Writes) {
		w := &streamv1.Write{}
		require.NoError(e.t, proto.Unmarshal(r.Value, w))
		if w.GetEventId() == event.ID {
			return w.GetPersonKey()
		}
	}
	require.Fail(e.t, "no write of the event")
	return ""
}

// XC-31. A person's events flow; the person is erased while some of it waits for the org; and from then on nothing of theirs
// moves, whatever comes, comes back or is replayed. Nobody else notices.
func TestAnErasedPersonIsForgotten(t *testing.T) {
	t.Attr("requirement", "XC-31")
	t.Attr("requirement", "XC-33")
	rig.Parallel(t)
	e := setupErasing(t)
	first, theirs := named(rig.Closed("acme", plantedViewer)), rig.Closed("acme", bystander)
	open := named(&rig.Event{Workspace: "acme", Type: "document.opened", Email: plantedViewer, Content: "open"})
	e.Send(first, named(rig.Watched("acme", plantedViewer)), theirs, open)
	e.Quiet()
	e.Eventually(func() bool { return len(e.written(plantedViewer)) >= 3 && len(e.written(bystander)) >= 2 }, "the org has it all")
	e.her = e.person(first)
	export := e.export(e.written(plantedViewer))

	e.pause(true)
	waits, theirsWaits := named(rig.Closed("acme", plantedViewer)), rig.Closed("acme", bystander)
	e.Send(waits, theirsWaits)
	e.Eventually(func() bool {
		return e.ended(waits, "writer PARKED(SF_UNAVAILABLE)") && e.ended(theirsWaits, "writer PARKED(SF_UNAVAILABLE)")
	}, "parked")
	before := e.written(plantedViewer)
	replayed := e.keep(topic.Activities, topic.Visits, topic.Engagements, topic.Resolved, topic.Writes)

	erasure := e.erase()
	e.Eventually(func() bool { return e.ended(waits, "writer "+erasedSkipped) }, "what waits for the org ends, although the org is away")
	require.False(t, e.ended(theirsWaits, "writer "+erasedSkipped))
	later := named(rig.Closed("acme", strings.ToUpper(plantedViewer)))
	e.Send(later, first) // and the very first one again
	e.Eventually(func() bool {
		return e.ended(later, "ingest "+erasedSkipped) && e.ended(first, "ingest "+erasedSkipped)
	}, "later events are refused at the door")
	e.replayAll(replayed)
	e.Eventually(func() bool {
		told := e.Ended("acme", first.ID)
		for _, stage := range []string{"visits", "identity", "mapping", "writer"} {
			if !slices.Contains(told, stage+" "+erasedSkipped) {
				return false
			}
		}
		return true
	}, "what is brought back ends at every stage")

	e.pause(false)
	e.Eventually(func() bool { return e.ended(theirsWaits, "writer WRITTEN") }, "the bystander's comes back")
	e.Quiet()
	require.Equal(t, before, e.written(plantedViewer), "nothing was added in the org, and nothing taken away")
	e.requireForgotten(erasure, before)
	_, err := e.privacy.GetExport(t.Context(), &configv1.GetExportRequest{Workspace: "acme", ExportId: export})
	require.Error(t, err, "what was gathered of the person is gone")
	e.lift(first)
	e.blank()
}

// export asks for what is held of the person and checks that it names all records.
func (e *erasing) export(records []string) (id string) {
	e.t.Helper()
	ctx := e.t.Context()
	asked, err := e.privacy.ExportPerson(ctx, &configv1.ExportPersonRequest{Workspace: "acme", Addresses: []string{plantedViewer}})
	require.NoError(e.t, err)
	id = asked.GetExport().GetId()
	var document []byte
	e.Eventually(func() bool {
		got, err := e.privacy.GetExport(ctx, &configv1.GetExportRequest{Workspace: "acme", ExportId: id})
		require.NoError(e.t, err)
		document = got.GetData()
		return got.GetExport().GetStatus() == configv1.ExportStatus_EXPORT_STATUS_READY
	}, "the export is ready")
	for _, record := range records {
		require.Contains(e.t, string(document), record)
	}
	require.Contains(e.t, string(document), strings.ToLower(plantedViewer))
	require.Contains(e.t, string(document), plantedName)
	require.NotContains(e.t, string(document), bystander)
	return id
}

func (e *erasing) erase() string {
	e.t.Helper()
	started, err := e.privacy.StartErasure(e.t.Context(), &configv1.StartErasureRequest{
		Workspace: "acme", Addresses: []string{plantedViewer}, Confirm: true,
	})
	require.NoError(e.t, err)
	e.process.AwaitSettings()
	return started.GetErasure().GetId()
}

// keep returns the person's records of topics, as an operator may feed them again.
func (e *erasing) keep(names ...string) []stage.Message {
	e.t.Helper()
	var out []stage.Message
	for _, name := range names {
		for _, r := range e.Topic(name) {
			if !strings.Contains(string(r.Value), e.her) {
				continue
			}
			m := stage.Message{Topic: name, Key: r.Key, Value: r.Value, Time: r.Time, ID: string(r.Header(stage.HeaderID))}
			m.Type, m.TraceParent = string(r.Header(stage.HeaderType)), r.TraceParent()
			out = append(out, m)
		}
	}
	require.NotEmpty(e.t, out)
	return out
}

func (e *erasing) replayAll(messages []stage.Message) {
	e.t.Helper()
	require.NoError(e.t, e.Kafka.Publish(e.t.Context(), messages...))
}

// requireForgotten waits for the certificate and looks for traces of the person.
func (e *erasing) requireForgotten(erasure string, records []string) {
	e.t.Helper()
	var done *configv1.Erasure
	e.Eventually(func() bool {
		got, err := e.privacy.GetErasure(e.t.Context(), &configv1.GetErasureRequest{Workspace: "acme", ErasureId: erasure})
		require.NoError(e.t, err)
		done = got.GetErasure()
		return done.GetStatus() == configv1.ErasureStatus_ERASURE_STATUS_COMPLETED
	}, "the erasure is completed")
	var listed []string
	for _, r := range done.GetCertificate().GetRecords() {
		listed = append(listed, r.GetRecordId())
	}
	slices.Sort(listed)
	require.Equal(e.t, records, listed, "the certificate lists what remains in Salesforce")
	for _, name := range []string{topic.VisitState, topic.TotalsState} {
		newest := map[string][]byte{}
		for _, r := range e.Topic(name) {
			newest[string(r.Key)] = r.Value
		}
		require.NotEmpty(e.t, newest)
		for _, value := range newest {
			require.NotContains(e.t, string(value), e.her, name)
		}
	}
	for _, o := range e.Outcomes(&configv1.ListOutcomesRequest{Workspace: "acme", From: timestamppb.New(time.Now().Add(-time.Hour)), PageSize: 1000}) {
		require.NotEqual(e.t, e.her, o.GetPersonKey())
	}
	e.out.add("certificate", []byte(done.String()))
	collect(e.t, e.Rig, e.process, &e.out)
	for _, want := range []string{"logs", "settings.db", "outcomes", topic.VisitState, "certificate"} {
		require.NotNil(e.t, e.out.texts[want], want)
	}
	e.out.check(e.t, forbidden())
}

// lift lets the person in again: what is new is recorded, what was before is not.
func (e *erasing) lift(before *rig.Event) {
	e.t.Helper()
	_, err := e.privacy.LiftSuppression(e.t.Context(), &configv1.LiftSuppressionRequest{
		Workspace: "acme", Addresses: []string{plantedViewer}, Confirm: true,
	})
	require.NoError(e.t, err)
	e.process.AwaitSettings()
	again := named(rig.Closed("acme", plantedViewer))
	e.Send(before, again)
	e.Eventually(func() bool { return e.ended(again, "writer WRITTEN") }, "recorded again")
	require.NotContains(e.t, e.Ended("acme", before.ID), "writer WRITTEN")
}

// blank erases the person again, this time with the rows of the package in Salesforce.
func (e *erasing) blank() {
	e.t.Helper()
	ctx := e.t.Context()
	theirs := e.written(bystander)
	started, err := e.privacy.StartErasure(ctx, &configv1.StartErasureRequest{
		Workspace: "acme", Addresses: []string{plantedViewer}, Confirm: true, BlankRows: true,
	})
	require.NoError(e.t, err)
	var row string
	e.Eventually(func() bool {
		got, err := e.privacy.GetErasure(ctx, &configv1.GetErasureRequest{Workspace: "acme", ErasureId: started.GetErasure().GetId()})
		require.NoError(e.t, err)
		for _, r := range got.GetErasure().GetCertificate().GetRecords() {
			if r.GetBlankWriteKey() != "" {
				require.Equal(e.t, "Engagement__c", r.GetObject(), "other records are the customer's")
				row = r.GetRecordId()
			}
		}
		return row != ""
	}, "the certificate says what is blanked")
	blanked := func() bool {
		for _, fields := range e.Records("acme", "Engagement__c") {
			if fields["Id"] == row {
				return fields["Viewer_Email__c"] == nil && fields["Lead__c"] == nil && fields["External_Id__c"] == nil && fields["View_Count__c"] != nil
			}
		}
		return false
	}
	e.Eventually(blanked, "the row says nothing of anybody any more, and keeps its numbers")
	require.Equal(e.t, theirs, e.written(bystander))
}
