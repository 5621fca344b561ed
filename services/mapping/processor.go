package mapping

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/outcome"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/mapping/decide"
)

// processor maps one partition. It keeps nothing between batches.
type processor struct {
	settings Settings
	mapper   *decide.Mapper
	clock    stage.Clock
	tally    *tally
}

// Process maps a batch under one view of the settings.
func (p *processor) Process(ctx context.Context, batch []stage.Record, out *stage.Outbox) error {
	view := p.settings.View()
	if view == nil {
		return errNoSettings
	}
	run := &batchRun{view: view, mapper: p.mapper, now: p.clock.Now(), out: out}
	for i := range batch {
		if err := run.record(&batch[i]); err != nil {
			return err
		}
	}
	p.tally.add(ctx, &run.count)
	return nil
}

// batchRun is one Process call.
type batchRun struct {
	view   *settings.View
	mapper *decide.Mapper
	now    time.Time
	out    *stage.Outbox
	count  batchCount
}

// record maps one record; what can never be mapped goes to the dead letters.
func (b *batchRun) record(rec *stage.Record) error {
	resolved := &streamv1.Resolved{}
	if err := decode(rec, resolved); err != nil {
		b.out.DeadLetter(*rec, "BAD_SCHEMA", err.Error())
		return nil
	}
	id := resolved.GetEngagement().GetWorkspace()
	workspace, ok := b.view.Workspace(id)
	if !ok {
		return b.unknownWorkspace(rec, resolved)
	}
	if erased(workspace, resolved) {
		return b.erased(rec, resolved)
	}
	in := decide.Input{
		Workspace: workspace, Resolved: resolved, SettingsRevision: b.view.Revision(),
		TraceParent: rec.TraceParent(), Now: b.now,
	}
	if text := rec.Header(topic.HeaderRemap); text != nil {
		if in.Remap, ok = topic.ParseRemap(string(text)); !ok {
			b.out.DeadLetter(*rec, "BAD_SCHEMA", "the header "+topic.HeaderRemap+" is not what a replay writes")
			return nil
		}
	}
	result, err := b.mapper.Map(in)
	if err != nil {
		b.out.DeadLetter(*rec, "BAD_SCHEMA", err.Error())
		return nil
	}
	if f := result.Failure; f != nil {
		// Promise 3: what failed is kept with its reason and can be replayed when the rule is corrected.
		b.out.DeadLetter(*rec, reasonCode(f.GetReason()), f.GetDetail())
	}
	b.count.add(&result)
	return b.send(rec, &result)
}

// unknownWorkspace waits for settings that are older than the record; otherwise the workspace is gone.
func (b *batchRun) unknownWorkspace(rec *stage.Record, resolved *streamv1.Resolved) error {
	id := resolved.GetEngagement().GetWorkspace()
	if b.view.Revision() < resolved.GetSettingsRevision() {
		return fmt.Errorf("workspace %q is not in the settings of revision %d, and the record was made under %d: waiting for newer settings",
			id, b.view.Revision(), resolved.GetSettingsRevision())
	}
	b.out.DeadLetter(*rec, "BAD_TENANT", fmt.Sprintf("workspace %q is not in the settings; was it deleted?", id))
	return nil
}

func (b *batchRun) send(rec *stage.Record, result *decide.Result) error {
	traceParent := rec.TraceParent()
	for _, w := range result.Writes {
		value, err := proto.Marshal(w)
		if err != nil {
			return stage.Permanent("MAPPING_INVALID", fmt.Errorf("encode write %s of workspace %s: %w",
				w.GetWriteKey(), w.GetWorkspace(), err))
		}
		b.out.Send(stage.Message{
			Topic:       topic.Writes,
			Key:         topic.ConnectionKey(w.GetWorkspace(), w.GetConnection()),
			Value:       value,
			ID:          w.GetWriteKey() + "." + strconv.FormatInt(w.GetRevision(), 10),
			Type:        topic.TypeWrite,
			Time:        w.GetOccurredAt().AsTime(),
			TraceParent: traceParent,
			Headers:     topic.Class(rec.Header(topic.HeaderClass)),
		})
	}
	for _, o := range result.Outcomes {
		m, err := outcome.Message(o, traceParent)
		if err != nil {
			return stage.Permanent("MAPPING_INVALID", err)
		}
		b.out.Send(m)
	}
	return nil
}

// decode reads a resolved engagement and checks what every later step relies on.
func decode(rec *stage.Record, resolved *streamv1.Resolved) error {
	if err := proto.Unmarshal(rec.Value, resolved); err != nil {
		// The decoder's text could quote what it read (promise 8).
		return errors.New("not a throughline.stream.v1.Resolved message")
	}
	e := resolved.GetEngagement()
	switch {
	case e.GetWorkspace() == "" || e.GetEngagementId() == "":
		return errors.New("a resolved engagement without workspace or id")
	case e.GetVisit().GetVisitId() == "":
		return errors.New("a resolved engagement without the visit that caused it")
	case !e.GetVisit().GetLastActivityAt().IsValid():
		return errors.New("a resolved engagement whose visit has no valid time")
	case resolved.GetConnection() == "":
		return errors.New("a resolved engagement without a connection")
	}
	return nil
}
