package replay

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/internal/trace"
)

// pending is one letter that is to be fed again.
type pending struct {
	sample  *Sample
	message stage.Message
	// resolved is the id of the resolved record that has to be fed instead of the original, "" when the message is complete;
	// asked is what mapping is to do with it, and since how old it can be.
	resolved, asked string
	since           time.Time
}

func (p *pending) size() int { return len(p.message.Key) + len(p.message.Value) }

// prepare decides what is fed for a letter: its original, or with a new mapping the resolved record that mapping read. The
// problem says why there is nothing to feed.
func (x *run) prepare(r *stage.Record, sample *Sample) (p pending, problem string) {
	// Without a type the client adds no headers of its own: the original's are all there are.
	p = pending{sample: sample, message: stage.Message{Topic: r.Topic, Key: r.Key, Value: r.Value}}
	asked := string(r.Header(topic.HeaderRemap))
	p.message.Headers = slices.DeleteFunc(r.Headers, func(h stage.Header) bool { return h.Key == topic.HeaderRemap })
	if !x.NewMapping {
		return p, ""
	}
	switch r.Topic {
	case topic.Resolved:
		if asked == "" {
			asked = (&topic.Remap{}).String()
		}
		p.message.Headers = append(p.message.Headers, stage.Header{Key: topic.HeaderRemap, Value: []byte(asked)})
		return p, ""
	case topic.Writes, topic.Parked:
		w := &streamv1.Write{}
		if proto.Unmarshal(r.Value, w) != nil || w.GetEngagementId() == "" || w.GetIntegration() == "" || w.GetWriteKey() == "" {
			return p, fmt.Sprintf("dead letter %s is of a write that does not tell what it was made from", sample.ID)
		}
		return pending{
			sample: sample, resolved: topic.ResolvedID(w.GetEngagementId(), w.GetRevision(), w.GetConnection()),
			asked: (&topic.Remap{Integration: w.GetIntegration(), WriteKey: w.GetWriteKey()}).String(), since: w.GetOccurredAt().AsTime(),
		}, ""
	}
	return p, fmt.Sprintf("dead letter %s was given up before anything was mapped; replay it without a new mapping", sample.ID)
}

// complete looks the resolved records up that the batch needs, with one scan, and leaves out letters whose record is gone.
func (x *run) complete(ctx context.Context) error {
	wanted, since := map[string][]int{}, time.Time{}
	for i := range x.batch {
		p := &x.batch[i]
		if p.resolved == "" {
			continue
		}
		wanted[p.resolved] = append(wanted[p.resolved], i)
		if since.IsZero() || p.since.Before(since) {
			since = p.since
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	err := x.Log.Scan(ctx, trace.Scan{Topic: topic.Resolved, From: since.Add(-slack), Visit: func(r stage.Record) bool {
		id := string(r.Header(stage.HeaderID))
		for _, i := range wanted[id] {
			x.batch[i].fill(&r)
		}
		delete(wanted, id)
		return len(wanted) > 0
	}})
	if err != nil {
		return fmt.Errorf("look for what %d writes were made from: %w", len(wanted), err)
	}
	x.batch = slices.DeleteFunc(x.batch, func(p pending) bool {
		gone := p.resolved != "" && p.message.Topic == ""
		if gone {
			x.report.unreadable(fmt.Sprintf("dead letter %s: what its write was made from is no longer in %s; replay it without a new mapping",
				p.sample.ID, topic.Resolved))
		}
		return gone
	})
	return nil
}

// fill completes a letter with a resolved record, which belongs to the log.
func (p *pending) fill(r *stage.Record) {
	p.message = stage.Message{Topic: topic.Resolved, Key: bytes.Clone(r.Key), Value: bytes.Clone(r.Value)}
	for _, h := range r.Headers {
		if h.Key != topic.HeaderRemap {
			p.message.Headers = append(p.message.Headers, stage.Header{Key: h.Key, Value: bytes.Clone(h.Value)})
		}
	}
	p.message.Headers = append(p.message.Headers, stage.Header{Key: topic.HeaderRemap, Value: []byte(p.asked)})
}
