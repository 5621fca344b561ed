package reports_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/stage"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/simulator"
	"github.com/throughline-dev/throughline/services/sync/reports"
)

// many puts n contacts into the org and delivers a row for each.
func (b *testBundle) many(n int) {
	b.t.Helper()
	var records []salesforce.Fields
	var table [][]any
	for i := range n {
		key := fmt.Sprintf("key-%03d", i)
		records = append(records, contact(key))
		table = append(table, []any{key, i + 1, true})
	}
	b.contacts(records...)
	b.deliver([]string{"key", "score", "active"}, table...)
}

// scores holds every contact against its row.
func (b *testBundle) scores(n int) {
	b.t.Helper()
	held := b.held("Score__c")
	for i := range n {
		require.Equal(b.t, float64(i+1), held[fmt.Sprintf("key-%03d", i)])
	}
}

// mortal is a process that dies at the n-th of its steps: nothing it does later gets out.
type mortal struct {
	die    context.CancelFunc
	left   atomic.Int64
	before bool
}

var errDead = errors.New("dead")

// begin reports whether the process dies before the step that it begins.
func (m *mortal) begin() error {
	if left := m.left.Add(-1); left < 0 || (left == 0 && m.before) {
		m.die()
		return errDead
	}
	return nil
}

// end reports whether it dies after the step.
func (m *mortal) end() error {
	if m.left.Load() <= 0 {
		m.die()
		return errDead
	}
	return nil
}

type mortalPublisher struct {
	publisher
	m *mortal
}

func (p mortalPublisher) Publish(ctx context.Context, messages ...stage.Message) error {
	if err := p.m.begin(); err != nil {
		return err
	}
	if err := p.publisher.Publish(ctx, messages...); err != nil {
		return err
	}
	return p.m.end()
}

func TestARunThatIsLeftAnywhereGoesOnWithTheFirstChunkThatIsNotRecorded(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-30")
	t.Attr("requirement", "XC-4")
	const n, size = 20, 4
	for steps := range 11 { // each chunk publishes and records
		for _, before := range []bool{true, false} {
			t.Run(fmt.Sprintf("%d %v", steps, before), func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				b.cfg.Runs.ChunkRows, b.cfg.Runs.Workers = size, 1
				b.many(n)
				b.startWriter()

				ctx, die := context.WithCancel(t.Context())
				m := &mortal{die: die, before: before}
				m.left.Store(int64(steps + 1))
				deps := b.deps
				deps.Publisher = mortalPublisher{publisher{b.broker}, m}
				ofChunk := func(step func() error) func(*configv1.RecordReportRunRequest) error {
					return func(req *configv1.RecordReportRunRequest) error {
						if req.GetChunk() == nil {
							return nil
						}
						return step()
					}
				}
				b.runs.hook, b.runs.then = ofChunk(m.begin), ofChunk(m.end)
				c, err := reports.New(b.cfg, deps)
				require.NoError(t, err)
				ended := make(chan struct{})
				go func() { defer close(ended); _ = c.Run(ctx) }()
				select {
				case <-ended:
				case <-waitFor(b.runs.done):
				}
				die()
				<-ended

				b.runs.mu.Lock()
				b.runs.hook, b.runs.then = nil, nil
				b.runs.mu.Unlock()
				b.runs.release()
				b.eventually(func() bool { return len(b.outcomes()) == len(b.writes()) }, "what was handed on is written")
				b.start()
				b.eventually(b.runs.done, "the run is through")
				b.eventually(func() bool { return len(b.outcomes()) == n }, "every row has an outcome")
				b.scores(n)
				counts := b.runs.counts()
				require.Equal(t, int64(n), counts.GetRows())
				require.Equal(t, int64(n), counts.GetPending(), "no row is counted as unchanged because this run has written it")
				for row, o := range b.outcomes() {
					require.Equal(t, streamv1.Status_STATUS_WRITTEN, o.GetStatus(), "row %d", row)
				}
				for row, writes := range b.writes() {
					require.LessOrEqual(t, len(writes), 2, "only the chunk that was not recorded is handed on again")
					for _, w := range writes {
						require.Equal(t, writes[0].GetWriteKey(), w.GetWriteKey(), "row %d is the same write", row)
						require.Equal(t, int64(1), w.GetRevision())
					}
				}
			})
		}
	}
}

func TestAnOutageMakesARunWaitAndItGoesOnFromTheLastRecordedChunk(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-30")
	b := setup(t)
	b.cfg.Runs.ChunkRows, b.cfg.Runs.Workers = 4, 1
	b.many(20)
	b.startWriter()
	var down atomic.Bool
	b.runs.then = func(req *configv1.RecordReportRunRequest) error {
		if req.GetChunk().GetNumber() == 1 && req.GetChunk() != nil && !down.Swap(true) {
			_, err := b.sim.AddFaults(simulator.Fault{Org: "main", Action: "maintenance"})
			return err
		}
		return nil
	}
	b.start()
	b.eventually(func() bool { return len(b.runs.noted()) > 0 }, "the run says why it waits")
	require.Contains(t, b.runs.noted()[0], "Salesforce cannot be asked")
	require.EqualValues(t, 8, b.runs.counts().GetRows(), "two chunks are recorded")
	b.sim.RemoveFaults("")
	b.eventually(b.runs.done, "the run is through")
	b.eventually(func() bool { return len(b.outcomes()) == 20 }, "every row has an outcome")
	b.scores(20)
	for row, writes := range b.writes() {
		require.Len(t, writes, 1, "row %d is handed on once", row)
	}
}

func TestRowsThatSalesforceRefusesFailAloneWithItsText(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-30")
	b := setup(t)
	require.NoError(t, b.sim.SetValidationRules("main", simulator.ValidationRule{
		Object: "Contact", When: "Score__c > 15", Message: "A score is 15 at most", Field: "Score__c",
	}))
	b.many(20)
	b.start()
	b.startWriter()
	b.eventually(func() bool { return len(b.outcomes()) == 20 }, "every row has an outcome")
	ws, _ := b.view.Workspace("acme")
	for row, o := range b.outcomes() {
		if row <= 15 {
			require.Equal(t, streamv1.Status_STATUS_WRITTEN, o.GetStatus(), "row %d", row)
			continue
		}
		require.Equal(t, streamv1.Status_STATUS_FAILED, o.GetStatus(), "row %d", row)
		require.Equal(t, streamv1.Reason_REASON_SF_VALIDATION, o.GetReason())
		require.Contains(t, o.GetDetail(), "A score is 15 at most")
		require.Equal(t, "FIELD_CUSTOM_VALIDATION_EXCEPTION", o.GetSalesforceCode())
		key, err := ws.Keys().Open(o.GetRunRow().GetSealedKey())
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("key-%03d", row-1), string(key))
	}
	held := b.held("Score__c")
	require.Equal(t, 15.0, held["key-014"])
	require.Nil(t, held["key-015"])
}

func TestValuesThatDoNotFitFailTheirRowsBeforeAnythingIsSent(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-30")
	b := setup(t)
	b.contacts(contact("a"), contact("b"), contact("c"))
	b.runs.push.Columns = append(b.runs.push.Columns, &configv1.ColumnMapping{Column: "plan", Field: "Plan__c"})
	b.deliver([]string{"key", "score", "active", "plan"},
		[]any{"a", "many", true, "Gold"}, []any{"b", 1, true, "Platinum"}, []any{"c", 1, true, "Gold"})
	b.start()
	b.eventually(b.runs.done, "the run is through")
	require.Equal(t, map[int64]string{1: "TYPE_MISMATCH", 2: "TYPE_MISMATCH"}, b.runs.listed())
	require.Contains(t, b.runs.rows[1].GetDetail(), "Score__c")
	require.NotContains(t, b.runs.rows[1].GetDetail(), "many")
	require.Contains(t, b.runs.rows[2].GetDetail(), "Plan__c")
	require.Equal(t, int64(2), b.runs.counts().GetFailed())
	require.Len(t, b.writes(), 1)
}

func TestUsedUpCallsMakeARunWaitWithANoteInsteadOfFailing(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-37")
	b := setup(t)
	b.many(4)
	b.control("quota?org=main&limit=1000&use=850")
	_, err := b.org.Query(t.Context(), "SELECT Id FROM Contact LIMIT 1") // the client hears of it
	require.NoError(t, err)
	b.start()
	b.eventually(func() bool { return len(b.runs.noted()) > 0 }, "the run says why it waits")
	require.Contains(t, b.runs.noted()[0], "BUDGET_EXHAUSTED")
	require.Empty(t, b.writes())
	b.control("quota?org=main&limit=100000")
	b.eventually(b.runs.done, "the run goes on by itself")
	require.Len(t, b.writes(), 4)
	require.Nil(t, b.runs.failure)
}

func TestAStopIsObeyedAfterTheCurrentChunk(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-37")
	b := setup(t)
	b.cfg.Runs.ChunkRows = 4
	b.many(20)
	stopped := make(chan struct{})
	b.runs.hook = func(req *configv1.RecordReportRunRequest) error {
		if req.GetChunk() != nil && req.GetChunk().GetNumber() == 2 {
			b.runs.mu.Lock()
			b.runs.stop = true
			b.runs.mu.Unlock()
			close(stopped)
		}
		return nil
	}
	stop := b.start()
	<-stopped
	b.eventually(func() bool { return len(b.writes()) == 12 }, "the chunk is finished")
	stop()
	require.Len(t, b.writes(), 12)
	require.Len(t, b.runs.chunks, 3)
}

func TestAClaimThatWentToAnotherWorkerEndsTheWork(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.cfg.Runs.ChunkRows, b.cfg.Runs.Workers = 4, 1
	b.many(20)
	var once atomic.Bool
	b.runs.hook = func(req *configv1.RecordReportRunRequest) error {
		if req.GetChunk() != nil && req.GetChunk().GetNumber() == 1 && !once.Swap(true) {
			b.runs.release() // as when it ran out
		}
		return nil
	}
	b.start()
	b.eventually(b.runs.done, "somebody carries the run to its end")
	require.Equal(t, int64(20), b.runs.counts().GetRows())
}

func TestWhatCanNeverWorkEndsTheRunBeforeTheFirstWrite(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-38")
	for name, c := range map[string]struct {
		change func(*runs)
		reason streamv1.Reason
		names  string
	}{
		"the key column is gone": {
			func(r *runs) { r.push.KeyColumn, r.push.LeaveOutFields = "guid", true }, streamv1.Reason_REASON_MAPPING_INVALID, "guid",
		},
		"a mapped column is gone": {
			func(r *runs) { r.push.Columns[0].Column = "points" }, streamv1.Reason_REASON_MAPPING_INVALID, "points",
		},
		"a field is gone": {
			func(r *runs) { r.push.Columns[0].Field = "Points__c" }, streamv1.Reason_REASON_SF_FIELD_GONE, "Points__c",
		},
		"the key field is gone": {
			func(r *runs) { r.push.KeyField = "Key__c" }, streamv1.Reason_REASON_SF_FIELD_GONE, "Key__c",
		},
		"the key field cannot be searched": {
			func(r *runs) {
				for _, f := range r.fields {
					if f.GetName() == "Guid__c" {
						f.Filterable, f.Encrypted = false, true
					}
				}
			}, streamv1.Reason_REASON_FIELD_ENCRYPTED_PROBABILISTIC, "Guid__c",
		},
		"the org knows no such field any more": {
			func(r *runs) {
				r.fields = append(r.fields, &configv1.DescribedField{Name: "Lost__c", Type: "string", Length: 9})
				r.push.Columns[0].Field = "Lost__c"
			}, streamv1.Reason_REASON_SF_FIELD_GONE, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			c.change(b.runs)
			b.many(2)
			b.start()
			b.eventually(b.runs.done, "the run ends")
			require.Equal(t, c.reason, b.runs.failure.GetReason(), b.runs.failure.GetDetail())
			require.Contains(t, b.runs.failure.GetDetail(), c.names)
			require.Empty(t, b.writes())
		})
	}
}

func TestAColumnThatIsGoneIsLeftOutWhenThePushSaysSo(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-38")
	b := setup(t)
	b.runs.push.LeaveOutFields = true
	b.runs.push.Columns = append(b.runs.push.Columns, &configv1.ColumnMapping{Column: "points", Field: "Note__c"})
	b.many(2)
	b.start()
	b.eventually(b.runs.done, "the run is through")
	require.Len(t, b.writes(), 2)
	require.Contains(t, strings.Join(b.runs.noted(), " "), "points")
}

func TestTheWriterIsWaitedForBeforeTheNextChunk(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-37")
	b := setup(t)
	b.cfg.Runs.ChunkRows, b.cfg.Runs.Ahead = 4, 4
	b.deps.Behind = func(context.Context, string, string) (int64, error) { return int64(len(b.writes())), nil }
	b.many(20)
	b.start()
	b.eventually(func() bool { return len(b.writes()) == 8 }, "two chunks are handed on")
	require.False(t, b.runs.done())
	require.Len(t, b.writes(), 8, "nobody has written any of them")
}

func TestALargeReportIsNeverInMemoryWhole(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-37")
	b := setup(t)
	const n = 20_000
	b.cfg.Runs.ChunkRows, b.cfg.Runs.Workers = 1000, 1
	b.cfg.Runs.SlowQuery = time.Hour // slow answers would make queries smaller, and more
	var table [][]any
	for i := range n {
		table = append(table, []any{fmt.Sprintf("key-%d", i), i, true})
	}
	b.contacts(contact("key-7"), contact("key-19999"))
	b.deliver([]string{"key", "score", "active"}, table...)
	calls := b.org.Calls()
	var most int
	b.runs.hook = func(req *configv1.RecordReportRunRequest) error {
		most = max(most, int(req.GetChunk().GetRows()))
		return nil
	}
	b.start()
	b.eventually(b.runs.done, "the run is through")
	require.Equal(t, 1000, most, "what is matched together is one chunk")
	require.Len(t, b.runs.chunks, n/1000)
	require.Len(t, b.writes(), 2)
	perThousand := float64(b.org.Calls()-calls) / n * 1000
	require.LessOrEqual(t, perThousand, 3.0, "calls for 1,000 rows")
}
