package ledger

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// reservationKey is the state key of a write's reservation. It is apart from the write's entry, so that saving one never
// undoes what another request saves about the other.
func reservationKey(w *streamv1.Write) string { return Key(w) + "/first" }

// first turns a verdict to send into a skip when an earlier revision of a record that is made once is parked: the record
// is that revision's, although it comes back after this one.
func first(t Table, w *streamv1.Write, v Verdict) (Verdict, error) {
	if !Once(w) {
		return v, nil
	}
	reserved, err := reservation(t, w)
	if err != nil {
		return Verdict{}, err
	}
	if reserved != 0 && w.GetRevision() > reserved {
		v.Step, v.Reason = Skip, streamv1.Reason_REASON_DUPLICATE_EVENT
	}
	return v, nil
}

func reservation(t Table, w *streamv1.Write) (int64, error) {
	value, ok := t.Get(reservationKey(w))
	if !ok {
		return 0, nil
	}
	e, err := Decode(value)
	if err != nil {
		return 0, fmt.Errorf("reservation of write %s of workspace %s: %w", w.GetWriteKey(), w.GetWorkspace(), err)
	}
	return e.GetReservedRevision(), nil
}

// Reserve builds the entry that must be saved before a write is parked or given up; nil when there is nothing to save. Of a
// record that is made once, the lowest revision keeps it: the record is that one's. Of another, the highest: as long as any may
// come back, a newer one must be noted before it is sent (see Awaited). Serialise the calls for one write key, each with its
// save.
func Reserve(t Table, w *streamv1.Write, now time.Time) (*stage.Entry, error) {
	reserved, err := reservation(t, w)
	if err != nil {
		return nil, err
	}
	if reserved != 0 && (reserved == w.GetRevision() || Once(w) == (reserved < w.GetRevision())) {
		return nil, nil
	}
	e, err := encode(w, &Entry{
		Version: version, WriteKey: w.GetWriteKey(), Connection: w.GetConnection(),
		ReservedRevision: w.GetRevision(), IntendedAt: timestamppb.New(now),
	})
	e.Key = reservationKey(w)
	return &e, err
}

// Awaited reports whether a revision of the write is parked, or has failed. It may come back, and before this one if the process dies
// once this one was sent and before the ledger knows: an intent must be saved first (promise 4).
func Awaited(t Table, w *streamv1.Write) bool {
	_, ok := t.Get(reservationKey(w))
	return ok && !Once(w)
}

// Release builds the entry that gives a reservation back; nil when there is none, or when it is for revisions that have not
// come back yet. Call it when a write has ended, of a record that is made once only when the record is made or never will be.
func Release(t Table, w *streamv1.Write) *stage.Entry {
	key := reservationKey(w)
	if _, ok := t.Get(key); !ok {
		return nil
	}
	if !Once(w) {
		if reserved, err := reservation(t, w); err != nil || reserved > w.GetRevision() {
			return nil
		}
	}
	return &stage.Entry{Key: key}
}

// Doubt builds the entry that must be saved when a call whose answer was lost may have changed a record, and the write does not
// end as written: an older revision must not go over it (promise 4), and the next one may look unchanged and is not.
func Doubt(t Table, w *streamv1.Write, now time.Time) (stage.Entry, error) {
	known, err := find(t, w)
	if err != nil {
		return stage.Entry{}, err
	}
	if known == nil {
		known = &Entry{Version: version, WriteKey: w.GetWriteKey(), Connection: w.GetConnection()}
	}
	known.ContentHash = nil
	if known.GetIntendedRevision() < w.GetRevision() && known.GetConfirmedRevision() < w.GetRevision() {
		known.IntendedRevision, known.IntendedAt = w.GetRevision(), timestamppb.New(now)
	}
	return encode(w, known)
}
