package changes

import (
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/throughline-dev/throughline/services/simulator/internal/org"
	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/table"
)

// events makes the events of a commit. Numbers are not contiguous, as in Salesforce. It needs the lock to be held.
func (l *Log) events(c org.Commit) []Event {
	var out []Event
	h := header{origin: c.Caller.Origin, at: c.At.UnixMilli(), commit: int64(l.state.Last) + 1}
	number := l.state.Last
	for i := range c.Changes {
		change := &c.Changes[i]
		k := l.byName[change.Table.Object]
		if k == nil {
			continue
		}
		was, now := change.Old, change.Record
		what := kindOf(was, now)
		if what == "" || what == Update && !k.differs(was, now) {
			continue
		}
		if h.transaction == "" {
			h.transaction = l.transactionKey(h.commit)
		}
		number += 1 + uint64(len(out)%3)
		h.sequence++
		h.entity, h.record, h.change = k.object.Name, now.ID(), what
		h.user = c.Caller.UserID
		if h.user == "" {
			h.user = now.Text(record.SlotLastModifiedByID)
		}
		out = append(out, Event{
			Number: number, At: h.at, Object: k.object.Name, SchemaID: k.schemaID,
			ID: l.id(fmt.Sprint("event/", number)), Payload: l.payload(k, h, change),
		})
	}
	return out
}

func (l *Log) id(name string) string {
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte(l.state.Epoch+"/"+name)).String()
}

func (l *Log) transactionKey(commit int64) string { return l.id(fmt.Sprint("transaction/", commit)) }

// kindOf tells what became of a record; "" when it is as gone as it was.
func kindOf(was, now *record.Record) string {
	switch {
	case now == nil:
		return ""
	case was == nil && now.Deleted():
		return ""
	case was == nil:
		return Create
	case was.Deleted() && now.Deleted():
		return ""
	case was.Deleted():
		return Undelete
	case now.Deleted():
		return Delete
	}
	return Update
}

// stamped marks the field that every update changes.
func stamped(p part) bool { return p.field.Slot == record.SlotLastModifiedDate }

// differs reports whether an event of the object would tell the two apart, or the record was saved again as it was.
func (k *kind) differs(was, now *record.Record) bool {
	for _, p := range k.parts {
		fields := p.parts
		if p.field != nil {
			fields = []part{p}
		}
		for _, f := range fields {
			if was.Get(f.field.Slot) != now.Get(f.field.Slot) {
				return true
			}
		}
	}
	return false
}

// payload writes the event of a change, or the gap event in its place.
func (l *Log) payload(k *kind, h header, change *table.Change) []byte {
	was, now := change.Old, change.Record
	if l.gap != nil {
		if gap := l.gap(k.object.Name); gap != "" {
			return k.gap(h, gap)
		}
	}
	set := func(part) bool { return false }
	switch h.change {
	case Create, Undelete:
		set = func(part) bool { return true }
	case Update:
		set = func(p part) bool { return stamped(p) || was.Get(p.field.Slot) != now.Get(p.field.Slot) }
		h.changed = k.bitmaps(set)
		h.nulled = k.bitmaps(func(p part) bool { return set(p) && now.Get(p.field.Slot) == nil })
	}
	payload := k.payload(&h, now, set)
	if len(payload) > maxPayload {
		return k.gap(h, "")
	}
	return payload
}

// gap writes an event that has a header only.
func (k *kind) gap(h header, want string) []byte {
	h.change = gapPrefix + strings.TrimPrefix(h.change, gapPrefix)
	if want == overflow {
		h.change = overflow
	}
	h.nulled, h.changed = nil, nil
	return k.payload(&h, &record.Record{}, func(part) bool { return false })
}

// overflow is the kind of an event that stands for changes nobody lists.
const overflow = gapPrefix + "OVERFLOW"
