package writer_test

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/salesforce"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/simulator"
)

// reportRow is a write that a run of a report asks for. No value clears the field.
func (b *simBundle) reportRow(lead string, number, revision int64, values map[string]*string) *streamv1.Write {
	b.t.Helper()
	fields := &streamv1.FieldValues{}
	for name, v := range values {
		f := &streamv1.FieldValue{Field: name}
		if v != nil {
			f.Value = &streamv1.FieldValue_Text{Text: *v}
		}
		fields.Fields = append(fields.Fields, f)
	}
	plain, err := proto.Marshal(fields)
	require.NoError(b.t, err)
	ws, _ := b.views.View().Workspace("acme")
	w := b.write("main", "row-"+lead, revision)
	w.Object, w.Operation, w.ExternalIdField, w.ExternalId, w.RecordId = "Lead", streamv1.Operation_OPERATION_UPDATE, "", "", lead
	w.Priority, w.ContentHash, w.Integration = streamv1.Priority_PRIORITY_BULK, nil, "push"
	w.SealedFields, err = ws.Keys().Seal(plain)
	require.NoError(b.t, err)
	w.RunRow = &streamv1.RunRow{Run: fmt.Sprint("run-", revision), Number: number, SealedKey: []byte("sealed")}
	return w
}

// rowOutcomes are the final outcomes by the row's number.
func (b *simBundle) rowOutcomes() map[int64]*streamv1.Outcome {
	out := map[int64]*streamv1.Outcome{}
	for _, r := range b.broker.Records(topic.Outcomes) {
		o := new(streamv1.Outcome)
		require.NoError(b.t, proto.Unmarshal(r.Value, o))
		if o.GetRunRow() != nil && o.GetStatus() != streamv1.Status_STATUS_RETRYING {
			out[o.GetRunRow().GetNumber()] = o
		}
	}
	return out
}

// addLeads puts n leads into the org and returns the ids.
func (b *simBundle) addLeads(n int) []string {
	b.t.Helper()
	var records []salesforce.CollectionRecord
	for i := range n {
		records = append(records, salesforce.CollectionRecord{Fields: salesforce.Fields{
			{Name: "LastName", Value: fmt.Sprint("Lead ", i)},
			{Name: "Company", Value: "Toyo"},
			{Name: "Title", Value: "old"},
			{Name: "Phone", Value: "old"},
		}})
	}
	var ids []string
	for some := range slices.Chunk(records, salesforce.MaxCollection) {
		answer, err := b.org.Collections(b.t.Context(), salesforce.CollectionRequest{Operation: salesforce.Insert, Object: "Lead", Records: some})
		require.NoError(b.t, err)
		for _, r := range answer.Records {
			require.Nil(b.t, r.Err)
			ids = append(ids, r.ID)
		}
	}
	return ids
}

// TestRowsOfReports sends a report's rows through Collections and through a bulk job: a field that a row leaves out stays, one that it
// clears is cleared, what was deleted or is refused fails alone, and every outcome says which row it is about.
func TestRowsOfReports(t *testing.T) {
	t.Parallel()
	const rows = 300
	for api, from := range map[string]int{"collections": 0, "bulk": 200} {
		t.Run(api, func(t *testing.T) {
			t.Parallel()
			t.Attr("requirement", "WALK-28")
			t.Attr("requirement", "WALK-30")
			b := setupSimulator(t)
			lanes := &b.cfg.Lanes
			lanes.Parallelism, lanes.BulkFrom, lanes.BulkAfter, lanes.BulkLinger = 1, from, 0, lanes.Linger
			lanes.BulkPollMin, lanes.BulkPollMax = time.Millisecond, 10*time.Millisecond
			if api == "bulk" { // the first collection is small and keeps the others waiting
				lanes.BatchRecords = 50
				b.holdCollections()
			}
			leads := b.addLeads(rows)
			require.NoError(t, b.sim.SetValidationRules("main", simulator.ValidationRule{
				Object: "Lead", When: "Title = 'forbidden'", Message: "This title is not allowed", Field: "Title",
			}))
			require.NoError(t, b.org.Delete(t.Context(), "Lead", leads[7]))
			for i, lead := range leads {
				title, phone := "new", strconv.Itoa(i)
				values := map[string]*string{"Title": &title}
				switch {
				case i%3 == 0: // one in three is forbidden: more than what would pause an integration
					title = "forbidden"
				case i%3 == 1:
					values["Phone"] = nil
				default:
					values = map[string]*string{"Phone": &phone}
				}
				b.send(b.reportRow(lead, int64(i), 1, values))
			}
			_, stop := b.start()
			defer stop()
			b.eventually(func() bool { return len(b.rowOutcomes()) == rows }, "every row has an outcome")
			apis := map[string]int{}
			for number, o := range b.rowOutcomes() {
				require.Equal(t, "run-1", o.GetRunRow().GetRun())
				switch {
				case number == 7:
					require.Equal(t, streamv1.Reason_REASON_SF_RECORD_GONE, o.GetReason())
				case number%3 == 0:
					require.Equal(t, streamv1.Status_STATUS_FAILED, o.GetStatus())
					require.Contains(t, o.GetDetail(), "This title is not allowed")
				default:
					require.Equal(t, streamv1.Status_STATUS_WRITTEN, o.GetStatus(), "%d: %s", number, o.GetDetail())
					apis[o.GetRequest().GetApi()]++
				}
				if o.GetStatus() == streamv1.Status_STATUS_WRITTEN {
					require.Empty(t, o.GetRunRow().GetSealedKey())
				} else {
					require.NotEmpty(t, o.GetRunRow().GetSealedKey(), "so that the run's log can name it")
				}
			}
			require.Positive(t, apis[api], "%v", apis)
			for i, lead := range leads {
				if i == 7 {
					continue
				}
				rec, err := b.org.Get(t.Context(), "Lead", lead, "Title", "Phone")
				require.NoError(t, err)
				want := map[int][2]any{0: {"old", "old"}, 1: {"new", nil}, 2: {"old", strconv.Itoa(i)}}[i%3]
				require.Equal(t, want, [2]any{rec.Value("Title"), rec.Value("Phone")}, "lead %d", i)
			}
			require.Equal(t, streamv1.Priority_PRIORITY_BULK, b.reportRow(leads[0], 1, 1, nil).GetPriority())
		})
	}
}

func TestARunThatComesAfterANewerOneChangesNothing(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-5")
	b := setupSimulator(t)
	b.cfg.Lanes.BulkLinger = b.cfg.Lanes.Linger
	lead := b.addLeads(1)[0]
	_, stop := b.start()
	defer stop()
	title := func(s string) map[string]*string { return map[string]*string{"Title": &s} }
	b.send(b.reportRow(lead, 1, 2, title("newer")))
	b.eventually(func() bool { return len(b.rowOutcomes()) == 1 }, "the newer run's row is written")
	b.send(b.reportRow(lead, 2, 1, title("older")), b.reportRow(lead, 3, 2, title("newer")))
	b.eventually(func() bool { return len(b.rowOutcomes()) == 3 }, "all have outcomes")
	require.Equal(t, streamv1.Reason_REASON_SUPERSEDED, b.rowOutcomes()[2].GetReason())
	require.Equal(t, streamv1.Status_STATUS_WRITTEN, b.rowOutcomes()[3].GetStatus(), "the same row again is told again")
	require.Equal(t, lead, b.rowOutcomes()[3].GetRecordId())
	rec, err := b.org.Get(t.Context(), "Lead", lead, "Title")
	require.NoError(t, err)
	require.Equal(t, "newer", rec.String("Title"))
}
