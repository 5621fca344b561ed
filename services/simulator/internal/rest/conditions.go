package rest

import (
	"fmt"
	"hash/fnv"
	"net/http"
	"strings"
	"time"

	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
)

// conditions honours the headers of "Conditional Request Headers" on a record: entity tags on accounts, times on all. It reports
// true when they settle the answer. A time that cannot be read is refused on a change, and ignored on a read.
func conditions(c *call, o *schema.Object, rec *record.Record) (reply, bool) {
	reads := c.Method != http.MethodPatch
	if tagged(o) {
		if match := c.Header.Get("If-Match"); match != "" && !lists(match, tag(rec)) {
			return preconditionFailed(), true
		}
		if match := c.Header.Get("If-None-Match"); match != "" && lists(match, tag(rec)) {
			if reads {
				return reply{status: http.StatusNotModified}, true
			}
			return preconditionFailed(), true
		}
	}
	for _, name := range []string{"If-Modified-Since", "If-Unmodified-Since"} {
		text := c.Header.Get(name)
		since, err := http.ParseTime(text)
		changed := modified(rec).After(since)
		switch {
		case text == "":
		case err != nil && !reads:
			return failure(http.StatusBadRequest, "INVALID_INPUT", name+" is not a date: "+text), true
		case err != nil:
		case name == "If-Unmodified-Since" && changed, name == "If-Modified-Since" && !changed && !reads:
			return preconditionFailed(), true
		case name == "If-Modified-Since" && !changed:
			return reply{status: http.StatusNotModified}, true
		}
	}
	return reply{}, false
}

func preconditionFailed() reply {
	return failure(http.StatusPreconditionFailed, "PRECONDITION_FAILED", "the record has been modified")
}

// modified is when the record was changed last, in whole seconds.
func modified(rec *record.Record) time.Time {
	if at, ok := rec.Get(record.SlotLastModifiedDate).(record.DateTime); ok {
		return at.Time()
	}
	return time.Time{}
}

// tagged reports whether records of the object have entity tags.
func tagged(o *schema.Object) bool { return o.Name == "Account" }

// tag is the entity tag of a record as it stands.
func tag(rec *record.Record) string {
	h := fnv.New64a()
	for _, v := range rec.Values {
		_, _ = h.Write(record.AppendJSON(nil, v)) // never fails
	}
	return fmt.Sprintf("%q", fmt.Sprintf("%016x", h.Sum64()))
}

// lists reports whether a list of entity tags has one.
func lists(header, one string) bool {
	for item := range strings.SplitSeq(header, ",") {
		if item = strings.TrimPrefix(strings.TrimSpace(item), "W/"); item == "*" || item == one {
			return true
		}
	}
	return false
}
