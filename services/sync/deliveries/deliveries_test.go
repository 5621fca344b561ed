package deliveries_test

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/stagetest"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/settingstest"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/sync/deliveries"
)

type notes struct {
	got []*configv1.ReportDelivery
	err error
}

func (n *notes) NoteReportDelivery(_ context.Context, req *configv1.NoteReportDeliveryRequest, _ ...grpc.CallOption) (*configv1.NoteReportDeliveryResponse, error) {
	if n.err != nil {
		return nil, n.err
	}
	n.got = append(n.got, proto.CloneOf(req.GetDelivery()))
	return &configv1.NoteReportDeliveryResponse{}, nil
}

// keys seal nothing: what is sealed is ingest's to test.
type keys struct{}

func (keys) Open(sealed []byte) ([]byte, error) { return sealed, nil }

func piece(t *testing.T, offset int64, delivery, attempt string, p any) stage.Record {
	t.Helper()
	rec := &streamv1.ReportRecord{Workspace: "acme", Report: "usage", Delivery: delivery, Attempt: attempt}
	switch p := p.(type) {
	case *streamv1.RowsBegin:
		rec.Piece = &streamv1.ReportRecord_Begin{Begin: p}
	case *streamv1.RowBatch:
		rec.Piece = &streamv1.ReportRecord_Rows{Rows: p}
	case *streamv1.RowsEnd:
		rec.Piece = &streamv1.ReportRecord_End{End: p}
	}
	value, err := proto.Marshal(rec)
	require.NoError(t, err)
	return stage.Record{
		Topic: topic.Rows, Offset: offset, Key: topic.DeliveryKey("acme", "usage", delivery), Value: value,
		Time: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC),
	}
}

func begin() *streamv1.RowsBegin       { return &streamv1.RowsBegin{Columns: []string{"key"}} }
func end(rows int64) *streamv1.RowsEnd { return &streamv1.RowsEnd{Rows: rows} }
func batch(first int64, texts ...string) *streamv1.RowBatch {
	all := &streamv1.Rows{}
	for _, s := range texts {
		all.Rows = append(all.Rows, &streamv1.Row{Cells: []*streamv1.Cell{{Value: &streamv1.Cell_Text{Text: s}}}})
	}
	plain, err := proto.Marshal(all)
	if err != nil {
		panic(err) // only what a test made up
	}
	return &streamv1.RowBatch{First: first, Count: int32(len(texts)), SealedRows: plain}
}

// processors returns the making of processors that tell n.
func processors(n *notes) stage.NewProcessor {
	return func(_ stage.Partition, table *stage.Table) (stage.Processor, error) {
		return deliveries.NewProcessor(deliveries.Deps{
			Notes: n, Logger: slog.New(slog.DiscardHandler), NoteTimeout: time.Minute, Forget: 15 * 24 * time.Hour,
		}, table), nil
	}
}

// read reads a delivery out of records.
func read(t *testing.T, records []stage.Record, d *configv1.ReportDelivery) ([]string, error) {
	t.Helper()
	b := stagetest.NewBroker()
	b.Create(topic.Rows, 1)
	b.Append(topic.Rows, 0, records...)
	var got []string
	err := deliveries.Read(t.Context(), b, keys{}, d, deliveries.Visitor{Row: func(number int64, row *streamv1.Row) error {
		require.Equal(t, int64(len(got)+1), number)
		got = append(got, row.GetCells()[0].GetText())
		return nil
	}})
	return got, err
}

func TestADeliveryIsToldWhenItIsWholeAndReadAsItCame(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-9")
	n := &notes{}
	records := []stage.Record{
		piece(t, 0, "other", "z", begin()),
		piece(t, 1, "d", "a", begin()), piece(t, 2, "d", "a", batch(1, "lost")), // its sender died
		piece(t, 3, "d", "b", begin()), piece(t, 4, "other", "z", batch(1, "x")),
		piece(t, 5, "d", "b", batch(1, "one", "two")), piece(t, 6, "d", "a", batch(2, "late")),
		piece(t, 7, "d", "b", batch(1, "one", "two")), // sent again
		piece(t, 8, "d", "b", batch(3, "three")), piece(t, 9, "d", "b", end(3)), piece(t, 10, "d", "a", end(2)),
	}
	stagetest.Run(t, processors(n), records...)
	require.Len(t, n.got, 1)
	d := n.got[0]
	require.Equal(t, []int64{3, 9, 3}, []int64{d.GetFirstOffset(), d.GetLastOffset(), d.GetRows()})
	require.Equal(t, streamv1.Reason_REASON_UNSPECIFIED, d.GetReason())
	got, err := read(t, records, d)
	require.NoError(t, err)
	require.Equal(t, []string{"one", "two", "three"}, got)

	d.Rows = 4
	_, err = read(t, records, d)
	require.ErrorIs(t, err, deliveries.ErrGone, "what is not there as it was noted is not pushed")
}

func TestABeginMarkerThatComesAgainLateBeginsNothingAnew(t *testing.T) {
	t.Parallel()
	n := &notes{}
	records := []stage.Record{
		piece(t, 0, "d", "a", begin()), piece(t, 1, "d", "a", batch(1, "one")), piece(t, 2, "d", "a", begin()),
		piece(t, 3, "d", "a", batch(2, "two")), piece(t, 4, "d", "a", end(2)),
	}
	stagetest.Run(t, processors(n), records...)
	require.Len(t, n.got, 1)
	require.Empty(t, n.got[0].GetDetail())
	got, err := read(t, records, n.got[0])
	require.NoError(t, err)
	require.Equal(t, []string{"one", "two"}, got)
}

func TestWhatIsMissingIsSaid(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-9")
	for name, c := range map[string]struct {
		pieces []any
		detail string
	}{
		"a batch is missing":  {[]any{begin(), batch(1, "a"), batch(3, "c"), end(3)}, "row 2 was to come, and row 3 came"},
		"the number is wrong": {[]any{begin(), batch(1, "a"), end(2)}, "1 rows came, and the end marker says 2"},
		"nothing came":        {[]any{begin(), end(1)}, "0 rows came, and the end marker says 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := &notes{}
			var records []stage.Record
			for i, p := range c.pieces {
				records = append(records, piece(t, int64(i), "d", "a", p))
			}
			stagetest.Run(t, processors(n), records...)
			require.Equal(t, streamv1.Reason_REASON_BAD_SCHEMA, n.got[0].GetReason())
			require.Contains(t, n.got[0].GetDetail(), c.detail)
		})
	}
}

func TestAnEndMarkerWithoutABeginningTellsNothing(t *testing.T) {
	t.Parallel()
	n := &notes{}
	stagetest.Run(t, processors(n), piece(t, 0, "d", "a", batch(1, "a")), piece(t, 1, "d", "a", end(1)))
	require.Empty(t, n.got)
}

func TestWhereverTheProcessorIsRestartedADeliveryIsToldTheSame(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-9")
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 2))
		var records []stage.Record
		for i := range 3 {
			attempt := strconv.Itoa(i)
			records = append(records, piece(t, int64(len(records)), "d", attempt, begin()))
			for row := int64(1); row <= 6; row += 2 {
				records = append(records, piece(t, int64(len(records)), "d", attempt, batch(row, "x", "y")))
			}
			if i != 1 {
				records = append(records, piece(t, int64(len(records)), "d", attempt, end(6)))
			}
		}
		n := &notes{}
		driver := stagetest.NewDriver(t, processors(n))
		for at := 0; at < len(records); {
			size := 1 + rng.IntN(4)
			some := records[at:min(at+size, len(records))]
			driver.Process(some...)
			if rng.IntN(3) == 0 { // the state was saved, and the offset not
				driver.Restart()
				driver.Rewind(int64(at))
				continue
			}
			at += len(some)
		}
		told := map[int64]bool{}
		for _, d := range n.got {
			require.Equal(t, streamv1.Reason_REASON_UNSPECIFIED, d.GetReason(), "seed %d: %s", seed, d.GetDetail())
			require.Equal(t, int64(6), d.GetRows())
			told[d.GetFirstOffset()] = true
		}
		require.Equal(t, map[int64]bool{0: true, 9: true}, told, "seed %d", seed)
	}
}

func TestAConfigServiceThatIsAwayIsToldLaterAndOneThatDoesNotWantItIsNot(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-9")
	records := []stage.Record{piece(t, 0, "d", "a", begin()), piece(t, 1, "d", "a", end(0))}
	n := &notes{err: status.Error(codes.Unavailable, "away")}
	driver := stagetest.NewDriver(t, processors(n))
	_, err := driver.TryProcess(records...)
	require.Error(t, err)
	n.err = nil
	driver.Process(records...)
	require.Len(t, n.got, 1)

	n = &notes{err: status.Error(codes.NotFound, "no such report")}
	driver = stagetest.NewDriver(t, processors(n))
	driver.Process(records...)

	_, err = driver.TryProcess(stage.Record{Topic: topic.Rows, Offset: 2, Value: []byte("\xff")})
	reason, permanent := stage.PermanentReason(err)
	require.True(t, permanent)
	require.Equal(t, "BAD_SCHEMA", reason)
}

func TestRowsThatNobodyCanOpenAreGone(t *testing.T) {
	t.Parallel()
	ws, _ := settingstest.New(t).Workspace("acme").View().Workspace("acme")
	b := stagetest.NewBroker()
	b.Create(topic.Rows, 1)
	b.Append(topic.Rows, 0, piece(t, 0, "d", "a", begin()), piece(t, 1, "d", "a", batch(1, "x")), piece(t, 2, "d", "a", end(1)))
	d := &configv1.ReportDelivery{Workspace: "acme", Report: "usage", Id: "d", LastOffset: 2, Rows: 1}
	err := deliveries.Read(t.Context(), b, ws.Keys(), d, deliveries.Visitor{Row: func(int64, *streamv1.Row) error { return errors.New("no") }})
	require.ErrorIs(t, err, deliveries.ErrGone)
}

// denying is a topic that begins at start, and where a broker denies what it has.
type denying struct{ start, end int64 }

func (d denying) Fetch(context.Context, stage.FetchRequest) (stage.Fetched, error) {
	return stage.Fetched{Start: d.start, End: d.end}, stage.ErrOffsetOutOfRange
}

func TestRowsAreGoneWhenTheTopicHasDeletedThem(t *testing.T) {
	t.Parallel()
	d := &configv1.ReportDelivery{Workspace: "acme", Report: "r", Id: "d", FirstOffset: 3, LastOffset: 9, Rows: 3}
	require.ErrorIs(t, deliveries.Read(t.Context(), denying{start: 4, end: 20}, keys{}, d, deliveries.Visitor{}), deliveries.ErrGone)
	err := deliveries.Read(t.Context(), denying{start: 0, end: 20}, keys{}, d, deliveries.Visitor{})
	require.ErrorIs(t, err, stage.ErrOffsetOutOfRange)
	require.NotErrorIs(t, err, deliveries.ErrGone, "a leader that changes gives no reason to end a run for good")
}
