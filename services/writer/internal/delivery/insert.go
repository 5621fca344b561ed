package delivery

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/writer/internal/gate"
	"github.com/throughline-dev/throughline/services/writer/internal/ledger"
	"github.com/throughline-dev/throughline/services/writer/internal/marker"
	"github.com/throughline-dev/throughline/services/writer/internal/queue"
)

// prepareInserts makes creating safe to repeat. Records that an earlier call may have made are looked for and, if found,
// end as written. For the others the intent is saved, all at once, before anything is sent. It returns what may be
// sent now. Promise 5: nothing is created twice.
func (l *lane) prepareInserts(ctx context.Context, client *salesforce.Client, parcels []parcel,
	look map[*queue.Item]*ledger.Entry, res *result,
) []parcel {
	var fresh, doubtful []parcel
	for _, p := range parcels {
		if look[p.item] == nil {
			fresh = append(fresh, p)
		} else {
			p.item.Ambiguous = true
			doubtful = append(doubtful, p)
		}
	}
	if len(doubtful) > 0 {
		doubtful = l.look(ctx, client, doubtful, look, res)
	}
	intents := make([]stage.Entry, 0, len(fresh))
	now := l.h.deps.Clock.Now()
	for _, p := range doubtful {
		if !p.item.Write.GetFollows() {
			continue
		}
		// Promise 4: an older revision, which may come again, must not go over this one.
		entry, err := ledger.IntendOver(l.h.table, p.item.Write, now)
		if err != nil {
			l.abandoned("note an intent", err)
			return nil
		}
		intents = append(intents, entry)
	}
	for _, p := range fresh {
		entry, err := ledger.Intend(p.item.Write, nil, now)
		if err != nil {
			l.abandoned("note an intent", err)
			return nil
		}
		intents = append(intents, entry)
	}
	if len(intents) > 0 {
		if err := l.h.port.Save(ctx, intents...); err != nil {
			l.abandoned("save intents", err)
			return nil
		}
	}
	return append(doubtful, fresh...)
}

// look asks the org for the records that may exist already. It returns those that do not, and may be created. Records that
// carry their marker in different fields, such as the Leads and Contacts of a campaign, are looked for one after the other.
func (l *lane) look(ctx context.Context, client *salesforce.Client, parcels []parcel,
	entries map[*queue.Item]*ledger.Entry, res *result,
) (missing []parcel) {
	slices.SortStableFunc(parcels, func(a, b parcel) int {
		return strings.Compare(a.item.Write.GetMarkerField(), b.item.Write.GetMarkerField())
	})
	for from, to := 0, 0; from < len(parcels); from = to {
		field := parcels[from].item.Write.GetMarkerField()
		for to = from; to < len(parcels) && parcels[to].item.Write.GetMarkerField() == field; to++ {
		}
		missing = append(missing, l.lookIn(ctx, client, parcels[from:to], entries, res)...)
	}
	return missing
}

// lookIn is look for records that carry their marker in the same field.
func (l *lane) lookIn(ctx context.Context, client *salesforce.Client, parcels []parcel,
	entries map[*queue.Item]*ledger.Entry, res *result,
) []parcel {
	search := l.search(parcels, entries)
	var records []salesforce.Record
	for _, soql := range search.Queries() {
		found, err := client.QueryAll(ctx, soql)
		l.h.deps.Tally.Request(ctx, l.org(), "rest", resultOf(err))
		if err != nil {
			l.cannotLook(ctx, parcels, asError(err), res)
			return nil
		}
		records = append(records, found...)
	}
	matches := search.Match(records)
	var missing []parcel
	for _, p := range parcels {
		f, ok := matches[p.item.Write.GetWriteKey()]
		if !ok {
			missing = append(missing, p)
			continue
		}
		if f.Deleted {
			// Somebody did not want it: a retry must not bring it back (XC-4).
			res.endings = append(res.endings, ending{
				item: p.item, status: streamv1.Status_STATUS_FAILED, reason: streamv1.Reason_REASON_SF_RECORD_GONE,
				recordID: f.RecordID, detail: "the record was made and then deleted in Salesforce; nothing was made again",
			})
			continue
		}
		if p.item.Write.GetFollows() {
			// Nobody knows which revision made it: this one is written to it.
			p.item.Follow(f.RecordID)
			p.item.Notes = append(p.item.Notes, "FOUND_BY_MARKER")
			p.item.NotBefore = l.h.deps.Clock.Now()
			res.again = append(res.again, p.item)
			continue
		}
		if p.raises() {
			// It may have been there before the call whose answer was lost.
			res.members = append(res.members, member{parcel: p, id: f.RecordID, note: "FOUND_BY_MARKER", created: true})
			continue
		}
		l.confirmed(p.item, &salesforce.RecordResult{ID: f.RecordID, Created: true}, nil, res)
		e := &res.endings[len(res.endings)-1]
		e.notes = append(e.notes, "FOUND_BY_MARKER")
		if f.Others > 0 {
			e.notes = append(e.notes, "MARKER_ON_SEVERAL_RECORDS")
		}
	}
	return missing
}

func (l *lane) search(parcels []parcel, entries map[*queue.Item]*ledger.Entry) marker.Search {
	first := parcels[0].item.Write
	s := marker.Search{
		Object: first.GetObject(), Field: first.GetMarkerField(), ScopeField: first.GetMarkerScopeField(),
		Exact: first.GetObject() == memberObject, Since: l.h.deps.Clock.Now(),
	}
	for _, p := range parcels {
		// Promise 5: the clock that noted the intent may have been ahead; the write came before it, by another clock.
		for _, at := range []time.Time{entries[p.item].GetIntendedAt().AsTime(), p.item.Record.Time} {
			if at.Unix() > 0 && at.Before(s.Since) {
				s.Since = at
			}
		}
		s.Sought = append(s.Sought, marker.Sought{
			Key: p.item.Write.GetWriteKey(), Marker: p.item.Write.GetMarker(),
			ScopeValue: p.item.Contact(p.item.Write.GetMarkerScopeValue()),
		})
	}
	s.Since = s.Since.Add(-l.h.cfg.ClockSkew).Truncate(time.Second)
	return s
}

// cannotLook deals with a failed look. Nothing is created blindly: what passes is tried again, and what does not is for a
// person to decide (XC-4).
func (l *lane) cannotLook(ctx context.Context, parcels []parcel, e *salesforce.Error, res *result) {
	if ctx.Err() != nil {
		return
	}
	l.gate.Failed(e, l.h.deps.Clock.Now())
	unclear := e.Class == salesforce.ClassUnknown && untried(parcels, l.h.cfg.UnknownTries)
	for _, p := range parcels {
		switch {
		case unclear, e.Temporary() && e.Class != salesforce.ClassQuota:
			l.again(p.item, e, nil, res)
		case e.Class == salesforce.ClassQuota || e.Class == salesforce.ClassAuth:
			res.park(p.item, gate.ReasonOf(e), e.Detail)
		default:
			end := failed(p.item, e)
			end.detail = "needs a look: an earlier call may have created the record, and it cannot be searched for; " + end.detail
			end.reason = gate.ReasonOf(e)
			res.endings = append(res.endings, end)
		}
	}
}
