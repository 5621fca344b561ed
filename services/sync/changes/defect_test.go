package changes

import (
	"context"
	"log/slog"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/salesforce/pubsub"
	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/stagetest"
	statev1 "github.com/throughline-dev/throughline/proto/throughline/state/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

const everything = streamv1.ChangeType_CHANGE_TYPE_EVERYTHING

// brittlePort panics when it is to publish what names a record.
type brittlePort struct {
	*stagetest.Port
	odd []string
	// all: it panics whatever it is to publish.
	all bool
}

func (p *brittlePort) Publish(ctx context.Context, messages ...stage.Message) error {
	for _, c := range changesIn(messages) {
		if p.all || slices.ContainsFunc(p.odd, func(id string) bool { return slices.Contains(c.GetRecordIds(), id) }) {
			panic("a defect that quotes " + c.String())
		}
	}
	return p.Port.Publish(ctx, messages...)
}

func changesIn(messages []stage.Message) []*streamv1.Change {
	all := make([]*streamv1.Change, len(messages))
	for i, m := range messages {
		all[i] = &streamv1.Change{}
		if err := proto.Unmarshal(m.Value, all[i]); err != nil {
			panic(err)
		}
	}
	return all
}

// setupBrittle returns a subscription that tells what it reads by a port that panics.
func setupBrittle(t *testing.T, odd ...string) (*subscription, *brittlePort) {
	t.Helper()
	port := &brittlePort{Port: stagetest.NewPort(nil), odd: odd}
	service := &Service{cfg: DefaultConfig(), stats: &stats{}, deps: Deps{Logger: slog.New(slog.DiscardHandler), Clock: stage.SystemClock{}}}
	o := &owner{s: service, port: port}
	return newSubscription(&org{o: o, key: key{"acme", "main"}}, "Lead"), port
}

func event(id string) *pubsub.ChangeEvent {
	return &pubsub.ChangeEvent{
		Header: pubsub.Header{EntityName: "Lead", ChangeType: "CREATE", RecordIDs: []string{id}}, ReplayID: []byte("after " + id),
	}
}

func savedReplay(t *testing.T, port *brittlePort) string {
	t.Helper()
	mark := &statev1.ReplayMark{}
	all := port.Saved()
	require.NotEmpty(t, all)
	require.NoError(t, proto.Unmarshal(all[len(all)-1].Value, mark))
	return string(mark.GetReplayId())
}

// What cannot be told of is told to be anything, once, and what comes behind it is told.
func TestAPanicWhileChangesAreToldLosesNothing(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-42")
	s, port := setupBrittle(t, "00Q1")
	require.NoError(t, s.Change(t.Context(), event("00Q1")))
	require.NoError(t, s.flush(t.Context()))
	told := changesIn(port.Published())
	require.Len(t, told, 1)
	require.Equal(t, everything, told[0].GetChangeType())
	require.Equal(t, "after 00Q1", savedReplay(t, port), "it is not met again")
	require.NoError(t, s.Change(t.Context(), event("00Q2")))
	require.NoError(t, s.flush(t.Context()))
	told = changesIn(port.Published())
	require.Len(t, told, 2)
	require.Equal(t, []string{"00Q2"}, told[1].GetRecordIds())
	require.EqualValues(t, 1, s.org.o.s.stats.panicked.Load())
}

func TestWhatCanBeToldInNoWayIsToldLater(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-42")
	s, port := setupBrittle(t)
	port.all = true
	require.NoError(t, s.Change(t.Context(), event("00Q1")))
	err := s.flush(t.Context())
	require.Contains(t, stage.DefectPlace(err), "defect_test.go")
	require.NotContains(t, err.Error(), "00Q1", "promise 8")
	require.Empty(t, port.Saved(), "nothing is passed over")
	port.all = false
	require.NoError(t, s.flush(t.Context()))
	require.Equal(t, everything, changesIn(port.Published())[0].GetChangeType())
}

// A place where the reading fails by a defect twice is left, as one that Salesforce does not know any more.
func TestAReadingThatStandsStillGoesOn(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-42")
	s, port := setupBrittle(t)
	defect := stage.Guarded(func() error { panic("a defect") })
	require.False(t, s.standsStill(defect), "nothing was read yet")
	require.NoError(t, s.Change(t.Context(), event("00Q1")))
	require.False(t, s.standsStill(defect))
	require.False(t, s.standsStill(context.Canceled))
	require.NoError(t, s.Change(t.Context(), event("00Q2")))
	require.False(t, s.standsStill(defect), "it came further")
	require.True(t, s.standsStill(defect))
	s.forget()
	require.False(t, s.standsStill(defect), "there is nothing to leave")
	require.NoError(t, s.flush(t.Context()))
	require.Equal(t, everything, changesIn(port.Published())[0].GetChangeType())
}
