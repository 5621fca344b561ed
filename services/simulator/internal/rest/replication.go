package rest

import (
	"net/http"
	"time"

	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
)

const (
	// maxReplication is how far back changes are told, maxReplicated how many ids an answer has ("sObject Get Updated", "sObject
	// Get Deleted").
	maxReplication = 30 * 24 * time.Hour
	maxReplicated  = 600_000
)

type deletedRecord struct {
	ID   string `json:"id"`
	Date string `json:"deletedDate"`
}

// replication answers /sobjects/<Object>/updated and /deleted: which records were changed between two times.
func (s *Server) replication(c *call, o *schema.Object) reply {
	if c.Method != http.MethodGet {
		return methodNotAllowed(c.Method, "GET")
	}
	values, now := c.URL.Query(), record.NewDateTime(s.org.Now())
	start, okStart := record.ParseDateTime(values.Get("start"))
	end, okEnd := record.ParseDateTime(values.Get("end"))
	if !okStart || !okEnd || start >= end || now.Time().Sub(start.Time()) > maxReplication {
		return failure(http.StatusBadRequest, "INVALID_REPLICATION_DATE", "start and end are dateTimes, start is before end and within the last 30 days")
	}
	gone := c.route.name == routeDeleted
	ids, deleted := []string{}, []deletedRecord{}
	err := s.view(c, func() {
		s.org.Table(o).All(func(rec *record.Record) bool {
			at, _ := rec.Get(record.SlotSystemModstamp).(record.DateTime)
			switch {
			case at < start || at > end || rec.Deleted() != gone:
			case gone:
				deleted = append(deleted, deletedRecord{rec.ID(), at.String()})
			default:
				ids = append(ids, rec.ID())
			}
			return len(ids)+len(deleted) <= maxReplicated
		})
	})
	switch {
	case err != nil:
		return unexpectedAs(http.StatusServiceUnavailable)
	case len(ids)+len(deleted) > maxReplicated:
		return failure(http.StatusBadRequest, "EXCEEDED_ID_LIMIT", "too many records: choose start and end closer together")
	}
	covered := min(end, now).String()
	if gone {
		return ok(map[string]any{
			"deletedRecords": deleted, "latestDateCovered": covered, "earliestDateAvailable": record.NewDateTime(s.started).String(),
		})
	}
	return ok(map[string]any{"ids": ids, "latestDateCovered": covered})
}
