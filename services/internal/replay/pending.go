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
	// resolved is the id of the resolved record that has to be fed instead of the original, or that identity's input is rebuilt
	// from; "" when the message is complete. remap is what mapping is to do with it, since how old it can be.
	resolved, remap string
	at              string
	since           time.Time
}

func (p *pending) size() int { return len(p.message.Key) + len(p.message.Value) }

// prepare decides what is fed for a letter: its original, or what an earlier stage read. The problem says why there is nothing
// to feed.
func (x *run) prepare(r *stage.Record, sample *Sample) (p pending, problem string) {
	at, problem := x.Restart.at(r.Topic)
	if problem != "" {
		return p, "dead letter " + sample.ID + " " + problem
	}
	switch {
	case at == stageOf(r.Topic):
		// Without a type the client adds no headers of its own: the original's are all there are.
		return pending{sample: sample, at: at, message: stage.Message{
			Topic: r.Topic, Key: r.Key, Value: r.Value, Headers: x.headersAs(r, at),
		}}, ""
	case stageOf(r.Topic) == AtMapping:
		m, ok := engagementOf(r, x.headers(nil, AtIdentity, x.askedBefore(r)))
		if !ok {
			return p, fmt.Sprintf("dead letter %s holds no engagement that identity could look up again", sample.ID)
		}
		return pending{sample: sample, at: at, message: m}, ""
	}
	w := &streamv1.Write{}
	if proto.Unmarshal(r.Value, w) != nil || w.GetEngagementId() == "" || w.GetIntegration() == "" || w.GetWriteKey() == "" {
		return p, fmt.Sprintf("dead letter %s is of a write that does not tell what it was made from", sample.ID)
	}
	return pending{
		sample: sample, at: at, remap: x.remapOf(w), since: w.GetOccurredAt().AsTime(),
		resolved: topic.ResolvedID(w.GetEngagementId(), w.GetRevision(), w.GetConnection()),
	}, ""
}

// askedBefore is the Remap for a resolved record: the one that it was given up with, else whatever failed in mapping.
func (x *run) askedBefore(r *stage.Record) string {
	if !x.NewMapping {
		return ""
	}
	if before := string(r.Header(topic.HeaderRemap)); before != "" {
		return before
	}
	return (&topic.Remap{}).String()
}

// headersAs are the headers of an original that goes back where it was given up.
func (x *run) headersAs(r *stage.Record, at string) []stage.Header {
	if at == AtMapping {
		return x.headers(r.Headers, at, x.askedBefore(r))
	}
	return x.headers(r.Headers, at, "")
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
			x.fill(&x.batch[i], &r)
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
			x.report.unreadable(fmt.Sprintf("dead letter %s: what its write was made from is no longer in %s; replay it from the stage writer",
				p.sample.ID, topic.Resolved))
		}
		return gone
	})
	return nil
}

// fill completes a letter with a resolved record, which belongs to the log.
func (x *run) fill(p *pending, r *stage.Record) {
	if p.at == AtIdentity {
		if m, ok := engagementOf(r, x.headers(nil, AtIdentity, p.remap)); ok {
			p.message = m
		}
		return
	}
	p.message = stage.Message{Topic: topic.Resolved, Key: bytes.Clone(r.Key), Value: bytes.Clone(r.Value)}
	headers := make([]stage.Header, len(r.Headers))
	for i, h := range r.Headers {
		headers[i] = stage.Header{Key: h.Key, Value: bytes.Clone(h.Value)}
	}
	p.message.Headers = x.headers(headers, p.at, p.remap)
}
