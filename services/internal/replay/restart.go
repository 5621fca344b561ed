package replay

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// Where processing can restart.
const (
	AtIngest   = "ingest"
	AtVisits   = "visits"
	AtIdentity = "identity"
	AtMapping  = "mapping"
	AtWriter   = "writer"
)

// restarts are the stages in the order of the flow.
var restarts = []string{AtIngest, AtVisits, AtIdentity, AtMapping, AtWriter}

// Restart says where what was given up goes on, and how. The zero Restart goes on where it was given up, as it was, in bulk.
type Restart struct {
	// FromStage is one of the At constants; "" is where a letter was given up, with NewMapping at mapping. What is before mapping
	// needs the resolved record that the write was made from, which is kept as long as its topic keeps it. What visits and ingest
	// gave up restarts there only: what they took in is counted, and they would leave it alone.
	FromStage string
	// NewMapping lets the newest versions of the integrations decide, instead of those of the event's time.
	NewMapping bool
	// RealTime sends writes in the class of their integration; else they are of the bulk class, and take no calls from what happens
	// now (XC-10). A visit is of the bulk class as long as nothing has happened in it since.
	RealTime bool
}

// Validate names the flag that cannot be.
func (r *Restart) Validate() error {
	switch {
	case r.FromStage != "" && !slices.Contains(restarts, r.FromStage):
		return fmt.Errorf("--from-stage: %q is none of %s", r.FromStage, strings.Join(restarts, ", "))
	case r.NewMapping && r.FromStage != "" && r.FromStage != AtMapping && r.FromStage != AtIdentity:
		return errors.New("--new-mapping: from the stage " + r.FromStage + " nothing is mapped anew; leave --from-stage out, or give mapping or identity")
	}
	return nil
}

// stageOf is the stage that reads a topic.
func stageOf(name string) string {
	switch name {
	case topic.Writes, topic.Parked:
		return AtWriter
	case topic.Resolved:
		return AtMapping
	case topic.Engagements, topic.Unresolved:
		return AtIdentity
	case topic.Visits, topic.Activities:
		return AtVisits
	}
	return AtIngest // customers' topics
}

// at is where a letter from a topic goes on, or the problem that it cannot.
func (r *Restart) at(name string) (at, problem string) {
	where := stageOf(name)
	at = r.FromStage
	if at == "" {
		at = where
		if r.NewMapping && where == AtWriter {
			at = AtMapping
		}
	}
	switch {
	case r.NewMapping && slices.Index(restarts, where) < slices.Index(restarts, AtMapping):
		return "", "was given up before anything was mapped; replay it without a new mapping"
	case at == where:
		return at, ""
	case slices.Index(restarts, at) > slices.Index(restarts, where):
		return "", "was given up at " + where + ", before " + at + "; leave --from-stage out"
	case at == AtIngest || at == AtVisits:
		return "", "was given up at " + where + "; what " + at + " took in is counted there already. Replay it from identity or later"
	}
	return at, ""
}

// headers are the original's, with what this replay asks of the stages and without what an earlier one asked.
func (r *Restart) headers(original []stage.Header, at, remap string) []stage.Header {
	out := make([]stage.Header, 0, len(original)+3)
	for _, h := range original {
		if h.Key != topic.HeaderRemap && h.Key != topic.HeaderClass && h.Key != topic.HeaderAnew {
			out = append(out, h)
		}
	}
	if at == AtIdentity {
		out = append(out, stage.Header{Key: topic.HeaderAnew, Value: []byte("1")})
	}
	if remap != "" {
		out = append(out, stage.Header{Key: topic.HeaderRemap, Value: []byte(remap)})
	}
	if !r.RealTime {
		out = append(out, stage.Header{Key: topic.HeaderClass, Value: []byte(topic.ClassBulk)})
	}
	return out
}

// remapOf is what mapping is asked to do with what a write was made from: that write, and nothing else.
func (r *Restart) remapOf(w *streamv1.Write) string {
	return (&topic.Remap{Integration: w.GetIntegration(), WriteKey: w.GetWriteKey(), Then: !r.NewMapping}).String()
}

// engagementOf rebuilds the record of tl.engagements.v1 that a resolved record was made from: the engagement is in it as it was.
func engagementOf(resolved *stage.Record, headers []stage.Header) (stage.Message, bool) {
	v := &streamv1.Resolved{}
	if proto.Unmarshal(resolved.Value, v) != nil || v.GetEngagement().GetEngagementId() == "" {
		return stage.Message{}, false
	}
	e := v.GetEngagement()
	value, err := proto.Marshal(e)
	if err != nil {
		return stage.Message{}, false
	}
	return stage.Message{
		Topic: topic.Engagements, Key: slices.Clone(resolved.Key), Value: value,
		ID: fmt.Sprintf("%s-%d", e.GetEngagementId(), e.GetRevision()), Type: topic.TypeEngagement,
		Time: e.GetVisit().GetLastActivityAt().AsTime(), TraceParent: resolved.TraceParent(), Headers: headers,
	}, true
}
