package trace

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// DeadStep is a record of the way that was given up, and where its dead letter lies. The original stays sealed and is left out.
type DeadStep struct {
	Letter *streamv1.DeadLetter
	Place  Place
}

// maxDead bounds how many dead letters a journey shows; the newest are kept.
const maxDead = 100

// followDead finds what was given up of the way, whatever became of it since: the run log keeps the latest outcome of a write
// only. A dead letter of one of our own topics has the key and the headers of the original in clear.
func (f *Finder) followDead(ctx context.Context, j *Journey, w *way, from time.Time) error {
	for key := range w.keys {
		scan := Scan{Topic: topic.DeadLetters, Key: []byte(key), From: from}
		err := scanMessages(ctx, f.Log, scan, func(l *streamv1.DeadLetter, p Place) {
			// Promise 9: an id of ours leads to nothing of another workspace.
			if l.GetWorkspace() != j.Workspace || string(l.GetKey()) != key || !w.ids[idOf(l)] {
				return
			}
			l.SealedValue, l.SealedEnvelope = nil, nil
			j.Dead = append(j.Dead, DeadStep{l, p})
		})
		if err != nil {
			return err
		}
	}
	slices.SortStableFunc(j.Dead, func(a, b DeadStep) int { return a.Place.Written.Compare(b.Place.Written) })
	j.Dead = j.Dead[max(0, len(j.Dead)-maxDead):]
	return nil
}

// way is what a journey's records are called: their keys, which say where their dead letters would lie, and their ids.
type way struct{ keys, ids map[string]bool }

func (w *way) pass(key []byte, p Place) {
	w.keys[string(key)] = true
	if p.ID != "" {
		w.ids[p.ID] = true
	}
}

func idOf(l *streamv1.DeadLetter) string {
	for _, h := range l.GetHeaders() {
		if h.GetKey() == stage.HeaderID {
			return string(h.GetValue())
		}
	}
	return ""
}

func deadStep(d DeadStep) Step {
	l := d.Letter
	return Step{
		At: l.GetAt().AsTime(), Stage: l.GetStage(), Where: d.Place.String(), What: "given up: " + reason(l.GetReason()),
		Detail: []string{
			l.GetDetail(),
			fmt.Sprintf("tried %d times; dead letter %s of %s/%d@%d", l.GetAttempts(), l.GetDeadLetterId(), l.GetTopic(), l.GetPartition(), l.GetOffset()),
		},
	}
}
