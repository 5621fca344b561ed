package reports_test

import (
	"log/slog"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

var discard = slog.New(slog.DiscardHandler)

func TestRowsBecomeChangesOfTheRecordsWithTheirKeys(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-23")
	b := setup(t)
	ids := b.contacts(contact("k1", "Score__c", 1.0), contact("k2"), contact("k3", "Score__c", 3.0))
	b.deliver([]string{"key", "score", "active", "unused"}, []any{"k1", 10.5, true, "x"}, []any{"k2", 20, nil, nil}, []any{"nobody", 1, true, nil})
	b.start()
	b.startWriter()
	b.eventually(b.runs.done, "the run is through")
	b.eventually(func() bool { return len(b.outcomes()) == 2 }, "every write has an outcome")
	require.Equal(t, map[string]any{"k1": 10.5, "k2": 20.0, "k3": 3.0}, b.held("Score__c"), "no record is created or deleted")
	counts := b.runs.counts()
	require.Equal(t, []int64{3, 2, 1}, []int64{counts.GetRows(), counts.GetPending(), counts.GetUnmatched()})
	require.Equal(t, map[int64]string{3: "NO_MATCH"}, b.runs.listed())

	for row, o := range b.outcomes() {
		require.Equal(t, streamv1.Status_STATUS_WRITTEN, o.GetStatus())
		require.Equal(t, ids[row-1], o.GetRecordId())
		require.Equal(t, "run-1", o.GetRunRow().GetRun())
		require.Empty(t, o.GetRunRow().GetSealedKey(), "of a row that was written nobody needs the key")
	}
	for _, writes := range b.writes() {
		w := writes[0]
		require.Equal(t, streamv1.Operation_OPERATION_UPDATE, w.GetOperation())
		require.Equal(t, streamv1.Priority_PRIORITY_BULK, w.GetPriority())
		require.Equal(t, int64(1), w.GetRevision())
	}
	for _, name := range []string{topic.Rows, topic.Writes, topic.Outcomes, topic.RowsState} {
		for _, rec := range b.broker.Records(name) {
			require.NotContains(t, string(rec.Value)+string(rec.Key), "nobody", "keys travel sealed in %s", name)
		}
	}
}

func TestAKeyOfNoneOrSeveralRecordsFollowsThePushsRule(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-25")
	for rule, want := range map[configv1.SeveralMatches]struct {
		writes  int
		listed  map[int64]string
		records int32
	}{
		configv1.SeveralMatches_SEVERAL_MATCHES_UNSPECIFIED: {0, map[int64]string{1: "KEY_AMBIGUOUS", 2: "NO_MATCH"}, 0},
		configv1.SeveralMatches_SEVERAL_MATCHES_ALL:         {2, map[int64]string{2: "NO_MATCH"}, 2},
		configv1.SeveralMatches_SEVERAL_MATCHES_LATEST:      {1, map[int64]string{2: "NO_MATCH"}, 0},
	} {
		t.Run(rule.String(), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			ids := b.contacts(contact("twin"), contact("twin"))
			b.control("clock", "advance: 1m")
			require.NoError(t, b.org.Update(t.Context(), "Contact", ids[0], contact("twin", "Note__c", "touched")))
			b.runs.push.SeveralMatches = rule
			b.deliver([]string{"key", "score", "active"}, []any{"twin", 1, true}, []any{"nobody", 1, true})
			b.start()
			b.eventually(b.runs.done, "the run is through")
			require.Equal(t, want.listed, b.runs.listed())
			writes := b.writes()[1]
			require.Len(t, writes, want.writes)
			for _, w := range writes {
				require.Equal(t, want.records, w.GetRunRow().GetRecords())
			}
			switch rule {
			case configv1.SeveralMatches_SEVERAL_MATCHES_LATEST:
				require.Equal(t, ids[0], writes[0].GetRecordId(), "the one that was modified last")
			case configv1.SeveralMatches_SEVERAL_MATCHES_UNSPECIFIED:
				require.ElementsMatch(t, ids, b.runs.rows[1].GetRecordIds())
				require.Equal(t, int64(0), b.runs.counts().GetFailed(), "neither is an error")
			}
		})
	}
}

func TestConvertedLeadsMatchNoRow(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-25")
	b := setup(t)
	b.runs.push.Object, b.runs.push.KeyField = "Lead", "Email"
	b.runs.push.Columns = []*configv1.ColumnMapping{{Column: "title", Field: "Title"}}
	b.runs.fields = []*configv1.DescribedField{
		{Name: "Email", Type: "email", Filterable: true}, {Name: "Title", Type: "string", Length: 128, Updateable: true},
	}
	var ids []string
	for _, address := range []string{"open@toyo.example", "converted@toyo.example"} {
		id, err := b.org.Create(t.Context(), "Lead", salesforce.Fields{
			{Name: "LastName", Value: "Sato"}, {Name: "Company", Value: "Toyo"}, {Name: "Email", Value: address},
		})
		require.NoError(t, err)
		ids = append(ids, id)
	}
	b.control("convert?org=main&lead=" + ids[1])
	b.deliver([]string{"key", "title"}, []any{" Open@Toyo.example ", "CTO"}, []any{"converted@toyo.example", "CTO"})
	b.start()
	b.eventually(b.runs.done, "the run is through")
	require.Equal(t, map[int64]string{2: "NO_MATCH"}, b.runs.listed())
	require.Equal(t, ids[0], b.writes()[1][0].GetRecordId())
	require.NotEmpty(t, b.writes()[1][0].GetPersonKey(), "so that an erasure finds it")
}

func TestWhoWasErasedIsNotListedByKey(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-31")
	b := setup(t)
	b.view = b.inst.Suppressed("erased@toyo.example").View()
	b.deps.Settings = settings.Static(b.view)
	b.runs.push.Object, b.runs.push.KeyField = "Lead", "Email"
	b.runs.push.Columns = []*configv1.ColumnMapping{{Column: "title", Field: "Title"}}
	b.runs.fields = []*configv1.DescribedField{
		{Name: "Email", Type: "email", Filterable: true}, {Name: "Title", Type: "string", Length: 128, Updateable: true},
	}
	b.deliver([]string{"key", "title"}, []any{"erased@toyo.example", "CTO"}, []any{"stranger@toyo.example", "CTO"})
	b.start()
	b.eventually(b.runs.done, "the run is through")
	require.Equal(t, map[int64]string{1: "NO_MATCH", 2: "NO_MATCH"}, b.runs.listed())
	require.Empty(t, b.runs.rows[1].GetSealedKey())
	require.Empty(t, b.runs.rows[1].GetPersonKey())
	require.NotEmpty(t, b.runs.rows[2].GetSealedKey())
	require.NotEmpty(t, b.runs.rows[2].GetPersonKey(), "so that an erasure finds it")
}

func TestAKeyInSeveralRowsFollowsThePushsRule(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-26")
	table := [][]any{{"k1", 1, true}, {"k2", 5, true}, {"k1", 2, nil}, {"k2", 5, true}, {"K1", 9, true}, {"k1", 1, true}}
	for rule, want := range map[configv1.RepeatedKeys]struct {
		fields   map[int64]string
		listed   map[int64]string
		repeated int64
		equal    int64
	}{
		configv1.RepeatedKeys_REPEATED_KEYS_NONE: {
			map[int64]string{2: "Active__c=true Score__c=5"},
			map[int64]string{1: "KEY_DUPLICATE", 3: "KEY_DUPLICATE", 5: "NO_MATCH", 6: "KEY_DUPLICATE"},
			3, 1,
		},
		configv1.RepeatedKeys_REPEATED_KEYS_FIRST: {
			map[int64]string{1: "Active__c=true Score__c=1", 2: "Active__c=true Score__c=5"}, map[int64]string{5: "NO_MATCH"}, 1, 2,
		},
		configv1.RepeatedKeys_REPEATED_KEYS_LAST: {
			map[int64]string{6: "Active__c=true Score__c=1", 2: "Active__c=true Score__c=5"}, map[int64]string{5: "NO_MATCH"}, 1, 2,
		},
		configv1.RepeatedKeys_REPEATED_KEYS_AGGREGATE: {
			map[int64]string{3: "Active__c=true Score__c=3", 2: "Active__c=true Score__c=5"}, map[int64]string{5: "NO_MATCH"}, 1, 2,
		},
	} {
		t.Run(rule.String(), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.contacts(contact("k1"), contact("k2"))
			b.runs.push.RepeatedKeys = rule
			b.runs.push.Columns[0].Aggregate = configv1.Aggregate_AGGREGATE_SUM
			b.cfg.Runs.ChunkRows = 2 // what belongs together comes in different chunks
			b.deliver([]string{"key", "score", "active"}, table...)
			b.start()
			b.eventually(b.runs.done, "the run is through")
			got := map[int64]string{}
			for row, writes := range b.writes() {
				require.Len(t, writes, 1)
				got[row] = b.fields(writes[0])
			}
			require.Equal(t, want.fields, got)
			require.Equal(t, want.listed, b.runs.listed())
			counts := b.runs.counts()
			require.Equal(t, []int64{want.repeated, want.equal}, []int64{counts.GetRepeatedKeys(), counts.GetEqualRows()})
			require.Equal(t, int64(6), counts.GetPending()+counts.GetRepeatedKeys()+counts.GetEqualRows()+counts.GetUnmatched())
		})
	}
}

func TestABlankKeyIsCountedAndMatchesNothing(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-27")
	b := setup(t)
	b.contacts(contact(""), contact("null"), contact("k"))
	b.runs.push.BlankKeys = nil
	b.deliver([]string{"key", "score", "active"}, []any{"", 1, true}, []any{"  \u3000", 1, true}, []any{nil, 1, true},
		[]any{"NULL", 1, true}, []any{"n/a", 1, true}, []any{"-", 1, true}, []any{"k", 1, true})
	b.start()
	b.eventually(b.runs.done, "the run is through")
	require.Equal(t, int64(6), b.runs.counts().GetBlankKeys())
	for row := range int64(6) {
		require.Equal(t, "KEY_BLANK", b.runs.listed()[row+1])
	}
	require.Len(t, b.writes(), 1)
}

func TestAnEmptyCellLeavesTheFieldAloneOrClearsItAsChosen(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-28")
	b := setup(t)
	b.contacts(contact("empty", "Score__c", 7.0, "Note__c", "old", "Active__c", true), contact("zero", "Score__c", 7.0, "Active__c", true))
	b.runs.push.Columns = []*configv1.ColumnMapping{
		{Column: "score", Field: "Score__c"}, {Column: "active", Field: "Active__c"}, {Column: "note", Field: "Note__c", ClearWhenEmpty: true},
	}
	b.deliver([]string{"key", "score", "active", "note"}, []any{"empty", nil, "  ", ""}, []any{"zero", 0, false, nil})
	b.start()
	b.startWriter()
	b.eventually(func() bool { return len(b.outcomes()) == 2 }, "every write has an outcome")
	require.Equal(t, "Note__c=null", b.fields(b.writes()[1][0]))
	require.Equal(t, map[string]any{"empty": 7.0, "zero": 0.0}, b.held("Score__c"))
	require.Equal(t, map[string]any{"empty": true, "zero": false}, b.held("Active__c"), "zero and false are values")
	require.Nil(t, b.held("Note__c")["empty"])
}

func TestARecordThatHoldsTheValuesCostsNoWrite(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-29")
	b := setup(t)
	b.contacts(contact("same", "Score__c", 1.25, "Active__c", true), contact("other", "Score__c", 1.0, "Active__c", false))
	b.deliver([]string{"key", "score", "active"}, []any{"same", "1.25", "yes"}, []any{"other", 2, false})
	b.start()
	b.startWriter()
	b.eventually(b.runs.done, "the first run is through")
	b.eventually(func() bool { return len(b.outcomes()) == 1 }, "the changed row has an outcome")
	require.Equal(t, int64(1), b.runs.counts().GetUnchanged())
	require.Nil(t, b.writes()[1])

	// The next day nothing has changed, but somebody has set one of them to what it was: the run sets it back.
	found, err := b.org.Query(t.Context(), "SELECT Id FROM Contact WHERE Guid__c = 'other'")
	require.NoError(t, err)
	require.NoError(t, b.org.Update(t.Context(), "Contact", found[0].String("Id"), contact("other", "Score__c", 1.0)))
	b.runs.again()
	b.eventually(func() bool { return b.held("Score__c")["other"] == 2.0 }, "the second run has written it again")
	b.eventually(b.runs.done, "the second run is through")
	require.Equal(t, int64(1), b.runs.counts().GetUnchanged())

	b.runs.again()
	b.eventually(b.runs.done, "the third run is through")
	require.Equal(t, int64(2), b.runs.counts().GetUnchanged())
	b.runs.mu.Lock()
	b.runs.push.AlwaysWrite = true
	b.runs.mu.Unlock()
	b.runs.again()
	b.eventually(b.runs.done, "the fourth run is through")
	require.Equal(t, int64(2), b.runs.counts().GetPending(), "for orgs with automations that rely on it")
}

func TestADeliveryThatIsNotWholeIsNeverPushed(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-9")
	b := setup(t)
	b.contacts(contact("k1"))
	require.Equal(t, http.StatusBadRequest, b.post("{\"begin\":{\"columns\":[\"key\",\"score\",\"active\"]}}\n[\"k1\",1,true]\n{\"end\":{\"rows\":2}}\n"))
	b.start()
	b.eventually(func() bool { b.runs.mu.Lock(); defer b.runs.mu.Unlock(); return len(b.runs.deliveries) == 1 }, "config knows of it")
	require.Equal(t, streamv1.Reason_REASON_BAD_SCHEMA, b.runs.deliveries[0].GetReason())
	require.Contains(t, b.runs.deliveries[0].GetDetail(), "1 rows came, and the end marker says 2")

	// Without an end marker nobody hears of it; the same delivery begun anew is pushed from its new beginning.
	require.Equal(t, http.StatusBadRequest, b.post("{\"begin\":{\"columns\":[\"key\",\"score\",\"active\"]}}\n[\"k1\",2,true]\n"))
	require.Empty(t, b.writes())
	b.deliver([]string{"key", "score", "active"}, []any{"k1", 3, true})
	b.eventually(b.runs.done, "the run is through")
	require.Len(t, b.runs.deliveries, 2)
	require.Equal(t, "Active__c=true Score__c=3", b.fields(b.writes()[1][0]))
}
