package push

import (
	"context"
	"errors"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/stage"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/integration"
	"github.com/throughline-dev/throughline/services/sync/cells"
	"github.com/throughline-dev/throughline/services/sync/keys"
)

// chunk is rows that are matched together.
type chunk struct {
	number, first int64
	began         time.Time
	items         []*item
	bytes         int
	// listing is about how many bytes it takes to list all of its rows.
	listing int
	// listed is how many records have been named in it.
	listed int

	counts   configv1.ReportRunCounts
	rows     []*configv1.ReportRunRow
	messages []stage.Message
}

func (c *chunk) empty() bool { return len(c.items) == 0 }

// item is one row on its way.
type item struct {
	number int64
	raw    string
	key    keys.Key
	values []cells.Value
	// verdict is about its key; reason and detail are why it is not matched.
	verdict keys.Verdict
	reason  streamv1.Reason
	detail  string
	records []salesforce.Record
}

// matched reports whether Salesforce is asked for its key.
func (it *item) matched() bool {
	return it.reason == 0 && (it.verdict == keys.Alone || it.verdict == keys.Whole)
}

// judge decides about a row what can be decided without Salesforce.
func (r *run) judge(number int64, row *streamv1.Row) *item {
	it := &item{number: number}
	reason, ok := r.plan.readable(row)
	if !ok {
		it.reason, it.detail = reason, "the row could not be read as the report's columns say"
		if reason == streamv1.Reason_REASON_TOO_LARGE {
			it.detail = "the row is larger than a row may be"
		}
		return it
	}
	var blank bool
	if it.raw, it.key, blank = r.plan.key(row); blank {
		it.reason, it.detail = streamv1.Reason_REASON_KEY_BLANK, "the row has no key"
		return it
	}
	it.verdict = r.index.Of(number)
	mapped := r.plan.mapped(row)
	switch it.verdict {
	case keys.Repeated:
		it.reason, it.detail = streamv1.Reason_REASON_KEY_DUPLICATE, "several rows have the key and differ; none of them is written"
		return it
	case keys.Equal, keys.Passed:
		return it
	case keys.Part, keys.Whole:
		s := r.add(it.key, mapped, it.verdict == keys.Whole)
		if it.verdict == keys.Part {
			return it
		}
		if mapped = s.cells; s.misfit != nil {
			it.reason, it.detail = streamv1.Reason_REASON_TYPE_MISMATCH, s.misfit.Error()
			return it
		}
	case keys.Alone:
	}
	var err error
	if it.values, err = r.plan.values(mapped); err != nil {
		it.reason, it.detail = streamv1.Reason_REASON_TYPE_MISMATCH, err.Error()
	}
	return it
}

// add adds a row to the sum of its key.
func (r *run) add(key keys.Key, mapped []*streamv1.Cell, last bool) *sum {
	h := r.hashes.Hash(key.Norm)
	s := r.sums[h]
	if s == nil {
		s = &sum{cells: make([]*streamv1.Cell, len(mapped))}
		r.sums[h] = s
	}
	for i, cell := range mapped {
		merged, err := r.plan.fills[i].Merge(s.cells[i], cell)
		if err != nil {
			s.misfit = err
			continue
		}
		s.cells[i] = merged
	}
	if last {
		delete(r.sums, h)
	}
	return s
}

// finish matches the chunk, hands its writes on and records it. Promise 2: it counts as done after Kafka has all its writes.
func (r *run) finish(ctx context.Context, last bool) error {
	c := &r.chunk
	if err := r.match(ctx); err != nil {
		return err
	}
	c.counts.Rows = int64(len(c.items))
	for _, it := range c.items {
		if err := r.settle(it); err != nil {
			return err
		}
	}
	if len(c.messages) > 0 {
		if err := r.deps.Publisher.Publish(ctx, c.messages...); err != nil {
			return err
		}
	}
	err := r.tenure.tell(ctx, &configv1.RecordReportRunRequest{
		Chunk: &configv1.ReportRunChunk{
			Number: c.number, FirstRow: c.first, Rows: int64(len(c.items)), StartedAt: timestamppb.New(c.began),
			Took: durationpb.New(time.Since(c.began)), Counts: &c.counts, Writes: int64(len(c.messages)),
		},
		Rows: c.rows, Last: last,
	})
	if err != nil {
		return err
	}
	r.tell.decided(ctx, &c.counts)
	r.stats.chunks.Add(1)
	r.stats.rows.Add(int64(len(c.items)))
	r.stats.writes.Add(int64(len(c.messages)))
	if !last && r.tenure.stopped() {
		return errStopped
	}
	return nil
}

// match finds the records of the chunk's keys. What Salesforce finds is held against the rule again (WALK-39).
func (r *run) match(ctx context.Context) error {
	wanted := map[string]*item{}
	var values []any
	for _, it := range r.chunk.items {
		if !it.matched() {
			continue
		}
		for _, s := range it.key.Spellings() {
			wanted[s] = it
		}
		values = append(values, it.key.Values...)
	}
	return r.org.find(ctx, r.matcher, values, func(rec salesforce.Record) {
		held, ok := r.plan.rule.Record(rec.Value(r.plan.keyField.Name))
		if !ok {
			return // a blank key field matches nothing (WALK-27)
		}
		if it := wanted[held]; it != nil {
			it.records = append(it.records, rec)
		}
	})
}

// settle counts a row, lists it, or makes its writes.
func (r *run) settle(it *item) error {
	n := &r.chunk.counts
	switch {
	case it.reason == streamv1.Reason_REASON_KEY_BLANK:
		n.BlankKeys++
		return r.list(it)
	case it.reason == streamv1.Reason_REASON_KEY_DUPLICATE:
		n.RepeatedKeys++
		return r.list(it)
	case it.reason != 0:
		n.Failed++
		return r.list(it)
	case it.verdict == keys.Equal:
		n.EqualRows++
		return nil
	case it.verdict == keys.Passed || it.verdict == keys.Part:
		n.RepeatedKeys++
		return nil
	case len(it.records) == 0:
		n.Unmatched++
		it.reason, it.detail = streamv1.Reason_REASON_NO_MATCH, "no record has the key"
		return r.list(it)
	}
	records := r.chosen(it)
	if len(records) == 0 {
		n.Ambiguous++
		it.reason, it.detail = streamv1.Reason_REASON_KEY_AMBIGUOUS, "several records have the key; none of them is changed"
		return r.list(it)
	}
	records = r.differing(it, records)
	if len(records) == 0 {
		n.Unchanged++ // SKIPPED(UNCHANGED): it costs no call (WALK-29)
		return nil
	}
	n.Pending++
	for _, rec := range records {
		m, err := r.write(it, rec.String("Id"), len(records))
		if err != nil {
			return err
		}
		r.chunk.messages = append(r.chunk.messages, m)
	}
	return nil
}

// chosen picks the records that the row is for; none when the push says so (WALK-25).
func (r *run) chosen(it *item) []salesforce.Record {
	if len(it.records) == 1 {
		return it.records
	}
	switch r.plan.push.GetSeveralMatches() {
	case configv1.SeveralMatches_SEVERAL_MATCHES_ALL:
		return it.records
	case configv1.SeveralMatches_SEVERAL_MATCHES_LATEST:
		return []salesforce.Record{slices.MaxFunc(it.records, func(a, b salesforce.Record) int {
			if c := a.Time("LastModifiedDate").Compare(b.Time("LastModifiedDate")); c != 0 {
				return c
			}
			if a.String("Id") < b.String("Id") {
				return -1
			}
			return 1
		})}
	}
	return nil
}

// differing leaves out records that have the values already (WALK-29), unless an earlier worker may have written them for this very
// run: then the write is handed on again, so that the row's outcome is one.
func (r *run) differing(it *item, records []salesforce.Record) []salesforce.Record {
	if !anything(it.values) {
		return nil
	}
	if r.plan.push.GetAlwaysWrite() || it.number < r.unsure {
		return records
	}
	return slices.DeleteFunc(slices.Clone(records), func(rec salesforce.Record) bool { return !r.plan.changes(it.values, rec) })
}

// What is listed of a chunk goes to config in one request, which takes 4 MiB unless set otherwise. Promise 7.
const (
	// listedRecords is how many records a row's listing names, and chunkRecords all of a chunk together.
	listedRecords = 50
	chunkRecords  = 20_000
	// listedKey is how many characters of a key are listed: as many as a field that can be searched holds. A row's listing has
	// some rowListing bytes besides.
	listedKey  = 255
	rowListing = 256
	// chunkListing is about how many bytes a chunk's listing may have.
	chunkListing = 2 << 20
)

// listing is about how many bytes it takes to list a row, at most.
func (it *item) listing() int { return rowListing + min(len(it.raw), 4*listedKey) }

// list notes a row that is not written for a reason of its own. Promise 8: its key travels sealed.
func (r *run) list(it *item) error {
	row := &configv1.ReportRunRow{Number: it.number, Reason: it.reason, Detail: it.detail, PersonKey: r.personKey(it)}
	erased := row.GetPersonKey() != "" && r.ws.Erased(row.GetPersonKey(), r.deliveredAt())
	if erased {
		row.PersonKey = "" // who was erased is not noted anew (XC-31)
	}
	if it.raw != "" && !erased {
		shown, _ := integration.Fit(it.raw, listedKey)
		sealed, err := r.ws.Keys().Seal([]byte(shown))
		if err != nil {
			return errors.New("a row's key could not be sealed")
		}
		row.SealedKey = sealed
	}
	for _, rec := range it.records[:min(len(it.records), listedRecords, chunkRecords-r.chunk.listed)] {
		row.RecordIds = append(row.RecordIds, rec.String("Id"))
		r.chunk.listed++
	}
	slices.Sort(row.RecordIds)
	r.chunk.rows = append(r.chunk.rows, row)
	return nil
}
