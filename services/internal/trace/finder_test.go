package trace_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/stage"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/ids"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/internal/trace"
)

// memoryLog is a log of one partition per topic.
type memoryLog struct {
	records map[string][]stage.Record
	scans   []trace.Scan
}

func (l *memoryLog) Scan(_ context.Context, s trace.Scan) error {
	l.scans = append(l.scans, s)
	for _, r := range l.records[s.Topic] {
		if !s.From.IsZero() && r.Time.Before(s.From) {
			continue
		}
		if !s.Visit(r) {
			return nil
		}
	}
	return nil
}

func (l *memoryLog) add(t *testing.T, to, id string, at time.Time, m proto.Message) int64 {
	t.Helper()
	value, err := proto.Marshal(m)
	require.NoError(t, err)
	offset := int64(len(l.records[to]))
	l.records[to] = append(l.records[to], stage.Record{
		Topic: to, Offset: offset, Time: at, Value: value, Headers: []stage.Header{{Key: stage.HeaderID, Value: []byte(id)}},
	})
	return offset
}

// failingRunLog is that of a config service that is down, or has no such workspace.
type failingRunLog codes.Code

func (c failingRunLog) ListOutcomes(context.Context, *configv1.ListOutcomesRequest, ...grpc.CallOption) (*configv1.ListOutcomesResponse, error) {
	return nil, status.Error(codes.Code(c), "no answer")
}

// runLog answers with the outcomes whose event or visit is asked for.
type runLog []*streamv1.Outcome

func (l runLog) ListOutcomes(_ context.Context, in *configv1.ListOutcomesRequest, _ ...grpc.CallOption) (*configv1.ListOutcomesResponse, error) {
	out := &configv1.ListOutcomesResponse{}
	for _, o := range l {
		if (in.GetEventId() != "" && o.GetEventId() == in.GetEventId()) || (in.GetVisitId() != "" && o.GetVisitId() == in.GetVisitId()) {
			out.Outcomes = append(out.Outcomes, o)
		}
	}
	return out, nil
}

type traceBundle struct {
	log    *memoryLog
	finder *trace.Finder
	event  string
	at     time.Time
	visit  string
}

// setup puts one event's whole way into a log, among records of other events, people and workspaces.
func setup(t *testing.T) *traceBundle {
	t.Helper()
	id, err := uuid.NewV7()
	require.NoError(t, err)
	b := &traceBundle{log: &memoryLog{records: map[string][]stage.Record{}}, event: id.String(), at: time.Unix(id.Time().UnixTime()).UTC()}
	b.visit = ids.VisitID("acme", "s-1", "v-1")
	content := &streamv1.Content{ContentId: "v-1", Kind: streamv1.ContentKind_CONTENT_KIND_VIDEO, Title: "Tour"}
	subject := &streamv1.Subject{PersonKey: "person-1"}
	activity := func(workspace, event string) *streamv1.Activity {
		return &streamv1.Activity{
			Workspace: workspace, EventId: event, Session: "s-1", Content: content, Subject: subject,
			Detail: &streamv1.Activity_VideoStarted{VideoStarted: &streamv1.VideoStarted{}}, OccurredAt: timestamppb.New(b.at),
		}
	}
	b.log.add(t, topic.Activities, "another", b.at, activity("acme", "another"))
	b.log.add(t, topic.Activities, b.event, b.at, activity("other", b.event)) // the same id elsewhere
	offset := b.log.add(t, topic.Activities, b.event, b.at, activity("acme", b.event))

	for n, after := range []int64{-1, 0, 1, 2} { // one revision before the event, three with it
		v := &streamv1.Visit{VisitId: b.visit, Workspace: "acme", Subject: subject, Content: content, Revision: 2 * (offset + 1 + after)}
		off := b.log.add(t, topic.Visits, "", b.at.Add(time.Duration(n)*time.Second), v)
		e := &streamv1.Engagement{EngagementId: "e-1", Workspace: "acme", Subject: subject, Revision: off + 1, Visit: v}
		b.log.add(t, topic.Engagements, "", b.at.Add(time.Duration(n)*time.Second), e)
		b.log.add(t, topic.Resolved, "", b.at.Add(time.Duration(n)*time.Second), &streamv1.Resolved{
			Engagement: e, Connection: "production",
			Resolution: &streamv1.Resolution{
				Person:     &streamv1.Person{Object: "Lead", RecordId: "00Q000000000001AAA"},
				Candidates: []*streamv1.Candidate{{Object: "Lead", RecordId: "00Q000000000001AAA", Chosen: true, Rule: "IMM-33"}},
			},
		})
		b.log.add(t, topic.Writes, fmt.Sprint("w-1.", n), b.at.Add(time.Duration(n)*time.Second), &streamv1.Write{
			WriteKey: "w-1", Workspace: "acme", VisitId: b.visit, Revision: e.GetRevision(), Object: "Task", Integration: "follow-up",
		})
	}
	b.finder = &trace.Finder{Log: b.log, Outcomes: runLog{
		{OutcomeId: "o-1", Stage: "writer", VisitId: b.visit, Status: streamv1.Status_STATUS_WRITTEN, Object: "Task", RecordId: "00T000000000001AAA", DecidedAt: timestamppb.New(b.at.Add(time.Minute))},
	}}
	return b
}

func TestFinder(t *testing.T) {
	t.Parallel()

	t.Run("FollowsTheEventToTheRecord", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		j, err := b.finder.Find(t.Context(), trace.Query{Workspace: "acme", EventID: b.event})
		require.NoError(t, err)
		require.True(t, j.Found())
		require.Equal(t, "acme", j.Activity.GetWorkspace(), "another workspace's event with the same id is passed over")
		require.Len(t, j.Visits, 2, "the first revision with the event, and the newest")
		require.Equal(t, 2*(j.ActivityPlace.Offset+1), j.Visits[0].Visit.GetRevision())
		require.Len(t, j.Engagements, 2)
		require.Len(t, j.Resolved, 2)
		require.Len(t, j.Writes, 2)
		require.Len(t, j.Outcomes, 1)

		var text bytes.Buffer
		j.Render(&text)
		for _, want := range []string{"video_started", "Lead 00Q000000000001AAA", "IMM-33", "WRITTEN Task 00T000000000001AAA", "follow-up"} {
			require.Contains(t, text.String(), want)
		}
		data, err := json.Marshal(j)
		require.NoError(t, err)
		require.Contains(t, string(data), `"found":true`)
	})

	t.Run("FindsNothingInAWorkspaceThatIsNotThere", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.finder.Outcomes = failingRunLog(codes.NotFound)
		j, err := b.finder.Find(t.Context(), trace.Query{Workspace: "acm", EventID: b.event})
		require.NoError(t, err)
		require.False(t, j.Found())
	})

	t.Run("ShowsWhatIsInKafkaWhileTheRunLogIsAway", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.finder.Outcomes = failingRunLog(codes.Unavailable)
		j, err := b.finder.Find(t.Context(), trace.Query{Workspace: "acme", EventID: b.event})
		require.NoError(t, err)
		require.True(t, j.Found())
		require.Len(t, j.Writes, 2)
		var text bytes.Buffer
		j.Render(&text)
		require.Contains(t, text.String(), "config service does not answer")
		data, err := json.Marshal(j)
		require.NoError(t, err)
		require.Contains(t, string(data), `"run_log_away":true`)
	})

	t.Run("ShowsWhatWasGivenUpAlsoWhenItWasWrittenSince", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		dead := func(workspace, write string, at time.Time) {
			b.log.add(t, topic.DeadLetters, "", at, &streamv1.DeadLetter{
				DeadLetterId: "d-" + write, Workspace: workspace, Stage: "writer", Topic: topic.Writes, Offset: 2, Attempts: 3,
				Reason: streamv1.Reason_REASON_SF_VALIDATION, Detail: "a code is needed; replay the dead letter", At: timestamppb.New(at),
				Key: topic.ConnectionKey(workspace, "production"), Headers: []*streamv1.Header{{Key: stage.HeaderID, Value: []byte(write)}},
				SealedValue: []byte("sealed"),
			})
		}
		dead("acme", "w-1.2", b.at.Add(2*time.Second)) // neither the first nor the last revision
		dead("acme", "w-2.2", b.at)                    // another write
		dead("other", "w-1.2", b.at)                   // another workspace: promise 9
		j, err := b.finder.Find(t.Context(), trace.Query{Workspace: "acme", EventID: b.event})
		require.NoError(t, err)
		require.Len(t, j.Dead, 1)
		var text bytes.Buffer
		j.Render(&text)
		given, written := strings.Index(text.String(), "given up: SF_VALIDATION"), strings.Index(text.String(), "WRITTEN Task")
		require.Positive(t, given)
		require.Less(t, given, written)
		for _, want := range []string{"a code is needed", "tried 3 times; dead letter d-w-1.2 of " + topic.Writes + "/0@2"} {
			require.Contains(t, text.String(), want)
		}
		data, err := json.Marshal(j)
		require.NoError(t, err)
		require.Contains(t, string(data), `"dead_letters":[{"place"`)
		require.NotContains(t, string(data), "sealedValue")
	})

	t.Run("StartsAtTheTimeTheIdCarries", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		_, err := b.finder.Find(t.Context(), trace.Query{Workspace: "acme", EventID: b.event})
		require.NoError(t, err)
		require.WithinDuration(t, b.at.Add(-10*time.Minute), b.log.scans[0].From, time.Millisecond)
	})

	t.Run("StartsWhereItIsTold", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		since := b.at.Add(-time.Hour)
		_, err := b.finder.Find(t.Context(), trace.Query{Workspace: "acme", EventID: "not-a-uuid", Since: since})
		require.NoError(t, err)
		require.Equal(t, since, b.log.scans[0].From)
	})

	t.Run("ShowsARefusalThatNeverBecameAnActivity", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.finder.Outcomes = runLog{{OutcomeId: "o", EventId: "bad", Stage: "ingest", Status: streamv1.Status_STATUS_REJECTED, Reason: streamv1.Reason_REASON_BAD_TIME}}
		j, err := b.finder.Find(t.Context(), trace.Query{Workspace: "acme", EventID: "bad"})
		require.NoError(t, err)
		var text bytes.Buffer
		j.Render(&text)
		require.Contains(t, text.String(), "REJECTED(BAD_TIME)")
	})

	t.Run("SaysWhatToDoWhenNothingIsKnown", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		j, err := b.finder.Find(t.Context(), trace.Query{Workspace: "acme", EventID: "nowhere"})
		require.NoError(t, err)
		require.False(t, j.Found())
		var text bytes.Buffer
		j.Render(&text)
		require.Contains(t, text.String(), "--since")
	})
}
