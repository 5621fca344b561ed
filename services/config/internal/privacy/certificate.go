package privacy

import (
	"cmp"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// placeRunLog names the run log in certificates.
const placeRunLog = "run log"

// noteRows adds rows that were deleted from the run log to a certificate, and the records they told of.
func noteRows(c *configv1.ErasureCertificate, deleted int64, records []*configv1.ErasureRecord, limit int) {
	i := slices.IndexFunc(c.GetRemoved(), func(r *configv1.ErasureRemoved) bool { return r.GetPlace() == placeRunLog })
	if i < 0 {
		i = len(c.GetRemoved())
		c.Removed = append(c.Removed, &configv1.ErasureRemoved{
			Place: placeRunLog, Detail: "outcomes that were about the person: deleted; the counts per hour, which name nobody, stay",
		})
	}
	c.Removed[i].Count += deleted
	known := make(map[recordID]*configv1.ErasureRecord, len(c.GetRecords()))
	for _, r := range c.GetRecords() {
		known[idOf(r)] = r
	}
	for _, r := range records {
		old := known[idOf(r)]
		switch {
		case old != nil:
			if r.GetWrittenAt().AsTime().After(old.GetWrittenAt().AsTime()) {
				old.WrittenAt = r.GetWrittenAt()
			}
		case len(c.GetRecords()) >= limit: // promise 7
			c.RecordsLeftOut++
		default:
			known[idOf(r)] = r
			c.Records = append(c.Records, r)
		}
	}
	slices.SortFunc(c.Records, func(a, b *configv1.ErasureRecord) int {
		return cmp.Or(cmp.Compare(a.GetConnection(), b.GetConnection()), cmp.Compare(a.GetObject(), b.GetObject()),
			cmp.Compare(a.GetRecordId(), b.GetRecordId()))
	})
}

type recordID struct{ connection, id string }

func idOf(r *configv1.ErasureRecord) recordID { return recordID{r.GetConnection(), r.GetRecordId()} }

// recordOf returns the record an outcome tells of, nil if of none.
func recordOf(o *streamv1.Outcome) *configv1.ErasureRecord {
	if o.GetRecordId() == "" {
		return nil
	}
	return &configv1.ErasureRecord{
		Connection: o.GetConnection(), Object: o.GetObject(), RecordId: o.GetRecordId(), WrittenAt: o.GetDecidedAt(),
	}
}

// complete makes a certificate final.
func complete(c *configv1.ErasureCertificate, cfg Config, requested time.Time) {
	c.Removed = append(c.Removed,
		&configv1.ErasureRemoved{Place: "exports", Detail: "what had been gathered for access requests of the person: deleted"},
		&configv1.ErasureRemoved{Place: "open visits and totals", Detail: "dropped by the visits service when it got the suppression, which it does within seconds when it is connected, and at its next start otherwise"},
		&configv1.ErasureRemoved{Place: "pending and parked writes", Detail: "ended unopened, as SKIPPED with ERASED_SUBJECT, and so does what a replay brings back"},
	)
	c.Remaining = append(c.Remaining,
		&configv1.ErasureRemaining{
			Place: "topics", Until: until(requested, cfg.TopicRetention),
			Detail: "copies of messages, sealed with the workspace's key, under a keyed hash: no stage opens or forwards them; a topic cannot delete one record, its retention ends them",
		},
		&configv1.ErasureRemaining{
			Place: "engagements of an org that could not be asked", Until: until(requested, cfg.UnresolvedRetention),
			Detail: "copies in a topic of their own, sealed and used like those in the other topics: not at all (topics.unresolved_retention)",
		},
		&configv1.ErasureRemaining{
			Place: "dead letters", Until: until(requested, cfg.DeadLetterRetention),
			Detail: "originals that could not be handled, sealed with the installation's key: a replay of them is stopped at the first stage",
		},
		&configv1.ErasureRemaining{
			Place: "ledger",
			Detail: "per write: its key (a hash), revisions and times, the record's id in Salesforce and a keyed hash of what was written; no value, no person key, " +
				"so that nothing is written twice; forgotten some time after the last change (writer.ledger_keep, 13 months at most)",
		},
		&configv1.ErasureRemaining{
			Place: "suppression list", Detail: "keyed hashes of the addresses and numbers, so that later events are refused; they cannot be turned back",
		},
		&configv1.ErasureRemaining{
			Place: "your own topics and backups", Detail: "what the producers of events keep, and backups of databases and brokers, are yours to delete",
		},
		&configv1.ErasureRemaining{
			Place: "Salesforce", Detail: "the records listed, as far as the run log still knew them: whether to delete or blank them is your decision",
		},
	)
}

func until(from time.Time, keep time.Duration) *timestamppb.Timestamp {
	if keep <= 0 {
		return nil
	}
	return timestamppb.New(from.Add(keep))
}
