package delivery

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/writer/internal/gate"
	"github.com/throughline-dev/throughline/services/writer/internal/ledger"
	"github.com/throughline-dev/throughline/services/writer/internal/queue"
)

// result gathers what became of a batch.
type result struct {
	endings []ending
	again   []*queue.Item
	parks   []park
	// withdrawn are the intents of inserts that the org answered, and did not make, and that are parked or sent again.
	withdrawn []stage.Entry
	// members are those who were in their campaign already, and whose status may have to be raised.
	members []member
}

// request carries one batch to its end: calls, ledger, outcomes, offsets, and back into the queue with the rest.
func (l *lane) request(b *queue.Batch) {
	ctx, span := l.startSpan(l.h.life, b)
	defer span.End()
	res := new(result)
	l.guarded(ctx, b, res)
	l.judge(ctx, res.endings)
	l.answered(b)
	// The batch's records stay in flight until the ledger knows them: the next revision must find this one there.
	if err := l.finishAll(ctx, res.endings); err != nil {
		l.abandoned("end writes", err)
	}
	if err := l.parkAll(ctx, res); err != nil {
		l.abandoned("park writes", err)
	}
	l.finishRequest(b, res.again)
}

func (l *lane) parkAll(ctx context.Context, res *result) error {
	if len(res.withdrawn) > 0 {
		if err := l.h.port.Save(ctx, res.withdrawn...); err != nil {
			return err
		}
	}
	return l.h.publishAllParks(ctx, res.parks)
}

// deliver makes the calls.
func (l *lane) deliver(ctx context.Context, b *queue.Batch, res *result) {
	client, err := l.h.deps.Orgs.Client(l.key.workspace, l.key.connection)
	if err != nil {
		for _, it := range b.Items {
			res.park(it, streamv1.Reason_REASON_SF_AUTH_REVOKED, "the settings have no such connection")
		}
		return
	}
	items := l.admitted(b.Items, res)
	for _, it := range items {
		it.Attempts++
	}
	parcels := l.open(items, res)
	if !l.still(client) {
		l.onceMore(parcels, res)
		return
	}
	parcels = l.followLeads(ctx, client, parcels, res)
	if b.Group.Operation != streamv1.Operation_OPERATION_INSERT {
		if !l.intendOvertaking(ctx, parcels) {
			return
		}
	} else if parcels = l.prepareInserts(ctx, client, parcels, b.Look, res); b.Group.Object == memberObject {
		l.sendMembers(ctx, client, b.Group, parcels, res)
		l.warnOfInactive(ctx, client, res)
		return
	}
	if b.Job {
		l.sendJob(ctx, client, b.Group, parcels, res)
		return
	}
	l.send(ctx, client, b.Group, parcels, res)
}

// send makes one call and judges its answer.
func (l *lane) send(ctx context.Context, client *salesforce.Client, g queue.Group, parcels []parcel, res *result) {
	if parcels = l.unpaused(parcels, res); len(parcels) == 0 {
		return
	}
	if state := l.state(g.Priority, l.h.deps.Clock.Now()); !state.Open {
		// It closed while earlier parts of the batch were under way: spend no more calls.
		for i := range parcels {
			res.withdraw(parcels[i].item)
			res.park(parcels[i].item, state.Reason, state.Detail)
		}
		return
	}
	l.gate.Spent(g.Priority, 1, l.h.deps.Clock.Now())
	answer, err := client.Collections(ctx, collection(g, parcels))
	l.h.deps.Tally.Request(ctx, l.org(), "collections", resultOf(err))
	if err != nil {
		l.refused(ctx, client, g, parcels, asError(err), &answer.Call, res)
		return
	}
	l.gate.Succeeded()
	if g.Object == memberObject {
		l.nameGoneCampaigns(ctx, client, parcels, answer.Records)
	}
	l.askForDuplicates(ctx, client, g, parcels, answer.Records)
	locked := false
	for i := range parcels {
		r := &answer.Records[i]
		if r.Err == nil {
			l.confirmed(parcels[i].item, r, &answer.Call, res)
			continue
		}
		locked = locked || r.Err.Class == salesforce.ClassLock
		l.failedRecord(&parcels[i], r.Err, &answer.Call, res)
	}
	l.adjust(func() {
		if locked {
			l.pace.Locked()
		} else {
			l.pace.Smooth()
		}
	})
}

// intendOvertaking saves that revisions are about to be sent that took the place of older ones, or that older ones are parked
// for. Those come again if the process dies now, and must not be sent over the newer ones then. Promise 4.
func (l *lane) intendOvertaking(ctx context.Context, parcels []parcel) bool {
	var intents []stage.Entry
	now := l.h.deps.Clock.Now()
	for i := range parcels {
		if !parcels[i].item.Overtook && !ledger.Awaited(l.h.table, parcels[i].item.Write) {
			continue
		}
		entry, err := ledger.IntendOver(l.h.table, parcels[i].item.Write, now)
		if err != nil {
			l.abandoned("note an intent", err)
			return false
		}
		intents = append(intents, entry)
	}
	if len(intents) == 0 {
		return true
	}
	if err := l.h.port.Save(ctx, intents...); err != nil {
		l.abandoned("save intents", err)
		return false
	}
	return true
}

func (l *lane) adjust(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

// refused deals with a request that failed as a whole.
func (l *lane) refused(ctx context.Context, client *salesforce.Client, g queue.Group, parcels []parcel, e *salesforce.Error,
	call *salesforce.Call, res *result,
) {
	if ctx.Err() != nil {
		return // given up: unsettled, it all comes again
	}
	now := l.h.deps.Clock.Now()
	l.gate.Failed(e, now)
	switch {
	case e.Class == salesforce.ClassAuth, e.Class == salesforce.ClassQuota,
		e.Class == salesforce.ClassConfig && !l.gate.State(now).Open:
		for i := range parcels {
			res.withdraw(parcels[i].item)
			res.park(parcels[i].item, gate.ReasonOf(e), e.Detail)
		}
	case e.Class == salesforce.ClassTransient || e.Class == salesforce.ClassLock || e.Ambiguous ||
		(e.Class == salesforce.ClassUnknown && untried(parcels, l.h.cfg.UnknownTries)):
		l.adjust(func() {
			l.pace.Trouble()
			if e.Split || e.Code == salesforce.CodeTimeout {
				l.pace.TooBig()
			}
		})
		for i := range parcels {
			l.again(parcels[i].item, e, call, res)
		}
	default:
		l.bisect(ctx, client, g, parcels, e, call, res)
	}
}

// untried counts one more answer nobody can classify and reports whether the same request is worth repeating whole.
func untried(parcels []parcel, tries int) bool {
	worth := true
	for i := range parcels {
		parcels[i].item.Unknowns++
		worth = worth && parcels[i].item.Unknowns < tries
	}
	return worth
}

// bisect finds the record for which Salesforce refuses a whole request, so that it fails alone (XC-12).
func (l *lane) bisect(ctx context.Context, client *salesforce.Client, g queue.Group, parcels []parcel, e *salesforce.Error,
	call *salesforce.Call, res *result,
) {
	if len(parcels) == 1 || aboutTarget(e) {
		for i := range parcels {
			l.failedRecord(&parcels[i], e, call, res)
		}
		return
	}
	// An unknown field is named: those that set it fail at once, instead of by halves with twice as many calls as records.
	if guilty, rest := blame(parcels, e); len(guilty) > 0 {
		for i := range guilty {
			l.failedRecord(&guilty[i], e, call, res)
		}
		l.send(ctx, client, g, rest, res)
		return
	}
	half := len(parcels) / 2
	l.send(ctx, client, g, parcels[:half], res)
	l.send(ctx, client, g, parcels[half:], res)
}

// aboutTarget reports whether the refusal is about the request's object or key field, and so about every record.
func aboutTarget(e *salesforce.Error) bool {
	switch e.Code {
	case "NOT_FOUND", "INVALID_TYPE", "METHOD_NOT_ALLOWED", "UNSUPPORTED_MEDIA_TYPE":
		return true
	}
	return false
}

// confirmed ends a write that Salesforce confirmed.
func (l *lane) confirmed(it *queue.Item, r *salesforce.RecordResult, call *salesforce.Call, res *result) {
	e := written(it, r.ID, r.Created)
	e.call = call
	entry, err := ledger.Confirm(asWritten(it), r.ID, l.h.deps.Clock.Now())
	if err != nil {
		l.abandoned("note a confirmed write", err)
		return
	}
	e.entry = &entry
	res.endings = append(res.endings, e)
}

// failedRecord deals with one record that Salesforce refused.
func (l *lane) failedRecord(p *parcel, e *salesforce.Error, call *salesforce.Call, res *result) {
	it, e := p.item, p.unquoted(e)
	switch {
	case e.Reason == salesforce.ReasonAlreadyMember:
		l.isMember(member{parcel: *p, id: e.ExistingID, note: salesforce.ReasonAlreadyMember, call: call}, res)
		return
	case e.Class == salesforce.ClassTransient || e.Class == salesforce.ClassLock:
		l.again(it, e, call, res)
		return
	case e.Class == salesforce.ClassQuota || e.Class == salesforce.ClassAuth:
		l.gate.Failed(e, l.h.deps.Clock.Now())
		res.withdraw(it)
		res.park(it, gate.ReasonOf(e), e.Detail)
		return
	case aboutOwner(e) && !it.WithoutOwner && p.hasPerson():
		// IMM-30: once more without the owner, since the record has a person to belong to.
		it.WithoutOwner = true
		it.Notes = append(it.Notes, "OWNER_REFUSED")
		l.again(it, e, call, res)
		return
	case e.Reason == salesforce.ReasonConvertedLead && !it.LeadConverted && len(p.leads()) > 0 && l.followsConverted():
		// IMM-35: once more with the Contact that the Lead became meanwhile.
		it.LeadConverted = true
		it.Notes = append(it.Notes, "LEAD_CONVERTED")
		l.again(it, e, call, res)
		return
	case l.leaveOut(p, e):
		it.NotBefore = l.h.deps.Clock.Now()
		res.withdraw(it)
		res.again = append(res.again, it) // at most once per field
		return
	case e.Class == salesforce.ClassUnknown || raced(it, e):
		if it.Unknowns++; it.Unknowns < l.h.cfg.UnknownTries {
			l.again(it, e, call, res)
			return
		}
	}
	end := failed(it, e)
	end.call = call
	l.fail(end, res)
}

// fail ends a write for good. What the ledger has noted for it is taken back: the next revision may be the one.
func (l *lane) fail(end ending, res *result) {
	if withdrawable(end.item) {
		entry := ledger.Withdraw(end.item.Write)
		end.entry = &entry
	} else if end.item.Ambiguous && !ledger.Once(end.item.Write) {
		entry, err := ledger.Doubt(l.h.table, end.item.Write, l.h.deps.Clock.Now())
		if err != nil {
			l.abandoned("end a write", err)
			return
		}
		end.entry = &entry
	}
	res.endings = append(res.endings, end)
}

// raced reports whether an upsert met another that was creating the same record: the repeat finds it.
func raced(it *queue.Item, e *salesforce.Error) bool {
	return e.Code == "DUPLICATE_VALUE" && it.Write.GetOperation() == streamv1.Operation_OPERATION_UPSERT
}

// again sends a write once more after a wait, or parks it when it has been tried long enough (promise 7).
func (l *lane) again(it *queue.Item, e *salesforce.Error, call *salesforce.Call, res *result) {
	now := l.h.deps.Clock.Now()
	it.Ambiguous = it.Ambiguous || e.Ambiguous
	res.withdraw(it)
	if it.Attempts >= l.h.cfg.Attempts || now.Sub(it.Accepted)-it.InJobs > l.h.cfg.HoldFor {
		res.park(it, gate.ReasonOf(e), e.Detail)
		return
	}
	it.NotBefore = now.Add(l.backoff(it.Attempts))
	if it.Ambiguous && it.Write.GetOperation() == streamv1.Operation_OPERATION_INSERT {
		it.NotBefore = later(it.NotBefore, now.Add(l.h.cfg.LookAfter))
	}
	if it.Attempts == 1 {
		told := retrying(it, e)
		told.call = call
		res.endings = append(res.endings, told)
	}
	res.again = append(res.again, it)
}

// backoff doubles with every attempt and is spread over its second half, so that lanes do not march in step.
func (l *lane) backoff(attempts int) time.Duration {
	wait := l.h.cfg.RetryMin
	for i := 1; i < attempts && wait < l.h.cfg.RetryMax; i++ {
		wait *= 2
	}
	wait = min(wait, l.h.cfg.RetryMax)
	return wait/2 + rand.N(wait/2+1)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (r *result) park(it *queue.Item, reason streamv1.Reason, detail string) {
	r.parks = append(r.parks, park{item: it, reason: reason, detail: detail})
}

// withdraw takes an insert's intent back: the org answered, and made nothing.
func (r *result) withdraw(it *queue.Item) {
	if withdrawable(it) {
		r.withdrawn = append(r.withdrawn, ledger.Withdraw(it.Write))
	}
}

// withdrawable reports whether a refused insert leaves nothing in doubt. After a lost answer the intent stays, whatever
// later answers say: the first call may still come through.
func withdrawable(it *queue.Item) bool {
	return it.Write.GetOperation() == streamv1.Operation_OPERATION_INSERT && !it.Ambiguous
}

func asError(err error) *salesforce.Error {
	var e *salesforce.Error
	if errors.As(err, &e) {
		return e
	}
	return &salesforce.Error{Class: salesforce.ClassUnknown, Reason: salesforce.ReasonRejected, Detail: "an unexpected failure"}
}

func resultOf(err error) string {
	if err == nil {
		return "ok"
	}
	return asError(err).Class.String()
}
