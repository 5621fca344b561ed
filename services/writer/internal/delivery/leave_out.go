package delivery

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/salesforce"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/writer/internal/queue"
)

// leftOutNote starts the note about a field that a record was written without.
const leftOutNote = "FIELD_LEFT_OUT "

// namedColumns are the fields in the texts "No such column 'A__c' …" and "Unable to create/update fields: A__c, B__c. …".
var namedColumns = regexp.MustCompile(`(?:No such column '|fields: )([A-Za-z][A-Za-z0-9_]*(?:, [A-Za-z][A-Za-z0-9_]*)*)`)

// refusedFields returns the fields that Salesforce refuses because they are gone, hidden or read-only.
func refusedFields(e *salesforce.Error) []string {
	if e.Code != "INVALID_FIELD" && e.Code != "INVALID_FIELD_FOR_INSERT_UPDATE" {
		return nil
	}
	names := slices.Clone(e.Fields)
	if m := namedColumns.FindStringSubmatch(e.Detail); m != nil {
		names = append(names, strings.Split(m[1], ", ")...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// leftOut remembers the fields an org refused, so that the next records need not be refused too. A field is tried again
// after leaveOutFor: an administrator may have given the rights.
type leftOut map[string]time.Time

// leaveOutFor is how long an org's refusal of a field is taken as known.
const leaveOutFor = 10 * time.Minute

func leftOutKey(w *streamv1.Write, field string) string { return w.GetObject() + "." + field }

// recognises reports whether a record is found again by a field.
func recognises(w *streamv1.Write, field string) bool {
	return field == w.GetMarkerField() || field == w.GetMarkerScopeField()
}

// leaveOut takes the fields that Salesforce refused out of a record whose integration wants that (XC-39), and reports
// whether it can be sent again. What the record is recognised by stays: without it a repetition could double the record
// (promise 5). Never silently: each field is a note of the outcome.
func (l *lane) leaveOut(p *parcel, e *salesforce.Error) bool {
	w := p.item.Write
	if !w.GetLeaveOutFields() {
		return false
	}
	var names []string
	for _, name := range refusedFields(e) {
		set := slices.ContainsFunc(p.fields, func(f salesforce.Field) bool { return f.Name == name })
		if recognises(w, name) {
			return false
		}
		if set {
			names = append(names, name)
		}
	}
	if len(names) == 0 || len(names) == len(p.fields) {
		return false
	}
	until := l.h.deps.Clock.Now().Add(leaveOutFor)
	l.mu.Lock()
	for _, name := range names {
		l.leftOut[leftOutKey(w, name)] = until
	}
	l.mu.Unlock()
	p.item.LeftOut = append(p.item.LeftOut, names...)
	return true
}

// leaveOutKnown takes out of an item what the org has refused a moment ago.
func (l *lane) leaveOutKnown(it *queue.Item) {
	if !it.Write.GetLeaveOutFields() {
		return
	}
	now := l.h.deps.Clock.Now()
	prefix := leftOutKey(it.Write, "")
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, until := range l.leftOut {
		if now.After(until) {
			delete(l.leftOut, key)
			continue
		}
		field, ours := strings.CutPrefix(key, prefix)
		if ours && !recognises(it.Write, field) && !slices.Contains(it.LeftOut, field) {
			it.LeftOut = append(it.LeftOut, field)
		}
	}
}

// noteLeftOut adds a field to what the outcome tells, once.
func noteLeftOut(it *queue.Item, field string) {
	if text := leftOutNote + field; !slices.Contains(it.Notes, text) {
		it.Notes = append(it.Notes, text)
	}
}

// asWritten is the write as the ledger must know it. What went out with fewer fields has no content to compare with: the
// next revision is sent even if it says the same, in case the fields may be written by then.
func asWritten(it *queue.Item) *streamv1.Write {
	if !slices.ContainsFunc(it.Notes, func(n string) bool { return strings.HasPrefix(n, leftOutNote) }) {
		return it.Write
	}
	w := proto.CloneOf(it.Write)
	w.ContentHash = nil
	return w
}
