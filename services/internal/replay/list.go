package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/deadletter"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/internal/trace"
)

// Newest returns the newest dead letters that the filter means, newest first, at most limit. A filter that names nothing means
// all: looking changes nothing. What a letter is about is missing where its original does not open.
func (r *Replayer) Newest(ctx context.Context, f Filter, limit int) ([]Sample, error) {
	if f != (Filter{}) {
		if err := f.Validate(); err != nil {
			return nil, err
		}
	}
	var found []Sample
	scan := trace.Scan{Topic: topic.DeadLetters, Visit: func(rec stage.Record) bool {
		if sample, ok := r.look(&rec, &f); ok {
			found = append(found, sample)
		}
		if len(found) >= 2*limit { // promise 7
			found = newest(found, limit)
		}
		return true
	}}
	if !f.From.IsZero() {
		scan.From = f.From.Add(-slack)
	}
	if err := r.Log.Scan(ctx, scan); err != nil {
		return nil, fmt.Errorf("read dead letters: %w", err)
	}
	return newest(found, limit), nil
}

func newest(found []Sample, limit int) []Sample {
	slices.SortStableFunc(found, func(a, b Sample) int { return b.At.Compare(a.At) })
	return found[:min(limit, len(found))]
}

// look tells of one dead letter, if it is meant.
func (r *Replayer) look(rec *stage.Record, f *Filter) (Sample, bool) {
	letter := &streamv1.DeadLetter{}
	if proto.Unmarshal(rec.Value, letter) != nil || !f.matchesLetter(letter) {
		return Sample{}, false
	}
	original, err := deadletter.Open(r.Opener, letter)
	if err != nil && !errors.Is(err, deadletter.ErrValueNotCopied) {
		return *newSample(letter, identity{}), !f.needsRecord()
	}
	if !f.matchesRecord(&original) {
		return Sample{}, false
	}
	return *newSample(letter, describe(&original)), true
}
