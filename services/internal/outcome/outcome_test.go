package outcome_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/outcome"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

func skipped() *streamv1.Outcome {
	return &streamv1.Outcome{
		Workspace: "acme",
		Status:    streamv1.Status_STATUS_SKIPPED,
		Reason:    streamv1.Reason_REASON_IDENTITY_UNKNOWN,
		Stage:     "visits",
		EventId:   "event",
		VisitId:   "visit",
		DecidedAt: timestamppb.New(time.Unix(1_700_000_000, 0)),
	}
}

func TestMessage(t *testing.T) {
	t.Parallel()

	t.Run("CarriesTheOutcomeUnderItsDeterministicID", func(t *testing.T) {
		t.Parallel()
		first, err := outcome.Message(skipped(), "00-trace")
		require.NoError(t, err)
		again, err := outcome.Message(skipped(), "00-trace")
		require.NoError(t, err)
		require.Equal(t, first, again)

		require.Equal(t, topic.Outcomes, first.Topic)
		require.Equal(t, topic.TypeOutcome, first.Type)
		require.Equal(t, "acme/visit", string(first.Key))
		require.Equal(t, "00-trace", first.TraceParent)
		require.Equal(t, time.Unix(1_700_000_000, 0).UTC(), first.Time)
		var decoded streamv1.Outcome
		require.NoError(t, proto.Unmarshal(first.Value, &decoded))
		require.Equal(t, first.ID, decoded.GetOutcomeId())
	})

	t.Run("ANewStatusOfTheSameWriteOverwritesTheOldOne", func(t *testing.T) {
		t.Parallel()
		parked, written := skipped(), skipped()
		parked.WriteKey, parked.Revision, parked.Status = "write", 5, streamv1.Status_STATUS_PARKED
		written.WriteKey, written.Revision, written.Status = "write", 5, streamv1.Status_STATUS_WRITTEN
		a, err := outcome.Message(parked, "")
		require.NoError(t, err)
		b, err := outcome.Message(written, "")
		require.NoError(t, err)
		require.Equal(t, a.ID, b.ID)
		require.Equal(t, a.Key, b.Key)
		require.Equal(t, "acme/write", string(a.Key))
	})

	t.Run("KeepsAnIDThatTheCallerChose", func(t *testing.T) {
		t.Parallel()
		o := skipped()
		o.VisitId, o.EventId, o.OutcomeId = "", "", "own"
		m, err := outcome.Message(o, "")
		require.NoError(t, err)
		require.Equal(t, "own", m.ID)
		require.Equal(t, "acme/own", string(m.Key))
	})

	t.Run("RefusesWhatSaysTooLittle", func(t *testing.T) {
		t.Parallel()
		for name, change := range map[string]func(*streamv1.Outcome){
			"status": func(o *streamv1.Outcome) { o.Status = 0 },
			"stage":  func(o *streamv1.Outcome) { o.Stage = "" },
			"time":   func(o *streamv1.Outcome) { o.DecidedAt = nil },
			"visit":  func(o *streamv1.Outcome) { o.VisitId, o.EventId = "", "" },
		} {
			o := skipped()
			change(o)
			_, err := outcome.Message(o, "")
			require.ErrorContains(t, err, name)
		}
	})
}
