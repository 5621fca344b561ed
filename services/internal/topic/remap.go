package topic

import (
	"strconv"
	"strings"

	"github.com/throughline-dev/throughline/libs/stage"
)

// HeaderRemap on a record of tl.resolved.v1 asks mapping for a Remap; its value is a Remap's text. On one of tl.engagements.v1
// it asks identity to pass it on.
const HeaderRemap = "tl_remap"

// HeaderClass on a record of tl.writes.v1 says in which class the write is sent, whatever its integration's; on one that writes
// are made from, it is passed on to them. Its only value is ClassBulk.
const HeaderClass = "tl_class"

// HeaderAnew on a record of tl.engagements.v1 or tl.engagements.unresolved.v1 has identity ask the org, whatever it remembers of
// the person: a replay asks so after people were corrected there. It is there or not.
const HeaderAnew = "tl_anew"

// ClassBulk is the class of what a replay feeds, so that it takes nothing from what happens now (XC-10).
const ClassBulk = "bulk"

// Class is the header that passes a record's class on, given the value of its HeaderClass; nil when it has none.
func Class(value []byte) []stage.Header {
	if value == nil {
		return nil
	}
	return []stage.Header{{Key: HeaderClass, Value: value}}
}

// Remap asks for a resolved record to be mapped once more, and for nothing of it but what failed. A replay asks so.
type Remap struct {
	// Integration and WriteKey are of the write that failed. Both empty: whatever failed in mapping.
	Integration, WriteKey string
	// Then maps by the version that was in force when the event happened; else by the newest one, after a mapping was corrected.
	// It needs a WriteKey.
	Then bool
}

const (
	// anything stands in a text for whatever failed.
	anything = "*"
	// then begins the text of a Remap by the version of that time. No integration's id begins so.
	then = "="
)

// String is the Remap's text.
func (r *Remap) String() string {
	if r.WriteKey == "" {
		return anything
	}
	text := r.Integration + "/" + r.WriteKey
	if r.Then {
		text = then + text
	}
	return text
}

// ParseRemap reads a Remap's text; ok is false for what is none.
func ParseRemap(text string) (r *Remap, ok bool) {
	if text == anything {
		return &Remap{}, true
	}
	text, old := strings.CutPrefix(text, then)
	id, key, ok := strings.Cut(text, "/")
	if !ok || id == "" || key == "" {
		return nil, false
	}
	return &Remap{Integration: id, WriteKey: key, Then: old}, true
}

// ResolvedID is the id of the record of tl.resolved.v1 that tells who is behind a revision of an engagement, in one connection.
func ResolvedID(engagement string, revision int64, connection string) string {
	return engagement + "-" + strconv.FormatInt(revision, 10) + "-" + connection
}
