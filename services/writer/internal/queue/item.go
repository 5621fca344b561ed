package queue

import (
	"bytes"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/writer/internal/ledger"
)

// Item is one pending write.
type Item struct {
	Write *streamv1.Write
	// Record is the record it came in, with slices of its own.
	Record stage.Record
	// Accepted is when it entered the queue.
	Accepted time.Time
	// NotBefore is when it may be sent (again).
	NotBefore time.Time
	// Attempts counts the requests that carried it.
	Attempts int
	// Unknowns counts the answers that nobody could classify.
	Unknowns int
	// Ambiguous: it was sent, and no answer came.
	Ambiguous bool
	// Overtook: it took the place of an older revision, which comes again if this process dies before the ledger knows
	// this one.
	Overtook bool
	// Unsure: an earlier revision with other content may have reached the org unnoticed; what the ledger knows of the
	// record's content may be wrong.
	Unsure bool
	// WithoutOwner: the org refused the owner; send it without.
	WithoutOwner bool
	// LeftOut are fields that the org refuses to the integration user; send it without.
	LeftOut []string
	// LeadConverted: the org refused a Lead because it is converted; link the Contact it became. Contacts, by Lead id, is
	// what the org said about that; nil until it was asked.
	LeadConverted bool
	Contacts      map[string]string
	// doubted is when an intent from the future was first met: a clock was set back since it was noted.
	doubted time.Time
	// NotInJob: a bulk job could not take it, or did not bring it to an end; it goes in a collection.
	NotInJob bool
	// InJobs is how long it was in bulk jobs, which take their time without being in trouble.
	InJobs time.Duration
	// Notes are for the outcome.
	Notes []string
	// Twins are offsets of the same revision delivered again; they are settled with this one.
	Twins []int64

	key string // recordKey, once in a queue
}

// Offsets returns everything that is settled with the item.
func (it *Item) Offsets() []int64 { return append([]int64{it.Record.Offset}, it.Twins...) }

// Contact returns the Contact that a Lead became, as far as the org was asked, and any other id as it is.
func (it *Item) Contact(id string) string {
	if contact := it.Contacts[id]; contact != "" {
		return contact
	}
	return id
}

// Follow makes the item change a record that is there, instead of making it. It must not be in a queue.
func (it *Item) Follow(recordID string) {
	w := proto.CloneOf(it.Write)
	w.Operation, w.RecordId = streamv1.Operation_OPERATION_UPDATE, recordID
	it.Write = w
}

// made returns the record that an item's write has made before; "" when the write is to make it, or makes its record once.
func (it *Item) made(v ledger.Verdict) string {
	if !it.Write.GetFollows() || it.Write.GetOperation() != streamv1.Operation_OPERATION_INSERT || v.Step != ledger.Send {
		return ""
	}
	return v.Entry.GetRecordId()
}

// overtake notes that the item takes the place of another revision, which may have been sent: by this process, or by one
// that died before it could tell. With the same content that makes no difference.
func (it *Item) overtake(other *Item) {
	it.Overtook = true
	same := bytes.Equal(it.Write.GetContentHash(), other.Write.GetContentHash())
	it.Unsure = it.Unsure || other.Unsure || !same
}

// recordKey names the record in Salesforce that the item changes, as far as that is known before the call.
func (it *Item) recordKey() string {
	if org := it.Write.GetOrg(); org != "" {
		return org + "|" + recordIn(it.Write)
	}
	return recordIn(it.Write)
}

// recordIn names it within its org.
func recordIn(w *streamv1.Write) string {
	if w.GetFollows() { // the same before and after its record is known
		return w.GetObject() + "|new|" + w.GetWriteKey()
	}
	switch w.GetOperation() {
	case streamv1.Operation_OPERATION_UPSERT:
		return w.GetObject() + "|" + w.GetExternalIdField() + "|" + w.GetExternalId()
	case streamv1.Operation_OPERATION_UPDATE:
		return w.GetObject() + "|Id|" + w.GetRecordId()
	default:
		return w.GetObject() + "|new|" + w.GetWriteKey()
	}
}

// Group is what the records of one request have in common.
type Group struct {
	Priority        streamv1.Priority
	Object          string
	Operation       streamv1.Operation
	ExternalIDField string
	Duplicates      streamv1.Duplicates
}

// Bulk reports whether nobody waits for the group's records.
func (g Group) Bulk() bool { return g.Priority == streamv1.Priority_PRIORITY_BULK }

// Class is the budget class whose calls the item spends.
func (it *Item) Class() streamv1.Priority { return classOf(it.Write) }

func classOf(w *streamv1.Write) streamv1.Priority {
	if p := w.GetPriority(); p != streamv1.Priority_PRIORITY_UNSPECIFIED {
		return p
	}
	return streamv1.Priority_PRIORITY_REAL_TIME
}

func groupOf(w *streamv1.Write) Group {
	return Group{
		Priority: classOf(w), Object: w.GetObject(), Operation: w.GetOperation(), ExternalIDField: w.GetExternalIdField(),
		Duplicates: w.GetDuplicates(),
	}
}

// Skipped is an item that gets no request, and why.
type Skipped struct {
	Item    *Item
	Verdict ledger.Verdict
	// Err is why the ledger cannot tell what to do; there is no verdict then.
	Err error
}

// Batch is the content of one request, ordered by lock parent.
type Batch struct {
	Group Group
	Items []*Item
	// Look are those of Items whose record may exist already and must be looked for first.
	Look map[*Item]*ledger.Entry
	// Job: it is the content of a bulk job.
	Job bool
}

// sentBy returns when the create that the ledger's entry tells of was sent at the latest. An instant that has not come says
// only that it was before this item was first looked at.
func (it *Item) sentBy(entry *ledger.Entry, now time.Time) time.Time {
	at := entry.GetIntendedAt().AsTime()
	if !at.After(now) {
		return at
	}
	if it.doubted.IsZero() || it.doubted.After(now) {
		it.doubted = now
	}
	return it.doubted
}
