package deadletter_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/seal"
	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/deadletter"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

const address = "taro@example.com"

type testBundle struct {
	inst   *seal.Installation
	own    stage.DeadLetter
	theirs stage.DeadLetter
}

func setup(t *testing.T) *testBundle {
	t.Helper()
	inst, err := seal.NewInstallation()
	require.NoError(t, err)
	letter := stage.DeadLetter{
		Stage: "mapping", Reason: "MAPPING_INVALID", Detail: "the integration does not compile: save it again",
		Attempts: 3, Time: time.Unix(1_700_000_000, 5).UTC(),
		Record: stage.Record{
			Topic: topic.Resolved, Partition: 3, Offset: 42, Key: []byte("acme/person"), Value: []byte("value\xff" + address),
			Headers: []stage.Header{{Key: "ce_id", Value: []byte("e1")}, {Key: stage.HeaderTraceParent, Value: []byte("00-aa-bb-01")}},
		},
	}
	theirs := letter
	theirs.Stage, theirs.Reason, theirs.Record.Topic = "ingest", "BAD_SCHEMA", "viewing-events"
	theirs.Record.Key = []byte(address)
	theirs.Record.Headers = append([]stage.Header{{Key: "x-user", Value: []byte(address)}}, letter.Record.Headers...)
	return &testBundle{inst: inst, own: letter, theirs: theirs}
}

func decode(t *testing.T, m stage.Message) *streamv1.DeadLetter {
	t.Helper()
	require.Equal(t, topic.DeadLetters, m.Topic)
	require.Equal(t, topic.TypeDeadLetter, m.Type)
	letter := &streamv1.DeadLetter{}
	require.NoError(t, proto.Unmarshal(m.Value, letter))
	require.Equal(t, m.ID, letter.GetDeadLetterId())
	return letter
}

func TestDeadLetterOpensToTheRecordItWasMadeFrom(t *testing.T) {
	t.Parallel()
	b := setup(t)

	for name, given := range map[string]stage.DeadLetter{"own topic": b.own, "customer's topic": b.theirs} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := deadletter.Encode(b.inst)(given)
			require.NoError(t, err)
			require.Equal(t, "00-aa-bb-01", m.TraceParent)
			letter := decode(t, m)
			require.Equal(t, given.Stage, letter.GetStage())
			require.Equal(t, "REASON_"+given.Reason, letter.GetReason().String())
			require.EqualValues(t, 3, letter.GetAttempts())
			require.Equal(t, given.Time, letter.GetAt().AsTime())

			rec, err := deadletter.Open(b.inst, letter)
			require.NoError(t, err)
			require.Equal(t, given.Record, rec)
		})
	}
}

func TestDeadLetterNamesNobodyInClear(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-28")
	b := setup(t)

	m, err := deadletter.EncodeFor(b.inst, func(*stage.Record) string { return "acme" })(b.theirs)
	require.NoError(t, err)
	require.NotContains(t, string(m.Value), address)
	require.NotContains(t, string(m.Key), address)
	require.Equal(t, "acme", decode(t, m).GetWorkspace())
	require.Equal(t, "acme/"+m.ID, string(m.Key))

	m, err = deadletter.Encode(b.inst)(b.own)
	require.NoError(t, err)
	require.NotContains(t, string(m.Value), address)
	require.Equal(t, "acme", decode(t, m).GetWorkspace(), "read from the key")
	require.Equal(t, "acme/person", string(m.Key))
}

func TestDeadLetterOpensOnlyWithItsKeyAndAsItself(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m, err := deadletter.Encode(b.inst)(b.own)
	require.NoError(t, err)
	letter := decode(t, m)

	other, err := seal.NewInstallation()
	require.NoError(t, err)
	_, err = deadletter.Open(other, letter)
	require.ErrorIs(t, err, seal.ErrOpen)
	letter.DeadLetterId = "another"
	_, err = deadletter.Open(b.inst, letter)
	require.ErrorIs(t, err, seal.ErrOpen)
}

func TestDeadLetterOfAHugeValueSaysWhereItLies(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.theirs.Record.Value = bytes.Repeat([]byte("x"), deadletter.MaxValueBytes+1)

	m, err := deadletter.Encode(b.inst)(b.theirs)
	require.NoError(t, err)
	require.Less(t, len(m.Value), 4096)
	letter := decode(t, m)
	require.EqualValues(t, deadletter.MaxValueBytes+1, letter.GetValueBytes())
	rec, err := deadletter.Open(b.inst, letter)
	require.ErrorIs(t, err, deadletter.ErrValueNotCopied)
	require.Equal(t, "viewing-events", rec.Topic)
	require.EqualValues(t, 42, rec.Offset)
}

func TestABareDeadLetterSaysWhereTheRecordLies(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, d := range []stage.DeadLetter{b.own, b.theirs} {
		d.Bare = true
		large := []byte(address + string(bytes.Repeat([]byte("x"), 4096)))
		d.Record.Value, d.Record.Headers = large, append(d.Record.Headers, stage.Header{Key: "large", Value: large})

		m, err := deadletter.Encode(b.inst)(d)
		require.NoError(t, err)
		require.Less(t, len(m.Value), 1024)
		letter := decode(t, m)
		require.EqualValues(t, len(large), letter.GetValueBytes())
		rec, err := deadletter.Open(b.inst, letter)
		require.ErrorIs(t, err, deadletter.ErrValueNotCopied)
		require.Equal(t, d.Record.Topic, rec.Topic)
		require.Equal(t, d.Record.Key, rec.Key)
		require.EqualValues(t, 42, rec.Offset)
	}
}

func TestDeadLetterIsTheSameWhenTheRecordIsGivenUpAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, err := deadletter.Encode(b.inst)(b.own)
	require.NoError(t, err)
	b.own.Time = b.own.Time.Add(time.Hour)
	again, err := deadletter.Encode(b.inst)(b.own)
	require.NoError(t, err)
	require.Equal(t, first.ID, again.ID)
	b.own.Record.Offset++
	next, err := deadletter.Encode(b.inst)(b.own)
	require.NoError(t, err)
	require.NotEqual(t, first.ID, next.ID)
}

func TestDeadLetterKeepsAnUnknownReasonInItsDetail(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.own.Reason, b.own.Detail, b.own.Record.Value = "PANIC", "index \xff out of range", nil
	m, err := deadletter.Encode(b.inst)(b.own)
	require.NoError(t, err)
	letter := decode(t, m)
	require.Equal(t, streamv1.Reason_REASON_UNSPECIFIED, letter.GetReason())
	require.Equal(t, "PANIC: index ? out of range", letter.GetDetail())
	rec, err := deadletter.Open(b.inst, letter)
	require.NoError(t, err)
	require.Empty(t, rec.Value)
}

func FuzzOpen(f *testing.F) {
	inst, err := seal.NewInstallation()
	require.NoError(f, err)
	m, err := deadletter.Encode(inst)(stage.DeadLetter{Stage: "ingest", Record: stage.Record{Topic: "t", Value: []byte("v")}})
	require.NoError(f, err)
	f.Add(m.Value)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		letter := &streamv1.DeadLetter{}
		if proto.Unmarshal(data, letter) != nil {
			return
		}
		rec, err := deadletter.Open(inst, letter)
		if err == nil {
			require.Equal(t, letter.GetTopic(), rec.Topic)
		}
	})
}
