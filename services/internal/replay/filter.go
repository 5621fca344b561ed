package replay

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/deadletter"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// ErrNoFilter refuses a replay of everything there is.
var ErrNoFilter = errors.New("a replay needs a filter: give at least one of --workspace, --connection, --stage, --reason, " +
	"--event, --write, --id, --from or --to; `--from` with a time before the oldest dead letter means everything")

// Filter says which dead letters are meant. All conditions that are set must hold.
type Filter struct {
	Workspace string `json:"workspace,omitempty"`
	// Connection is known of writes and of what mapping read; other records belong to none and do not match.
	Connection string `json:"connection,omitempty"`
	// Stage is the one that gave the record up, e.g. "writer".
	Stage string `json:"stage,omitempty"`
	// Reason is a stable code, e.g. "BAD_SCHEMA", or "UNSPECIFIED".
	Reason string `json:"reason,omitempty"`
	// Event is the id of an event: that of a record's CloudEvents header or JSON body, or the one that caused a write.
	Event string `json:"event,omitempty"`
	// Write is a write key.
	Write string `json:"write,omitempty"`
	// Letter is the id of one dead letter.
	Letter string `json:"dead_letter_id,omitempty"`
	// From and To bound when the record was given up: From is included, To is not. Zero is no bound.
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`
}

// Validate reports a filter that names nothing, an unknown reason or an empty span of time.
func (f *Filter) Validate() error {
	if *f == (Filter{}) {
		return ErrNoFilter
	}
	if f.Reason != "" {
		if _, known := deadletter.Reason(f.Reason); !known {
			return fmt.Errorf("--reason: there is no reason %q; give a code as `throughline outcomes` prints it, e.g. BAD_SCHEMA", f.Reason)
		}
	}
	if !f.From.IsZero() && !f.To.IsZero() && !f.From.Before(f.To) {
		return errors.New("--from must be before --to")
	}
	return nil
}

// matchesLetter judges by what a letter says in clear.
func (f *Filter) matchesLetter(l *streamv1.DeadLetter) bool {
	at := l.GetAt().AsTime()
	return (f.Letter == "" || f.Letter == l.GetDeadLetterId()) &&
		(f.Workspace == "" || f.Workspace == l.GetWorkspace()) &&
		(f.Stage == "" || f.Stage == l.GetStage()) &&
		(f.Reason == "" || f.Reason == reasonName(l)) &&
		(f.From.IsZero() || !at.Before(f.From)) &&
		(f.To.IsZero() || at.Before(f.To))
}

// needsRecord reports whether the original must be read to judge.
func (f *Filter) needsRecord() bool { return f.Connection != "" || f.Event != "" || f.Write != "" }

// matchesRecord judges by the original.
func (f *Filter) matchesRecord(r *stage.Record) bool {
	if !f.needsRecord() {
		return true
	}
	about := describe(r)
	return (f.Connection == "" || f.Connection == about.connection) &&
		(f.Event == "" || f.Event == about.event) &&
		(f.Write == "" || f.Write == about.write)
}

type identity struct{ connection, event, write, trace string }

// describe tells what a record is about, as far as it can be read; much of what is dead cannot.
func describe(r *stage.Record) identity {
	about := contentOf(r)
	about.trace = traceID(r.TraceParent())
	return about
}

// traceID is the id of a W3C trace context; "" when it is none.
func traceID(parent string) string {
	parts := strings.Split(parent, "-")
	if len(parts) != 4 || len(parts[1]) != 32 {
		return ""
	}
	if _, err := hex.DecodeString(parts[1]); err != nil {
		return ""
	}
	return parts[1]
}

func contentOf(r *stage.Record) identity {
	switch r.Topic {
	case topic.Writes, topic.Parked:
		w := &streamv1.Write{}
		if proto.Unmarshal(r.Value, w) == nil && w.GetWriteKey() != "" {
			return identity{connection: w.GetConnection(), event: w.GetEventId(), write: w.GetWriteKey()}
		}
		_, connection, _ := strings.Cut(string(r.Key), "/")
		return identity{connection: connection}
	case topic.Resolved:
		v := &streamv1.Resolved{}
		if proto.Unmarshal(r.Value, v) == nil {
			return identity{connection: v.GetConnection(), event: v.GetEngagement().GetVisit().GetLastEventId()}
		}
		return identity{}
	case topic.Engagements, topic.Unresolved:
		e := &streamv1.Engagement{}
		if proto.Unmarshal(r.Value, e) == nil {
			return identity{event: e.GetVisit().GetLastEventId()}
		}
		return identity{}
	case topic.Visits:
		v := &streamv1.Visit{}
		if proto.Unmarshal(r.Value, v) == nil {
			return identity{event: v.GetLastEventId()}
		}
		return identity{}
	}
	if id := r.Header(stage.HeaderID); len(id) > 0 {
		return identity{event: string(id)}
	}
	var body struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(r.Value, &body) != nil {
		return identity{}
	}
	return identity{event: body.ID}
}

func reasonName(l *streamv1.DeadLetter) string {
	return strings.TrimPrefix(l.GetReason().String(), "REASON_")
}
