package resolve

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/stage"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/identity/directory"
	"github.com/throughline-dev/throughline/services/identity/match"
	"github.com/throughline-dev/throughline/services/internal/ids"
	"github.com/throughline-dev/throughline/services/internal/integration"
	"github.com/throughline-dev/throughline/services/internal/outcome"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// stageName is how outcomes name this stage.
const stageName = "identity"

// Headers of a record in the unresolved topic.
const (
	headerConnection = "tl_connection"
	headerAttempt    = "tl_attempt"
	headerDue        = "tl_due"
	headerSince      = "tl_since"
)

const fieldEngagement = 1 // of stream.v1.Resolved

// resolved builds the message that tells who was found. The engagement's bytes go into it as they came.
func resolved(j *job, a *directory.Answer, revision int64) (stage.Message, error) {
	connection, _ := j.workspace.Connection(j.connection)
	rest, err := proto.Marshal(&streamv1.Resolved{
		Connection:       j.connection,
		Resolution:       resolution(j, a),
		OrgTimeZone:      zoneAt(connection.GetOrg(), j.engagement.GetVisit()),
		SettingsRevision: revision,
		Org:              orgOf(connection),
	})
	if err != nil {
		return stage.Message{}, fmt.Errorf("encode the resolution of engagement %s of workspace %s: %w",
			j.engagement.GetEngagementId(), j.workspace.ID(), err)
	}
	value := make([]byte, 0, len(j.rec.Value)+len(rest)+8)
	value = protowire.AppendTag(value, fieldEngagement, protowire.BytesType)
	value = protowire.AppendBytes(value, j.rec.Value)
	value = append(value, rest...)
	m := j.message(topic.Resolved, topic.TypeResolved)
	m.Value = value
	return m, nil
}

// zoneAt returns the org's default zone when a visit began: it is the same however late, and however often, the visit is told
// of (promise 5), and a zone that the org changed to since is for later visits (XC-36).
func zoneAt(org *configv1.Org, visit *streamv1.Visit) string {
	began := cmp.Or(visit.GetStartedAt(), visit.GetLastActivityAt())
	if began == nil {
		return org.GetTimeZone()
	}
	return integration.ZoneAt(org, began.AsTime())
}

// message begins a message about the job.
func (j *job) message(name, kind string) stage.Message {
	return stage.Message{
		Topic: name,
		Key: topic.PersonKey(j.engagement.GetWorkspace(),
			ids.Person(j.engagement.GetSubject().GetPersonKey(), j.engagement.GetVisit().GetVisitId())),
		ID:          topic.ResolvedID(j.engagement.GetEngagementId(), j.engagement.GetRevision(), j.connection),
		Type:        kind,
		Time:        j.engagement.GetVisit().GetLastActivityAt().AsTime(),
		TraceParent: j.rec.TraceParent(),
		Headers:     asked(j.rec),
	}
}

// asked passes on what a replay asks of later stages.
func asked(rec *stage.Record) (headers []stage.Header) {
	for _, name := range []string{topic.HeaderRemap, topic.HeaderClass} {
		if value := rec.Header(name); value != nil {
			headers = append(headers, stage.Header{Key: name, Value: value})
		}
	}
	return headers
}

// anew keeps what a replay asks of this stage, for a record that comes back to it.
func anew(rec *stage.Record) []stage.Header {
	if value := rec.Header(topic.HeaderAnew); value != nil {
		return []stage.Header{{Key: topic.HeaderAnew, Value: value}}
	}
	return nil
}

// unresolved builds the message that brings the job back when it is due.
func unresolved(j *job, due time.Time) stage.Message {
	m := j.message(topic.Unresolved, topic.TypeEngagement)
	m.Value = j.rec.Value
	m.ID += "-" + strconv.Itoa(j.attempt)
	m.Headers = append(
		m.Headers,
		anew(j.rec)...,
	)
	m.Headers = append(
		m.Headers,
		stage.Header{Key: headerConnection, Value: []byte(j.connection)},
		stage.Header{Key: headerAttempt, Value: []byte(strconv.Itoa(j.attempt))},
		stage.Header{Key: headerDue, Value: millis(due)},
		stage.Header{Key: headerSince, Value: millis(j.since)},
	)
	return m
}

// told builds an outcome of the engagement's visit.
func told(e *streamv1.Engagement, status streamv1.Status, reason streamv1.Reason, now time.Time) *streamv1.Outcome {
	return &streamv1.Outcome{
		Workspace:        e.GetWorkspace(),
		Status:           status,
		Reason:           reason,
		Stage:            stageName,
		EventId:          e.GetVisit().GetLastEventId(),
		VisitId:          e.GetVisit().GetVisitId(),
		EngagementId:     e.GetEngagementId(),
		PersonKey:        e.GetSubject().GetPersonKey(),
		Revision:         e.GetRevision(),
		OccurredAt:       e.GetVisit().GetLastActivityAt(),
		DecidedAt:        timestamppb.New(now),
		SettingsRevision: e.GetVisit().GetSettingsRevision(),
	}
}

// noWorkflow says that no integration takes the visit, when the visit is over; of an unknown viewer, that nobody knows
// who it was.
func noWorkflow(rec *stage.Record, e *streamv1.Engagement, view *settings.View, now time.Time) (m stage.Message, ok bool, err error) {
	if e.GetVisit().GetState() != streamv1.VisitState_VISIT_STATE_CLOSED || e.GetVisit().GetWithdrawn() {
		return stage.Message{}, false, nil
	}
	o := told(e, streamv1.Status_STATUS_SKIPPED, streamv1.Reason_REASON_NO_WORKFLOW, now)
	o.Detail = "no integration applied when the visit happened; add one, with an earlier start to take in the past"
	if e.GetVisit().GetRegistration() != nil { // HOPIN-5
		o.Reason = streamv1.Reason_REASON_FLOW_SKIPPED
		o.Detail = "the export of registrations was off when this happened; switch it on in the event set-up to export from then on"
	}
	if unknown(e) {
		o.Reason = streamv1.Reason_REASON_IDENTITY_UNKNOWN
		o.Detail = "Nobody was known when the visit ended, and no integration tells the owner of such visits."
	}
	o.SettingsRevision = view.Revision()
	m, err = outcome.Message(o, rec.TraceParent())
	return m, err == nil, err
}

// gaveUp says that the org could not be asked for too long.
func gaveUp(j *job, why *refusal, now time.Time) (stage.Message, error) {
	o := told(j.engagement, streamv1.Status_STATUS_FAILED, why.reason, now)
	o.Connection = j.connection
	o.Attempts = uint32(j.attempt)
	o.Detail = why.Error() + "; correct the cause, then replay the dead letter"
	return outcome.Message(o, j.rec.TraceParent())
}

func resolution(j *job, a *directory.Answer) *streamv1.Resolution {
	d := match.Decide(j.policy, a.Candidates)
	owner, users, failure := match.DecideOwner(a.OwnerUsers)
	r := &streamv1.Resolution{
		Lead:    person(d.Lead, a.RecordOwners),
		Contact: person(d.Contact, a.RecordOwners),
		Person:  person(d.Person, a.RecordOwners),
		Policy:  j.policy.Name,
		AskedAt: timestamp(a.AskedAt),
	}
	if p, by := match.Strictest(a.Candidates); by != nil && !unknown(j.engagement) {
		r.Preferences = &streamv1.Preferences{
			OptedOutTracking: p.OptedOutTracking, OptedOutProcessing: p.OptedOutProcessing, ShouldForget: p.ShouldForget,
			RecordId: by.ID, Object: by.Object,
		}
	}
	switch {
	case unknown(j.engagement):
		r.Reason = streamv1.Reason_REASON_IDENTITY_UNKNOWN
	case d.Person == nil:
		r.Reason = streamv1.Reason_REASON_NO_MATCH
	}
	for _, id := range j.users {
		if u := a.RecordOwners[id]; u.ID != "" {
			r.FixedUsers = append(r.FixedUsers, userPerson(&u))
		}
	}
	for i := range d.Considered {
		c := &d.Considered[i]
		r.Candidates = append(r.Candidates, &streamv1.Candidate{
			RecordId: c.ID, Object: c.Object, Chosen: c.Chosen, Rule: c.Rule,
			LastModifiedAt: timestamp(c.LastModified), CreatedAt: timestamp(c.CreatedAt),
		})
	}
	for i := range users {
		u := &users[i]
		r.Candidates = append(r.Candidates, &streamv1.Candidate{
			RecordId: u.ID, Object: "User", Chosen: u.Chosen, Rule: u.Rule,
			LastModifiedAt: timestamp(u.Modified), CreatedAt: timestamp(u.CreatedAt),
		})
	}
	addAccount(r, d.Contact, a)
	switch failure {
	case match.OwnerFound:
		r.ContentOwner = userPerson(owner)
		r.ContentOwner.OneOfSeveral = len(users) > 1 && users[1].Active // the active ones come first
	case match.OwnerInactive:
		r.OwnerReason = streamv1.Reason_REASON_OWNER_INACTIVE
	case match.OwnerNotFound:
		r.OwnerReason = streamv1.Reason_REASON_OWNER_NOT_FOUND
	}
	return r
}

func person(c *match.Candidate, owners map[string]match.User) *streamv1.Person {
	if c == nil {
		return nil
	}
	owner := owners[c.OwnerID]
	return &streamv1.Person{
		RecordId: c.ID, Object: c.Object, OwnerId: c.OwnerID, AccountId: c.AccountID,
		OwnerActive: owner.Active, OwnerLanguage: owner.Language, OwnerTimeZone: owner.TimeZone,
		PersonAccount: c.PersonAccount,
	}
}

// addAccount adds the viewer's account and all that were considered.
func addAccount(r *streamv1.Resolution, contact *match.Candidate, a *directory.Answer) {
	account, considered := match.DecideAccount(contact, a.Accounts)
	if account != nil {
		owner := a.RecordOwners[account.OwnerID]
		r.Account = &streamv1.Person{
			RecordId: account.ID, Object: "Account", OwnerId: account.OwnerID,
			OwnerActive: owner.Active, OwnerLanguage: owner.Language, OwnerTimeZone: owner.TimeZone,
		}
	}
	for i := range considered {
		c := &considered[i]
		r.Candidates = append(r.Candidates, &streamv1.Candidate{
			RecordId: c.ID, Object: "Account", Chosen: c.Chosen, Rule: c.Rule,
			LastModifiedAt: timestamp(c.LastModified), CreatedAt: timestamp(c.CreatedAt),
		})
	}
}

// userPerson is a user, who owns itself.
func userPerson(u *match.User) *streamv1.Person {
	return &streamv1.Person{
		RecordId: u.ID, Object: "User", OwnerId: u.ID,
		OwnerActive: u.Active, OwnerLanguage: u.Language, OwnerTimeZone: u.TimeZone,
	}
}

func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func millis(t time.Time) []byte { return strconv.AppendInt(nil, t.UnixMilli(), 10) }

// code is a reason as people see it.
func code(r streamv1.Reason) string { return strings.TrimPrefix(r.String(), "REASON_") }
