package delivery

import (
	"context"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/services/writer/internal/queue"
)

// guarded is deliver. A panic in it is the batch's own trouble and not the process's, which other orgs' writes go through
// (promise 6): the batch's writes are tried again, and parked when that does not help. A bulk job that nobody follows any more is
// no trouble of one batch, so with one the process ends, and who comes after it looks after the job.
func (l *lane) guarded(ctx context.Context, b *queue.Batch, res *result) {
	defer func() {
		why := recover()
		if why == nil {
			return
		}
		if b.Job {
			panic(why)
		}
		l.panicked(b, res, stage.PanicPlace())
	}()
	l.deliver(ctx, b, res)
}

// panicked puts back what has not come to its end. Whether it was sent nobody knows. Promise 8: what the panic said may quote a
// record; where it was does not.
func (l *lane) panicked(b *queue.Batch, res *result, place string) {
	l.h.deps.Logger.Error("a request failed by a defect of this program; its writes are tried again, and parked if that does not help",
		"workspace", l.key.workspace, "connection", l.key.connection, "object", b.Group.Object, "writes", len(b.Items), "place", place)
	decided := make(map[*queue.Item]bool, len(b.Items))
	for i := range res.endings {
		decided[res.endings[i].item] = decided[res.endings[i].item] || !res.endings[i].waypoint()
	}
	for i := range res.parks {
		decided[res.parks[i].item] = true
	}
	for _, it := range res.again {
		decided[it] = true
	}
	res.members = nil
	for _, it := range b.Items {
		if !decided[it] {
			l.again(it, &salesforce.Error{
				Class: salesforce.ClassUnknown, Reason: salesforce.ReasonRejected, Code: stage.ReasonPanic, Ambiguous: true,
				Detail: "the writer failed by a defect at " + place,
			}, nil, res)
		}
	}
}
