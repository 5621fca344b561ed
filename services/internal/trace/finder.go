package trace

import (
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/stage"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/ids"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// Scan is a question to the log: the records of a topic from a time on, in offset order per partition.
type Scan struct {
	Topic string
	// Key limits the scan to the key's partition; nil reads all of them.
	Key []byte
	// From is the earliest broker time of interest; zero reads from the start.
	From time.Time
	// Ranges limits the scan to these offsets of these partitions; nil reads all there are. It takes the place of Key.
	Ranges map[int]stage.OffsetRange
	// Began is told before the first Visit which offsets the scan is going to read. Optional.
	Began func(map[int]stage.OffsetRange)
	// Visit is called for each record, from one goroutine at a time, until it returns false.
	Visit func(stage.Record) bool
}

// Log reads topics.
type Log interface {
	// Scan returns when Visit has said enough or the topic's end, as of the call, is reached.
	Scan(ctx context.Context, s Scan) error
}

// Outcomes answers from the run log.
type Outcomes interface {
	ListOutcomes(ctx context.Context, in *configv1.ListOutcomesRequest, opts ...grpc.CallOption) (*configv1.ListOutcomesResponse, error)
}

// Finder follows events. Safe for concurrent use.
type Finder struct {
	// Log reads the pipeline's topics.
	Log Log
	// Outcomes is the run log.
	Outcomes Outcomes
	// Slack is how much earlier than its id's time an event may have been written, for clocks that differ. Default 10 min.
	Slack time.Duration
}

// Query names the event.
type Query struct {
	Workspace string
	EventID   string
	// Since is where to start looking; zero takes the time from the id, if it is a UUIDv7, or reads everything.
	Since time.Time
}

const defaultSlack = 10 * time.Minute

// Find follows one event. A Journey that is not Found is not an error.
func (f *Finder) Find(ctx context.Context, q Query) (*Journey, error) {
	j := &Journey{Workspace: q.Workspace, EventID: q.EventID}
	if err := f.findActivity(ctx, q, j); err != nil {
		return nil, err
	}
	if j.Activity == nil {
		return j, f.outcomes(ctx, j, &configv1.ListOutcomesRequest{Workspace: q.Workspace, EventId: q.EventID})
	}
	visitID := ids.VisitID(q.Workspace, j.Activity.GetSession(), j.Activity.GetContent().GetContentId())
	if err := f.outcomes(ctx, j, &configv1.ListOutcomesRequest{Workspace: q.Workspace, EventId: q.EventID}); err != nil {
		return nil, err
	}
	if err := f.outcomes(ctx, j, &configv1.ListOutcomesRequest{Workspace: q.Workspace, VisitId: visitID}); err != nil {
		return nil, err
	}
	return j, f.followVisit(ctx, j, visitID)
}

// Activity finds the activity of one event; nil, and no error, if it is not there any more. It reads the activities topic only.
func (f *Finder) Activity(ctx context.Context, q Query) (*streamv1.Activity, Place, error) {
	j := &Journey{Workspace: q.Workspace, EventID: q.EventID}
	err := f.findActivity(ctx, q, j)
	return j.Activity, j.ActivityPlace, err
}

func (f *Finder) findActivity(ctx context.Context, q Query, j *Journey) error {
	from := q.Since
	if at, ok := idTime(q.EventID); from.IsZero() && ok {
		slack := f.Slack
		if slack == 0 {
			slack = defaultSlack
		}
		from = at.Add(-slack)
	}
	err := f.Log.Scan(ctx, Scan{Topic: topic.Activities, From: from, Visit: func(r stage.Record) bool {
		if string(r.Header(stage.HeaderID)) != q.EventID {
			return true
		}
		a := &streamv1.Activity{}
		if proto.Unmarshal(r.Value, a) != nil || a.GetWorkspace() != q.Workspace {
			return true // another workspace's event may have the same id: promise 9
		}
		j.Activity, j.ActivityPlace = a, place(r)
		return false
	}})
	if err != nil {
		return fmt.Errorf("look for event %s of workspace %s: %w", q.EventID, q.Workspace, err)
	}
	return nil
}

// followVisit reads, for the person who was known in the end, the partition of each topic the visit went through.
func (f *Finder) followVisit(ctx context.Context, j *Journey, visitID string) error {
	applied := 2 * (j.ActivityPlace.Offset + 1)
	from := j.ActivityPlace.Written.Add(-time.Second)
	var key []byte
	if s := j.Activity.GetSubject(); s != nil {
		key = topic.PersonKey(j.Workspace, s.GetPersonKey())
	}
	err := scanMessages(ctx, f.Log, Scan{Topic: topic.Visits, Key: key, From: from}, func(v *streamv1.Visit, p Place) {
		if v.GetVisitId() == visitID && v.GetRevision() >= applied {
			j.Visits = keepFirstAndLast(j.Visits, VisitStep{v, p})
		}
	})
	if err != nil || len(j.Visits) == 0 {
		return err
	}
	key = topic.PersonKey(j.Workspace, ids.Person(personOf(j.Visits), visitID))
	w := &way{keys: map[string]bool{}, ids: map[string]bool{}}
	oldest := j.Visits[0].Visit.GetRevision()
	err = scanMessages(ctx, f.Log, Scan{Topic: topic.Engagements, Key: key, From: from}, func(e *streamv1.Engagement, p Place) {
		if e.GetVisit().GetVisitId() == visitID && e.GetVisit().GetRevision() >= oldest {
			j.Engagements = keepFirstAndLast(j.Engagements, EngagementStep{e, p})
			w.pass(key, p)
		}
	})
	if err != nil || len(j.Engagements) == 0 {
		return err
	}
	if err := f.followEngagement(ctx, j, Scan{Key: key, From: from}, w); err != nil {
		return err
	}
	return f.followDead(ctx, j, w, from)
}

// personOf returns the key of the person that revisions of a visit are about, "" while nobody was known (IMM-36).
func personOf(revisions []VisitStep) string {
	for _, r := range revisions {
		if key := r.Visit.GetSubject().GetPersonKey(); key != "" {
			return key
		}
	}
	return ""
}

// followEngagement reads on from where the engagement's person is.
func (f *Finder) followEngagement(ctx context.Context, j *Journey, at Scan, passed *way) error {
	first := j.Engagements[0].Engagement
	at.Topic = topic.Resolved
	err := scanMessages(ctx, f.Log, at, func(r *streamv1.Resolved, p Place) {
		e := r.GetEngagement()
		if e.GetEngagementId() == first.GetEngagementId() && e.GetVisit().GetVisitId() == first.GetVisit().GetVisitId() && e.GetRevision() >= first.GetRevision() {
			j.Resolved = keepFirstAndLast(j.Resolved, ResolvedStep{r, p})
			passed.pass(at.Key, p)
		}
	})
	if err != nil {
		return err
	}
	connections := map[string]bool{}
	for _, r := range j.Resolved {
		connections[r.Resolved.GetConnection()] = true
	}
	for connection := range connections {
		byWrite := map[string][]WriteStep{}
		lane := Scan{Topic: topic.Writes, Key: topic.ConnectionKey(j.Workspace, connection), From: at.From}
		err := scanMessages(ctx, f.Log, lane, func(w *streamv1.Write, p Place) {
			if w.GetVisitId() == first.GetVisit().GetVisitId() && w.GetRevision() >= first.GetRevision() {
				byWrite[w.GetWriteKey()] = keepFirstAndLast(byWrite[w.GetWriteKey()], WriteStep{w, p})
				passed.pass(lane.Key, p)
			}
		})
		if err != nil {
			return err
		}
		for _, steps := range byWrite {
			j.Writes = append(j.Writes, steps...)
		}
	}
	slices.SortFunc(j.Writes, func(a, b WriteStep) int { return a.Place.Written.Compare(b.Place.Written) })
	return nil
}

func (f *Finder) outcomes(ctx context.Context, j *Journey, req *configv1.ListOutcomesRequest) error {
	answer, err := f.Outcomes.ListOutcomes(ctx, req)
	if status.Code(err) == codes.Unavailable {
		j.RunLogAway = true // what stands in Kafka can be told without it
		return nil
	}
	if status.Code(err) == codes.NotFound {
		return nil // there is no such workspace, and nothing of it anywhere
	}
	if err != nil {
		return fmt.Errorf("ask the run log about workspace %s: %w", j.Workspace, err)
	}
	for _, o := range answer.GetOutcomes() {
		if !slices.ContainsFunc(j.Outcomes, func(have *streamv1.Outcome) bool { return have.GetOutcomeId() == o.GetOutcomeId() }) {
			j.Outcomes = append(j.Outcomes, o)
		}
	}
	slices.SortFunc(j.Outcomes, func(a, b *streamv1.Outcome) int {
		return a.GetDecidedAt().AsTime().Compare(b.GetDecidedAt().AsTime())
	})
	return nil
}

// scanMessages decodes every record of a scan; what does not decode is not ours to judge here and is passed over.
func scanMessages[M any, P interface {
	*M
	proto.Message
}](ctx context.Context, log Log, s Scan, each func(P, Place),
) error {
	s.Visit = func(r stage.Record) bool {
		m := P(new(M))
		if r.Value != nil && proto.Unmarshal(r.Value, m) == nil {
			each(m, place(r))
		}
		return true
	}
	if err := log.Scan(ctx, s); err != nil {
		return fmt.Errorf("read %s: %w", s.Topic, err)
	}
	return nil
}

func keepFirstAndLast[T any](have []T, next T) []T {
	if len(have) < 2 {
		return append(have, next)
	}
	have[1] = next
	return have
}

func place(r stage.Record) Place {
	return Place{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Written: r.Time, TraceParent: r.TraceParent(), ID: string(r.Header(stage.HeaderID))}
}
