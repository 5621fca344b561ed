package config_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/stage/stagetest"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// refused is the outcome of a write that the org refused.
func refused(object string, n int, at time.Time) *streamv1.Outcome {
	o := written("acme", n)
	o.Status, o.Reason, o.RecordId = streamv1.Status_STATUS_FAILED, streamv1.Reason_REASON_SF_FIELD_GONE, ""
	o.Connection, o.Object, o.DecidedAt = "main", object, timestamppb.New(at)
	return o
}

// A rule is named within moments of the first write that failed for a field's sake, not hours later (XC-38).
func TestARefusedWriteMakesUsAskTheOrg(t *testing.T) {
	t.Attr("requirement", "XC-38")
	t.Parallel()
	broker := stagetest.NewBroker()
	broker.Create(topic.Outcomes, 1)
	broker.Create(deadLetters, 1)
	b := prepareCatalogue(t)
	b.deps.Broker = broker
	b.cfg.RunLog.Stage.BatchWait, b.cfg.RunLog.Stage.DeadLetterTopic = 5*time.Millisecond, deadLetters
	b.start(t)
	b.connect(t, "acme")
	_, err := b.put(t, scoring(text("Stage__c", "Closed")))
	require.NoError(t, err)
	b.live.change(t, "", "") // the field is deleted
	b.clock.Advance(time.Minute)

	broker.Append(topic.Outcomes, 0, record(t, refused("Score__c", 1, b.clock.Now())))
	broken := b.becomes(t, true)
	require.Contains(t, broken[0].GetProblems()[0].GetDescription(), "SF_FIELD_GONE: Score__c has no field Stage__c")

	// However many writes are refused, the org is asked once in a while.
	asked := b.describes()
	for n := range 50 {
		broker.Append(topic.Outcomes, 0, record(t, refused("Score__c", 2+n, b.clock.Now().Add(time.Second))))
	}
	b.awaitCount(t, "acme", 51)
	require.Equal(t, asked, b.describes())
	b.live.change(t, stageField, "") // before time passes: some of those 50 may still be waiting to be followed up
	b.clock.Advance(b.cfg.Catalogue.RefusedEvery)
	broker.Append(topic.Outcomes, 0, record(t, refused("Score__c", 99, b.clock.Now())))
	b.becomes(t, false)
}
