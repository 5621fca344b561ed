package config_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/seal"
	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/stagetest"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/internal/trace"
)

const (
	mia = "Mia.Zebrafink@Viewer.example"
	ren = "ren@viewer.example"
)

// privacyBundle is a service that reads outcomes and erases.
type privacyBundle struct {
	*testBundle
	broker *stagetest.Broker
	topics memoryLog
	logs   *syncBuffer
	officer,
	viewer, foreigner configv1.PrivacyServiceClient
}

// memoryLog is a log of topics in memory.
type memoryLog map[string][]stage.Record

// Scan implements trace.Log.
func (m memoryLog) Scan(_ context.Context, s trace.Scan) error {
	for _, r := range m[s.Topic] {
		if !s.Visit(r) {
			break
		}
	}
	return nil
}

type syncBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func setupPrivacy(t *testing.T, change ...func(*privacyBundle)) *privacyBundle {
	t.Helper()
	p := &privacyBundle{testBundle: prepare(t), broker: stagetest.NewBroker(), topics: memoryLog{}, logs: &syncBuffer{}}
	p.broker.Create(topic.Outcomes, 2)
	p.broker.Create(deadLetters, 1)
	p.deps.Broker, p.deps.Topics = p.broker, p.topics
	p.deps.Logger = slog.New(slog.NewTextHandler(p.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	p.cfg.RunLog.Stage.BatchWait = 5 * time.Millisecond
	p.cfg.RunLog.Stage.DeadLetterTopic = deadLetters
	p.cfg.Privacy.Every, p.cfg.Privacy.Batch = 10*time.Millisecond, 3
	for _, c := range change {
		c(p)
	}
	p.start(t)
	p.officer = configv1.NewPrivacyServiceClient(p.dial(t, adminToken))
	p.viewer = configv1.NewPrivacyServiceClient(p.dial(t, viewerToken))
	p.foreigner = configv1.NewPrivacyServiceClient(p.dial(t, acmeToken))
	p.workspace(t, "acme")
	p.workspace(t, "globex")
	return p
}

// snapshot is what the data plane gets, by workspace.
func (p *privacyBundle) snapshot(t *testing.T) map[string]*configv1.WorkspaceSnapshot {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	watch, err := p.service.Watch(ctx, &configv1.WatchRequest{})
	require.NoError(t, err)
	got, err := watch.Recv()
	require.NoError(t, err)
	out := map[string]*configv1.WorkspaceSnapshot{}
	for _, ws := range got.GetSnapshot().GetWorkspaces() {
		out[ws.GetWorkspace().GetId()] = ws
	}
	return out
}

func (p *privacyBundle) keys(t *testing.T, workspace string) *seal.Keys {
	t.Helper()
	keys, err := p.deps.Installation.OpenKeys(workspace, p.snapshot(t)[workspace].GetSealedKeys())
	require.NoError(t, err)
	return keys
}

func (p *privacyBundle) personKey(t *testing.T, workspace, email string) string {
	t.Helper()
	return p.keys(t, workspace).PersonKey(strings.ToLower(email))
}

// tell adds outcomes about a person to the run log.
func (p *privacyBundle) tell(t *testing.T, workspace, personKey string, numbers ...int) {
	t.Helper()
	for _, n := range numbers {
		o := written(workspace, n)
		o.PersonKey, o.Connection, o.Object, o.OccurredAt = personKey, "main", "Task", o.GetDecidedAt()
		p.broker.Append(topic.Outcomes, n%2, record(t, o))
	}
}

func (p *privacyBundle) erase(t *testing.T, workspace string, addresses ...string) *configv1.Erasure {
	t.Helper()
	got, err := p.officer.StartErasure(t.Context(), &configv1.StartErasureRequest{Workspace: workspace, Addresses: addresses, Confirm: true})
	require.NoError(t, err)
	return got.GetErasure()
}

func (p *privacyBundle) erasure(t *testing.T, workspace, id string) *configv1.Erasure {
	t.Helper()
	got, err := p.officer.GetErasure(t.Context(), &configv1.GetErasureRequest{Workspace: workspace, ErasureId: id})
	require.NoError(t, err)
	return got.GetErasure()
}

func (p *privacyBundle) rows(t *testing.T, workspace string) []*streamv1.Outcome {
	t.Helper()
	got, err := p.service.ListOutcomes(t.Context(), &configv1.ListOutcomesRequest{Workspace: workspace, From: timestamppb.New(epoch)})
	require.NoError(t, err)
	return got.GetOutcomes()
}

func eventually(t *testing.T, cond func() bool, what string) {
	t.Helper()
	require.Eventually(t, cond, time.Minute, 5*time.Millisecond, what)
}

func TestErasure(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-31")
	p := setupPrivacy(t)
	her, his := p.personKey(t, "acme", mia), p.personKey(t, "acme", ren)
	p.tell(t, "acme", her, 0, 1, 2, 3, 4, 5, 6)
	p.tell(t, "acme", his, 10, 11)
	p.tell(t, "globex", p.personKey(t, "globex", mia), 20)
	p.awaitCount(t, "acme", 9)
	p.awaitCount(t, "globex", 1)

	started := p.erase(t, "acme", " "+strings.ToUpper(mia), mia, "mia@second.example")
	require.Equal(t, configv1.ErasureStatus_ERASURE_STATUS_RUNNING, started.GetStatus())
	require.EqualValues(t, 2, started.GetAddresses(), "one address in two spellings is one")
	require.Equal(t, "root", started.GetRequestedBy())
	now := p.snapshot(t)
	require.Len(t, now["acme"].GetSuppressions(), 2, "at once")
	require.Empty(t, now["globex"].GetSuppressions())
	require.Equal(t, started.GetId(), p.erase(t, "acme", mia, "mia@second.example").GetId(), "asked for twice, done once")

	eventually(t, func() bool { return len(p.rows(t, "acme")) == 2 }, "her rows go")
	require.Len(t, p.rows(t, "globex"), 1)
	running := p.erasure(t, "acme", started.GetId())
	require.Equal(t, configv1.ErasureStatus_ERASURE_STATUS_RUNNING, running.GetStatus(), "what was in flight may still report")
	require.Len(t, running.GetCertificate().GetRecords(), 7)

	// A write that was in flight ends after that.
	p.tell(t, "acme", her, 7)
	p.awaitCount(t, "acme", 10)
	p.clock.Advance(p.cfg.Privacy.Settle)
	eventually(t, func() bool {
		return p.erasure(t, "acme", started.GetId()).GetStatus() == configv1.ErasureStatus_ERASURE_STATUS_COMPLETED
	}, "completed")
	done := p.erasure(t, "acme", started.GetId())
	require.Len(t, p.rows(t, "acme"), 2)
	require.Len(t, done.GetCertificate().GetRecords(), 8)
	require.Equal(t, "00T000000000000000", done.GetCertificate().GetRecords()[0].GetRecordId())
	require.EqualValues(t, 8, done.GetCertificate().GetRemoved()[0].GetCount())
	places := map[string]*configv1.ErasureRemaining{}
	for _, r := range done.GetCertificate().GetRemaining() {
		places[r.GetPlace()] = r
	}
	require.Equal(t, epoch.Add(30*24*time.Hour), places["topics"].GetUntil().AsTime())
	require.Equal(t, epoch.Add(90*24*time.Hour), places["engagements of an org that could not be asked"].GetUntil().AsTime())
	require.Contains(t, places, "Salesforce")
	require.Nil(t, done.GetLiftedAt())

	list, err := p.officer.ListErasures(t.Context(), &configv1.ListErasuresRequest{Workspace: "acme"})
	require.NoError(t, err)
	require.Len(t, list.GetErasures(), 1)
	require.Empty(t, list.GetErasures()[0].GetCertificate().GetRecords())

	// Promise 8: nothing of the address is anywhere.
	p.stop()
	where := map[string]string{"logs": p.logs.String(), "certificate": done.String()}
	files, err := filepath.Glob(p.cfg.Database.SQLitePath + "*")
	require.NoError(t, err)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		where[filepath.Base(file)] = string(data)
	}
	require.Contains(t, where["logs"], "a person is being erased")
	for name, text := range where {
		require.NotContains(t, strings.ToLower(text), "zebrafink", name)
		require.NotContains(t, strings.ToLower(text), "second.example", name)
	}
}

func TestAPersonIsErasedByNumbersAsWellAsAddresses(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-31")
	p := setupPrivacy(t)
	byNumber := p.keys(t, "acme").PersonKey("+819012345678")
	p.tell(t, "acme", byNumber, 0, 1)
	p.tell(t, "acme", p.personKey(t, "acme", mia), 2)
	p.tell(t, "acme", p.personKey(t, "acme", ren), 3)
	p.awaitCount(t, "acme", 4)
	start := func(phones ...string) (*configv1.StartErasureResponse, error) {
		return p.officer.StartErasure(t.Context(), &configv1.StartErasureRequest{
			Workspace: "acme", Addresses: []string{mia}, Phones: phones, PhoneRegion: "JP", Confirm: true,
		})
	}
	_, err := start("+81 90-1234-5678", "12")
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	require.ErrorContains(t, err, "phones[1]")
	require.NotContains(t, err.Error(), "1234", "promise 8")
	got, err := start("+81 90-1234-5678", "090 1234 5678")
	require.NoError(t, err)
	require.EqualValues(t, 1, got.GetErasure().GetPhones(), "one number in two spellings is one")
	require.EqualValues(t, 1, got.GetErasure().GetAddresses())
	eventually(t, func() bool { return len(p.rows(t, "acme")) == 1 }, "what is known by the address and by the number goes; others' stays")
	require.Len(t, p.snapshot(t)["acme"].GetSuppressions(), 2)
	require.NotContains(t, p.logs.String(), "9012345678", "promise 8")

	_, err = p.officer.ExportPerson(t.Context(), &configv1.ExportPersonRequest{Workspace: "acme", Phones: []string{"+819012345678"}})
	require.NoError(t, err)
	p.clock.Advance(time.Minute)
	lifted, err := p.officer.LiftSuppression(t.Context(), &configv1.LiftSuppressionRequest{
		Workspace: "acme", Phones: []string{"+819012345678"}, Confirm: true,
	})
	require.NoError(t, err)
	require.EqualValues(t, 1, lifted.GetLifted())
	_, err = p.officer.LiftSuppression(t.Context(), &configv1.LiftSuppressionRequest{Workspace: "acme", Confirm: true})
	require.Equal(t, codes.InvalidArgument, status.Code(err), "nobody is named")
}

func TestAnErasureTellsHowItStandsWithItsDeadlines(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-31")
	p := setupPrivacy(t, func(p *privacyBundle) { p.cfg.Privacy.Settle = 720 * time.Hour })
	e := p.erase(t, "acme", mia)
	require.Equal(t, epoch.Add(day), e.GetTargetAt().AsTime())
	require.Equal(t, epoch.Add(30*day), e.GetDueAt().AsTime())
	progress := func() configv1.ErasureProgress { return p.erasure(t, "acme", e.GetId()).GetProgress() }
	require.Equal(t, configv1.ErasureProgress_ERASURE_PROGRESS_ON_TIME, progress())
	p.clock.Advance(day + time.Second)
	require.Equal(t, configv1.ErasureProgress_ERASURE_PROGRESS_LATE, progress())
	p.clock.Advance(29 * day)
	eventually(t, func() bool { return progress() == configv1.ErasureProgress_ERASURE_PROGRESS_DONE_OVERDUE }, "completed a second too late")

	// One that cannot be done is named as overdue, in the list and in the log.
	stuck := setupPrivacy(t, func(p *privacyBundle) {
		p.broker.Create(topic.Writes, 1)
		p.broker.Fail(func(op stagetest.Operation) error {
			if op.Topic == topic.Writes {
				return errors.New("the brokers are away")
			}
			return nil
		})
	})
	o := written("acme", 1)
	o.PersonKey, o.Connection, o.Object, o.OccurredAt = stuck.personKey(t, "acme", mia), "main", "Engagement__c", o.GetDecidedAt()
	stuck.broker.Append(topic.Outcomes, 0, record(t, o))
	stuck.awaitCount(t, "acme", 1)
	_, err := stuck.officer.StartErasure(t.Context(), &configv1.StartErasureRequest{
		Workspace: "acme", Addresses: []string{mia}, Confirm: true, BlankRows: true,
	})
	require.NoError(t, err)
	stuck.clock.Advance(31 * day)
	eventually(t, func() bool {
		return strings.Contains(stuck.logs.String(), "an erasure is late") && strings.Contains(stuck.logs.String(), "overdue=true")
	}, "the log names it")
	list, err := stuck.officer.ListErasures(t.Context(), &configv1.ListErasuresRequest{Workspace: "acme"})
	require.NoError(t, err)
	require.Equal(t, configv1.ErasureProgress_ERASURE_PROGRESS_OVERDUE, list.GetErasures()[0].GetProgress())
}

func TestErasureIsLifted(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-31")
	p := setupPrivacy(t)
	her := p.personKey(t, "acme", mia)
	e := p.erase(t, "acme", mia)
	lift := func(workspace, address string, confirm bool) (*configv1.LiftSuppressionResponse, error) {
		return p.officer.LiftSuppression(t.Context(), &configv1.LiftSuppressionRequest{
			Workspace: workspace, Addresses: []string{address}, Confirm: confirm,
		})
	}
	_, err := lift("acme", mia, false)
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	_, err = lift("globex", mia, true)
	require.Equal(t, codes.FailedPrecondition, status.Code(err), "not erased there")
	p.clock.Advance(time.Minute)
	got, err := lift("acme", mia, true)
	require.NoError(t, err)
	require.EqualValues(t, 1, got.GetLifted())
	held := p.snapshot(t)["acme"].GetSuppressions()
	require.Len(t, held, 1, "what was before stays out")
	require.Equal(t, epoch.Add(time.Minute), held[0].GetLiftedAt().AsTime())
	require.Equal(t, epoch.Add(time.Minute), p.erasure(t, "acme", e.GetId()).GetLiftedAt().AsTime())

	// The erasure goes on, and spares what came after.
	p.tell(t, "acme", her, 30, 90) // seconds after the epoch
	p.awaitCount(t, "acme", 2)
	p.clock.Advance(p.cfg.Privacy.Settle)
	eventually(t, func() bool {
		return p.erasure(t, "acme", e.GetId()).GetStatus() == configv1.ErasureStatus_ERASURE_STATUS_COMPLETED
	}, "completed")
	rows := p.rows(t, "acme")
	require.Len(t, rows, 1)
	require.Equal(t, "write-90", rows[0].GetWriteKey())
}

func TestRowsAreBlankedOnRequest(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-31")
	p := setupPrivacy(t, func(p *privacyBundle) { p.broker.Create(topic.Writes, 1) })
	her := p.personKey(t, "acme", mia)
	row, other := written("acme", 1), written("acme", 2)
	for _, o := range []*streamv1.Outcome{row, other} {
		o.PersonKey, o.Connection, o.OccurredAt = her, "main", o.GetDecidedAt()
	}
	row.Object, other.Object = "Engagement__c", "Task"
	p.broker.Append(topic.Outcomes, 0, record(t, row), record(t, other))
	p.awaitCount(t, "acme", 2)
	got, err := p.officer.StartErasure(t.Context(), &configv1.StartErasureRequest{
		Workspace: "acme", Addresses: []string{mia}, Confirm: true, BlankRows: true,
	})
	require.NoError(t, err)
	require.True(t, got.GetErasure().GetBlankRows())
	eventually(t, func() bool { return len(p.rows(t, "acme")) == 0 }, "swept")
	require.Empty(t, p.broker.Records(topic.Writes), "not before all is known")
	p.clock.Advance(p.cfg.Privacy.Settle)
	var done *configv1.Erasure
	eventually(t, func() bool {
		done = p.erasure(t, "acme", got.GetErasure().GetId())
		return done.GetStatus() == configv1.ErasureStatus_ERASURE_STATUS_COMPLETED
	}, "completed")
	sent := p.broker.Records(topic.Writes)
	require.Len(t, sent, 1)
	w := &streamv1.Write{}
	require.NoError(t, proto.Unmarshal(sent[0].Value, w))
	require.Equal(t, row.GetRecordId(), w.GetRecordId())
	require.Equal(t, streamv1.Operation_OPERATION_UPDATE, w.GetOperation())
	require.Empty(t, w.GetPersonKey(), "or the writer would stop it")
	require.Equal(t, w.GetWriteKey(), done.GetCertificate().GetRecords()[0].GetBlankWriteKey())
	require.Empty(t, done.GetCertificate().GetRecords()[1].GetBlankWriteKey())
	plain, err := p.keys(t, "acme").Open(w.GetSealedFields())
	require.NoError(t, err)
	fields := &streamv1.FieldValues{}
	require.NoError(t, proto.Unmarshal(plain, fields))
	var names []string
	for _, f := range fields.GetFields() {
		require.Nil(t, f.GetValue(), f.GetField())
		names = append(names, f.GetField())
	}
	require.Contains(t, names, "Viewer_Email__c")
	require.True(t, slices.IsSorted(names))
}

func TestErasureIsRefused(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-31")
	p := setupPrivacy(t, func(p *privacyBundle) { p.cfg.Privacy.MaxSuppressions = 2 })
	start := func(client configv1.PrivacyServiceClient, workspace string, confirm bool, addresses ...string) error {
		_, err := client.StartErasure(t.Context(), &configv1.StartErasureRequest{Workspace: workspace, Addresses: addresses, Confirm: confirm})
		if err != nil {
			require.NotContains(t, strings.ToLower(err.Error()), "zebrafink", "promise 8")
		}
		return err
	}
	require.Equal(t, codes.InvalidArgument, status.Code(start(p.officer, "acme", false, mia)), "not confirmed")
	require.Equal(t, codes.InvalidArgument, status.Code(start(p.officer, "acme", true)), "nobody named")
	err := start(p.officer, "acme", true, mia, "mia.zebrafink@@viewer")
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	require.ErrorContains(t, err, "addresses[1]")
	require.Equal(t, codes.NotFound, status.Code(start(p.officer, "initech", true, mia)))
	require.Equal(t, codes.PermissionDenied, status.Code(start(p.viewer, "acme", true, mia)))
	require.Equal(t, codes.PermissionDenied, status.Code(start(p.foreigner, "globex", true, mia)), "promise 9")
	require.NoError(t, start(p.foreigner, "acme", true, mia))
	require.NoError(t, start(p.officer, "acme", true, ren))
	require.Equal(t, codes.ResourceExhausted, status.Code(start(p.officer, "acme", true, "third@viewer.example")), "promise 7")
	_, err = p.foreigner.GetErasure(t.Context(), &configv1.GetErasureRequest{Workspace: "acme", ErasureId: "none"})
	require.Equal(t, codes.NotFound, status.Code(err))

	ws, err := p.admin.GetWorkspace(t.Context(), &configv1.GetWorkspaceRequest{Workspace: "globex"})
	require.NoError(t, err)
	ws.Workspace.Retention = &configv1.RetentionSettings{LegalHold: true}
	_, err = p.admin.PutWorkspace(t.Context(), &configv1.PutWorkspaceRequest{Workspace: ws.GetWorkspace()})
	require.NoError(t, err)
	err = start(p.officer, "globex", true, mia)
	require.Equal(t, codes.FailedPrecondition, status.Code(err))
	require.ErrorContains(t, err, "legal hold")
}

// plant puts one visit of a person, with what came of it, into the topics.
func (p *privacyBundle) plant(t *testing.T, workspace, email string) {
	t.Helper()
	keys := p.keys(t, workspace)
	sealed := func(m proto.Message) []byte {
		plain, err := proto.Marshal(m)
		require.NoError(t, err)
		out, err := keys.Seal(plain)
		require.NoError(t, err)
		return out
	}
	key := keys.PersonKey(strings.ToLower(email))
	subject := &streamv1.Subject{PersonKey: key, Sealed: sealed(&streamv1.PersonalData{Email: strings.ToLower(email), Name: "Name of " + email})}
	content := &streamv1.Content{ContentId: "tour", OwnerKey: "owner", OwnerSealed: sealed(&streamv1.PersonalData{Email: "owner@firm.example"})}
	visit := &streamv1.Visit{VisitId: "visit-" + key, Workspace: workspace, Subject: subject, Content: content, Revision: 2}
	newer := proto.CloneOf(visit)
	newer.Revision, newer.WatchedSeconds = 4, 17
	engagement := &streamv1.Engagement{EngagementId: "e-" + key, Workspace: workspace, Subject: subject, Content: content, Visit: newer, Revision: 1}
	for name, all := range map[string][]proto.Message{
		topic.Activities:  {&streamv1.Activity{EventId: "event-" + key, Workspace: workspace, Subject: subject, Content: content}},
		topic.Visits:      {visit, newer, visit},
		topic.Engagements: {engagement},
		topic.Resolved:    {&streamv1.Resolved{Engagement: engagement, Connection: "main", Resolution: &streamv1.Resolution{Lead: &streamv1.Person{RecordId: "00Q" + key[:15]}}}},
		topic.Writes: {&streamv1.Write{
			WriteKey: "write-" + key, Workspace: workspace, Connection: "main", Revision: 1, PersonKey: key,
			SealedFields: sealed(&streamv1.FieldValues{Fields: []*streamv1.FieldValue{
				{Field: "Viewer_Email__c", Value: &streamv1.FieldValue_Text{Text: strings.ToLower(email)}},
				{Field: "Views__c", Value: &streamv1.FieldValue_Number{Number: 3}},
			}}),
		}},
		topic.DeadLetters: {&streamv1.DeadLetter{DeadLetterId: "d-" + key, Key: topic.PersonKey(workspace, key), SealedValue: []byte("sealed"), Detail: "no"}},
	} {
		for _, m := range all {
			value, err := proto.Marshal(m)
			require.NoError(t, err)
			p.topics[name] = append(p.topics[name], stage.Record{Topic: name, Offset: int64(len(p.topics[name])), Value: value})
		}
	}
}

// read waits for an export and reads it in parts.
func (p *privacyBundle) read(t *testing.T, workspace, id string) (*configv1.Export, []byte) {
	t.Helper()
	var got *configv1.GetExportResponse
	var document []byte
	eventually(t, func() bool {
		var err error
		got, err = p.officer.GetExport(t.Context(), &configv1.GetExportRequest{Workspace: workspace, ExportId: id})
		require.NoError(t, err)
		return got.GetExport().GetStatus() == configv1.ExportStatus_EXPORT_STATUS_READY
	}, "the export is ready")
	for len(got.GetData()) > 0 {
		document = append(document, got.GetData()...)
		var err error
		got, err = p.officer.GetExport(t.Context(), &configv1.GetExportRequest{Workspace: workspace, ExportId: id, Offset: int64(len(document))})
		require.NoError(t, err)
	}
	return got.GetExport(), document
}

func TestExport(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-33")
	p := setupPrivacy(t)
	her := p.personKey(t, "acme", mia)
	p.plant(t, "acme", mia)
	p.plant(t, "acme", ren)
	p.plant(t, "globex", mia)
	p.tell(t, "acme", her, 1, 2)
	p.tell(t, "acme", p.personKey(t, "acme", ren), 3)
	p.forget(t, her, 4)
	p.awaitCount(t, "acme", 4)

	_, err := p.viewer.ExportPerson(t.Context(), &configv1.ExportPersonRequest{Workspace: "acme", Addresses: []string{mia}})
	require.Equal(t, codes.PermissionDenied, status.Code(err))
	asked, err := p.officer.ExportPerson(t.Context(), &configv1.ExportPersonRequest{Workspace: "acme", Addresses: []string{mia}})
	require.NoError(t, err)
	require.Equal(t, epoch.Add(7*24*time.Hour), asked.GetExport().GetExpiresAt().AsTime())
	export, document := p.read(t, "acme", asked.GetExport().GetId())
	require.EqualValues(t, len(document), export.GetSize())

	var doc struct {
		Identities                                                             []struct{ Email, Name string }
		SalesforceRecords                                                      []struct{ Connection, Object, RecordID string }
		Visits                                                                 []struct{ Revision string }
		Writes                                                                 []struct{ Fields map[string]any }
		Activities, Engagements, Resolved, Outcomes, DeadLetters, Suppressions []map[string]any
		ErasureProposals                                                       []map[string]any
	}
	require.NoError(t, json.Unmarshal(document, &doc))
	require.Equal(t, []struct{ Email, Name string }{{strings.ToLower(mia), "Name of " + mia}}, doc.Identities)
	require.Len(t, doc.SalesforceRecords, 2)
	require.Equal(t, "00T000000000000001", doc.SalesforceRecords[0].RecordID)
	require.Equal(t, []struct{ Revision string }{{"4"}}, doc.Visits, "the newest revision")
	require.Equal(t, map[string]any{"Viewer_Email__c": strings.ToLower(mia), "Views__c": 3.0}, doc.Writes[0].Fields)
	for name, n := range map[string]int{
		"activities": len(doc.Activities), "engagements": len(doc.Engagements), "resolved": len(doc.Resolved), "dead letters": len(doc.DeadLetters),
	} {
		require.Equal(t, 1, n, name)
	}
	require.Len(t, doc.Outcomes, 3)
	require.Equal(t, "00Q000000000001AAA", doc.ErasureProposals[0]["recordId"])
	require.NotContains(t, string(document), "ren@", "another person")
	require.NotContains(t, string(document), "owner@firm.example", "the content's owner has rights of their own")
	require.NotContains(t, string(document), p.personKey(t, "globex", mia), "promise 9")
	require.NotContains(t, p.logs.String(), "zebrafink")
	require.Contains(t, p.logs.String(), "an export of what is held of a person is read")

	reads := func() int {
		return len(p.audit(t, adminToken, &configv1.ListAuditEntriesRequest{Workspace: "acme", Action: "GetExport", Target: export.GetId()}))
	}
	before := reads()
	require.NotZero(t, before)
	_, err = p.officer.GetExport(t.Context(), &configv1.GetExportRequest{Workspace: "acme", ExportId: export.GetId(), Offset: 1})
	require.NoError(t, err)
	require.Equal(t, before+1, reads(), "wherever the reading begins")

	_, err = p.foreigner.GetExport(t.Context(), &configv1.GetExportRequest{Workspace: "globex", ExportId: export.GetId()})
	require.Equal(t, codes.PermissionDenied, status.Code(err))
	_, err = p.officer.GetExport(t.Context(), &configv1.GetExportRequest{Workspace: "globex", ExportId: export.GetId()})
	require.Equal(t, codes.NotFound, status.Code(err), "promise 9")
	files, err := filepath.Glob(p.cfg.Database.SQLitePath + "*")
	require.NoError(t, err)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NotContains(t, strings.ToLower(string(data)), "zebrafink", "sealed at rest")
	}

	p.clock.Advance(7 * 24 * time.Hour)
	_, err = p.officer.GetExport(t.Context(), &configv1.GetExportRequest{Workspace: "acme", ExportId: export.GetId()})
	require.Equal(t, codes.NotFound, status.Code(err), "expired")
}

func TestExportIsBoundedAndGoesWithAnErasure(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-33")
	p := setupPrivacy(t, func(p *privacyBundle) { p.cfg.Privacy.ExportBytes = 1 << 16 })
	her := p.personKey(t, "acme", mia)
	for n := range 400 {
		o := written("acme", n)
		o.PersonKey, o.Detail = her, strings.Repeat("d", 300)
		p.broker.Append(topic.Outcomes, n%2, record(t, o))
	}
	p.awaitCount(t, "acme", 400)
	asked, err := p.officer.ExportPerson(t.Context(), &configv1.ExportPersonRequest{Workspace: "acme", Addresses: []string{mia}})
	require.NoError(t, err)
	_, document := p.read(t, "acme", asked.GetExport().GetId())
	require.Contains(t, string(document), "entries are left out because the export would be too large")
	require.Contains(t, string(document), "00T000000000000399", "record ids are never left out")

	p.erase(t, "acme", mia)
	_, err = p.officer.GetExport(t.Context(), &configv1.GetExportRequest{Workspace: "acme", ExportId: asked.GetExport().GetId()})
	require.Equal(t, codes.NotFound, status.Code(err))
}
