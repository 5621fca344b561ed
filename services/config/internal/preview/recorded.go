package preview

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/ids"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/internal/trace"
)

// Log reads the pipeline's topics.
type Log = trace.Log

// Selection chooses recorded engagements of one workspace; one of Engagement, Event and Newest is set.
type Selection struct {
	Workspace, Connection string
	Engagement, Event     string
	Newest                int
	// Since is how far back to look.
	Since time.Time
	// Erased reports who of the people with the keys must not be shown.
	Erased func(ctx context.Context, personKeys []string) (map[string]bool, error)
}

// Found is a recorded engagement in its newest revision.
type Found struct {
	Resolved    *streamv1.Resolved
	TraceParent string
	// Unresolved: nobody was looked for in the connection's org.
	Unresolved bool
}

// Find reads recorded engagements, the newest first. Those that nobody resolved for the connection are taken from before that.
func Find(ctx context.Context, log Log, s Selection) ([]Found, error) {
	visit := ""
	if s.Event != "" {
		finder := trace.Finder{Log: log}
		activity, place, err := finder.Activity(ctx, trace.Query{Workspace: s.Workspace, EventID: s.Event})
		if err != nil || activity == nil {
			return nil, err
		}
		visit = ids.VisitID(s.Workspace, activity.GetSession(), activity.GetContent().GetContentId())
		s.Since = place.Written.Add(-time.Minute)
	}
	c := &collector{selection: s, visit: visit, newest: map[string]Found{}, room: max(s.Newest, 1)}
	err := log.Scan(ctx, trace.Scan{Topic: topic.Resolved, From: s.Since, Visit: func(rec stage.Record) bool {
		r := &streamv1.Resolved{}
		if rec.Value != nil && proto.Unmarshal(rec.Value, r) == nil && r.GetConnection() == s.Connection {
			c.take(Found{Resolved: r, TraceParent: rec.TraceParent()})
		}
		return true
	}})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", topic.Resolved, err)
	}
	if len(c.newest) == 0 {
		err = log.Scan(ctx, trace.Scan{Topic: topic.Engagements, From: s.Since, Visit: func(rec stage.Record) bool {
			e := &streamv1.Engagement{}
			if rec.Value != nil && proto.Unmarshal(rec.Value, e) == nil {
				c.take(Found{
					Resolved:    &streamv1.Resolved{Engagement: e, Connection: s.Connection, Resolution: &streamv1.Resolution{Reason: streamv1.Reason_REASON_NO_MATCH}},
					TraceParent: rec.TraceParent(), Unresolved: true,
				})
			}
			return true
		}})
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", topic.Engagements, err)
		}
	}
	return c.result(ctx)
}

// collector keeps what was chosen, as much as there is room for (promise 7).
type collector struct {
	selection Selection
	visit     string
	room      int
	newest    map[string]Found
}

func (c *collector) take(f Found) {
	e := f.Resolved.GetEngagement()
	id := e.GetEngagementId()
	switch {
	case e.GetWorkspace() != c.selection.Workspace: // promise 9
		return
	case c.selection.Engagement != "" && id != c.selection.Engagement:
		return
	case c.visit != "" && e.GetVisit().GetVisitId() != c.visit:
		return
	}
	if known, ok := c.newest[id]; ok && known.Resolved.GetEngagement().GetRevision() > e.GetRevision() {
		return
	}
	c.newest[id] = f
	if len(c.newest) <= c.room {
		return
	}
	oldest := ""
	for other, known := range c.newest {
		if oldest == "" || lastActive(known).Before(lastActive(c.newest[oldest])) {
			oldest = other
		}
	}
	delete(c.newest, oldest)
}

func lastActive(f Found) time.Time {
	return f.Resolved.GetEngagement().GetVisit().GetLastActivityAt().AsTime()
}

// result leaves out who was erased (XC-31).
func (c *collector) result(ctx context.Context) ([]Found, error) {
	var people []string
	for _, f := range c.newest {
		if key := f.Resolved.GetEngagement().GetSubject().GetPersonKey(); key != "" {
			people = append(people, key)
		}
		if key := ownerKey(f.Resolved.GetEngagement()); key != "" {
			people = append(people, key)
		}
	}
	erased := map[string]bool{}
	if len(people) > 0 {
		var err error
		if erased, err = c.selection.Erased(ctx, people); err != nil {
			return nil, err
		}
	}
	var out []Found
	for _, f := range c.newest {
		e := f.Resolved.GetEngagement()
		if erased[e.GetSubject().GetPersonKey()] {
			continue
		}
		if erased[ownerKey(e)] {
			for _, content := range []*streamv1.Content{e.GetContent(), e.GetVisit().GetContent()} {
				if content != nil {
					content.OwnerKey, content.OwnerSealed = "", nil
				}
			}
		}
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b Found) int {
		return cmp.Or(lastActive(b).Compare(lastActive(a)),
			cmp.Compare(a.Resolved.GetEngagement().GetEngagementId(), b.Resolved.GetEngagement().GetEngagementId()))
	})
	return out, nil
}

func ownerKey(e *streamv1.Engagement) string {
	return cmp.Or(e.GetVisit().GetContent().GetOwnerKey(), e.GetContent().GetOwnerKey())
}
