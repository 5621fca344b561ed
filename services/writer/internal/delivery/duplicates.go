package delivery

import (
	"context"
	"slices"
	"strings"

	"github.com/throughline-dev/throughline/libs/salesforce"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/writer/internal/queue"
)

// maxAsked is for how many records of one request that fail anyway the existing ones are asked for: each is a call.
const maxAsked = 10

// askForDuplicates finds out which existing records a duplicate rule named (XC-40). Within a collection Salesforce does not
// say it, so each such record is sent once more, alone; nothing can come of that but what was wanted in the first place.
// Where the rule says so, the existing record counts as the one to be made.
func (l *lane) askForDuplicates(ctx context.Context, client *salesforce.Client, g queue.Group, parcels []parcel,
	records []salesforce.RecordResult,
) {
	asked := 0
	for i := range parcels {
		if e := records[i].Err; e == nil || e.Code != salesforce.CodeDuplicates || g.Operation == streamv1.Operation_OPERATION_UPDATE {
			continue
		}
		link := g.Duplicates == streamv1.Duplicates_DUPLICATES_LINK
		now := l.h.deps.Clock.Now()
		if asked++; (asked > maxAsked && !link) || !l.state(g.Priority, now).Open {
			return
		}
		l.gate.Spent(g.Priority, 1, now)
		alone, err := single(ctx, client, &parcels[i])
		l.h.deps.Tally.Request(ctx, l.org(), "rest", resultOf(err))
		if err == nil {
			records[i] = alone
			continue
		}
		refusal := *asError(err)
		ids := slices.Compact(slices.Sorted(slices.Values(refusal.ExistingIDs)))
		switch {
		case len(ids) == 1 && link:
			parcels[i].item.Notes = append(parcels[i].item.Notes, salesforce.ReasonDuplicateRule)
			records[i] = salesforce.RecordResult{ID: ids[0]}
			continue
		case len(ids) > 0:
			refusal.Detail = strings.TrimSuffix(refusal.Detail, ".") + "; existing: " + strings.Join(ids, ", ")
		}
		records[i].Err = &refusal
	}
}

// single sends one record by itself.
func single(ctx context.Context, client *salesforce.Client, p *parcel) (salesforce.RecordResult, error) {
	w := p.item.Write
	if w.GetOperation() == streamv1.Operation_OPERATION_UPSERT {
		key := salesforce.Key{Object: w.GetObject(), Field: w.GetExternalIdField(), Value: w.GetExternalId()}
		return client.Upsert(ctx, key, p.fields)
	}
	id, err := client.Create(ctx, w.GetObject(), p.fields)
	return salesforce.RecordResult{ID: id, Created: true}, err
}
