package faults

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/kafka"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// tail reads what the writer says as it says it.
type tail struct {
	t     *testing.T
	kafka *kafka.Client
	next  int64
	told  map[string]told            // by write.id
	open  map[string]map[string]bool // by connection: the writes that have not ended yet
}

func newTail(t *testing.T, client *kafka.Client, p *plan) *tail {
	t.Helper()
	l := &tail{t: t, kafka: client, told: map[string]told{}, open: map[string]map[string]bool{}}
	for _, w := range p.writes {
		if l.open[w.connection] == nil {
			l.open[w.connection] = map[string]bool{}
		}
		l.open[w.connection][w.id()] = true
	}
	return l
}

// read takes in everything that was said since the last read; it waits a little if that is nothing.
func (l *tail) read(ctx context.Context, wait time.Duration) {
	l.t.Helper()
	for more := true; more; wait = 0 {
		f, err := l.kafka.Fetch(ctx, stage.FetchRequest{
			Topic: topic.Outcomes, Offset: l.next, MinBytes: 1, MaxBytes: 1 << 20, MaxWait: wait,
		})
		if err != nil {
			return // it is read the next time; who waits in vain says so
		}
		for _, r := range f.Records {
			l.take(r)
		}
		l.next = max(l.next, f.Next)
		more = l.next < f.End
	}
}

func (l *tail) take(r stage.Record) {
	l.t.Helper()
	o := new(streamv1.Outcome)
	require.NoError(l.t, proto.Unmarshal(r.Value, o))
	text := strings.TrimPrefix(o.GetStatus().String(), "STATUS_")
	if o.GetReason() != 0 {
		text += " " + strings.TrimPrefix(o.GetReason().String(), "REASON_")
	}
	if *theSeed != 0 && o.GetStatus() == streamv1.Status_STATUS_FAILED {
		l.t.Logf("%s failed: %s %s", idOf(o), o.GetSalesforceCode(), o.GetDetail())
	}
	l.told[idOf(o)] = append(l.told[idOf(o)], text)
	switch o.GetStatus() {
	case streamv1.Status_STATUS_WRITTEN, streamv1.Status_STATUS_SKIPPED, streamv1.Status_STATUS_FAILED:
		delete(l.open[o.GetConnection()], idOf(o))
	default: // also after it had ended: a writer that took over may have to find out again how
		l.open[o.GetConnection()][idOf(o)] = true
	}
}

// ended reports whether all writes of these connections have ended, as far as was read.
func (l *tail) ended(connections []string) bool {
	for _, c := range connections {
		if len(l.open[c]) > 0 {
			return false
		}
	}
	return true
}

// settled reports whether nothing is left to do on the writer's topics.
func (w *world) settled() bool {
	read := func(group, name string) (lag, end int64, ok bool) {
		lags, err := w.kafka.Lag(w.t.Context(), group, name)
		if err != nil {
			return 0, 0, false
		}
		for _, l := range lags {
			lag, end = lag+l.Records(), end+l.End
		}
		return lag, end, true
	}
	// A write goes from one topic to the other and back: only when nothing was added meanwhile do the readings agree.
	l1, e1, ok1 := read("tl-writer", topic.Writes)
	l2, e2, ok2 := read("tl-writer-parked", topic.Parked)
	l3, e3, ok3 := read("tl-writer", topic.Writes)
	l4, e4, ok4 := read("tl-writer-parked", topic.Parked)
	return ok1 && ok2 && ok3 && ok4 && l1+l2+l3+l4 == 0 && e1 == e3 && e2 == e4
}
