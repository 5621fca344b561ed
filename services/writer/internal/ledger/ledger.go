package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/stage"
	statev1 "github.com/throughline-dev/throughline/proto/throughline/state/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// version is the format of the entries this program writes. It reads any up to it.
const version = 1

// Table is where saved entries are read; *stage.Table is one.
type Table interface {
	Get(key string) ([]byte, bool)
}

// Entry is what is known about one write key.
type Entry = statev1.LedgerEntry

// Step is what to do about a write.
type Step uint8

// The steps.
const (
	// Send it.
	Send Step = iota
	// Look for the record first: an earlier call may have created it.
	Look
	// Repeat: this very revision is settled; tell its outcome again.
	Repeat
	// Skip it, for the verdict's reason.
	Skip
	// Note it: it changes nothing, but a later, older revision must know that it was here. Skip it for the verdict's
	// reason and save the verdict's entry.
	Note
)

// Verdict is the decision about one write.
type Verdict struct {
	Step   Step
	Reason streamv1.Reason
	// Entry is what was found, nil when there was nothing.
	Entry *Entry
}

// ErrNewerFormat means that a newer program wrote the entry. Nothing may be written before it is understood.
var ErrNewerFormat = errors.New("the ledger entry has a newer format; run a program at least as new as the one that wrote it")

// Key is the state key of a write: keys are unique within a connection and the org it is with, and an integration that moves to
// another org, or whose connection does, starts afresh there. Entries without an org are of the first one that the connection
// was with (LOOM-14). No connection has an @ in its id.
func Key(w *streamv1.Write) string {
	connection := w.GetConnection()
	if org := w.GetOrg(); org != "" {
		connection += "@" + org
	}
	return w.GetWorkspace() + "/" + connection + "/" + w.GetWriteKey()
}

// Decode reads a saved entry.
func Decode(value []byte) (*Entry, error) { return decode(value, version) }

func decode(value []byte, newest uint32) (*Entry, error) {
	e := new(Entry)
	if err := proto.Unmarshal(value, e); err != nil {
		return nil, fmt.Errorf("decode ledger entry: %w", err)
	}
	if e.GetVersion() > newest {
		return nil, ErrNewerFormat
	}
	return e, nil
}

// Once reports whether only the first confirmed revision of a write counts.
func Once(w *streamv1.Write) bool {
	return w.GetOnce() || w.GetOperation() == streamv1.Operation_OPERATION_INSERT && !w.GetFollows()
}

// Decide compares a write with what is known about its key.
func Decide(t Table, w *streamv1.Write) (Verdict, error) {
	e, err := find(t, w)
	if err != nil {
		return Verdict{}, err
	}
	if e == nil {
		return first(t, w, Verdict{Step: Send})
	}
	v := Verdict{Entry: e}
	switch confirmed := e.GetConfirmedRevision(); {
	case confirmed == 0 && w.GetOperation() == streamv1.Operation_OPERATION_INSERT && e.GetIntendedRevision() != 0 &&
		(Once(w) || w.GetRevision() >= e.GetIntendedRevision()):
		// Promise 5: a call may have been made for this key, and nobody knows what became of it.
		v.Step = Look
		return first(t, w, v)
	case confirmed != 0 && w.GetRevision() == confirmed:
		v.Step = Repeat
	case !Once(w) && w.GetRevision() < e.GetIntendedRevision():
		// Promise 4: a call may have been made with the newer one, which is still to be settled and so comes again.
		v.Step, v.Reason = Skip, streamv1.Reason_REASON_SUPERSEDED
	case confirmed == 0:
		return first(t, w, v)
	case Once(w):
		v.Step, v.Reason = Skip, streamv1.Reason_REASON_DUPLICATE_EVENT
	case w.GetRevision() < confirmed:
		// Promise 4: an older revision never overwrites a newer one.
		v.Step, v.Reason = Skip, streamv1.Reason_REASON_SUPERSEDED
	case e.GetIntendedRevision() > confirmed:
		v.Step = Send // nobody knows what the record looks like
	case len(w.GetContentHash()) > 0 && bytes.Equal(w.GetContentHash(), e.GetContentHash()):
		v.Step, v.Reason = Note, streamv1.Reason_REASON_UNCHANGED
	}
	return v, nil
}

// Intend builds the entry that must be saved before an insert is sent, and before a revision is sent that overtook an
// older one. What is confirmed stays known. An insert's earlier intent keeps its time: the record it may have made is at
// least that old.
func Intend(w *streamv1.Write, known *Entry, now time.Time) (stage.Entry, error) {
	e := &Entry{
		Version: version, WriteKey: w.GetWriteKey(), Connection: w.GetConnection(),
		IntendedRevision: w.GetRevision(), IntendedAt: timestamppb.New(now),
		ConfirmedRevision: known.GetConfirmedRevision(), RecordId: known.GetRecordId(), ContentHash: known.GetContentHash(),
		SettledReason: known.GetSettledReason(), SettledAt: known.GetSettledAt(),
	}
	if w.GetOperation() == streamv1.Operation_OPERATION_INSERT && known.GetIntendedAt() != nil {
		e.IntendedAt = known.GetIntendedAt()
	}
	return encode(w, e)
}

// IntendOver is Intend for a revision that overtook an older one, with what the table knows.
func IntendOver(t Table, w *streamv1.Write, now time.Time) (stage.Entry, error) {
	known, err := find(t, w)
	if err != nil {
		return stage.Entry{}, err
	}
	return Intend(w, known, now)
}

// find reads the entry of a write; nil when there is none.
func find(t Table, w *streamv1.Write) (*Entry, error) {
	value, ok := t.Get(Key(w))
	if !ok {
		return nil, nil
	}
	e, err := Decode(value)
	if err != nil {
		return nil, fmt.Errorf("write %s of workspace %s: %w", w.GetWriteKey(), w.GetWorkspace(), err)
	}
	return e, nil
}

// Withdraw builds the entry that says that nothing was made: the call was answered, with a refusal.
func Withdraw(w *streamv1.Write) stage.Entry { return stage.Entry{Key: Key(w)} }

// Confirm builds the entry of a write that Salesforce confirmed. A row of a report, of which there are a million, is remembered by as
// little as tells its revision: the write itself names the record.
func Confirm(w *streamv1.Write, recordID string, now time.Time) (stage.Entry, error) {
	if w.GetRunRow() != nil && w.GetOperation() == streamv1.Operation_OPERATION_UPDATE {
		return encode(w, &Entry{
			Version: version, ConfirmedRevision: w.GetRevision(), ContentHash: w.GetContentHash(),
			SettledAt: timestamppb.New(now.Truncate(time.Second)),
		})
	}
	return encode(w, &Entry{
		Version: version, WriteKey: w.GetWriteKey(), Connection: w.GetConnection(),
		ConfirmedRevision: w.GetRevision(), RecordId: recordID, ContentHash: w.GetContentHash(),
		SettledAt: timestamppb.New(now),
	})
}

// Advance builds the entry of a write that changes nothing: its revision counts as settled, for the reason.
func Advance(w *streamv1.Write, known *Entry, reason streamv1.Reason, now time.Time) (stage.Entry, error) {
	return encode(w, &Entry{
		Version: version, WriteKey: w.GetWriteKey(), Connection: w.GetConnection(),
		ConfirmedRevision: w.GetRevision(), RecordId: known.GetRecordId(), ContentHash: known.GetContentHash(),
		SettledReason: reason, SettledAt: timestamppb.New(now),
	})
}

// Expired reports whether a saved entry was settled, or intended, before a time. Entries that cannot be read never are.
func Expired(value []byte, before time.Time) bool {
	e, err := Decode(value)
	if err != nil {
		return false
	}
	settled, intended := e.GetSettledAt(), e.GetIntendedAt()
	old := func(at *timestamppb.Timestamp) bool { return at == nil || at.AsTime().Before(before) }
	return (settled != nil || intended != nil) && old(settled) && old(intended)
}

func encode(w *streamv1.Write, e *Entry) (stage.Entry, error) {
	value, err := proto.Marshal(e)
	if err != nil {
		return stage.Entry{}, fmt.Errorf("encode ledger entry of write %s: %w", w.GetWriteKey(), err)
	}
	return stage.Entry{Key: Key(w), Value: value}, nil
}

// Ranger is a Table that can be walked; *stage.Table is one.
type Ranger interface {
	Table
	Range(f func(key string, value []byte) bool)
}

// Sweep returns deletions for up to limit entries that expired before a time.
func Sweep(t Ranger, before time.Time, limit int) []stage.Entry {
	var gone []stage.Entry
	t.Range(func(key string, value []byte) bool {
		if Expired(value, before) {
			gone = append(gone, stage.Entry{Key: key})
		}
		return len(gone) < limit
	})
	return gone
}
