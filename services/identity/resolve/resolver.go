package resolve

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/stage"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/identity/directory"
	"github.com/throughline-dev/throughline/services/identity/match"
	"github.com/throughline-dev/throughline/services/internal/integration"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// Directory finds people. *directory.Salesforce is one; the people table will be another.
type Directory interface {
	// Look answers every ask, in their order. Trouble is part of the answer.
	Look(ctx context.Context, asks []directory.Ask) []directory.Answer
}

// Settings gives the newest settings; nil while there are none yet.
type Settings interface{ View() *settings.View }

// Clock tells the time.
type Clock interface{ Now() time.Time }

// errNoSettings is retried until there are some.
var errNoSettings = errors.New("identity: waiting for the first settings from config")

// job is one engagement revision to resolve in one connection.
type job struct {
	rec        *stage.Record
	engagement *streamv1.Engagement
	workspace  *settings.Workspace
	connection string
	// users are the ids of users that integrations name as assignees.
	users []string
	// account says that an integration asks for the viewer's account.
	account bool
	policy  match.Policy
	// attempt counts how often it was asked before; since is when first.
	attempt int
	since   time.Time
}

// refusal is why a record cannot be handled, now or ever.
type refusal struct {
	// permanent refusals end in the dead letters, under reason.
	permanent bool
	reason    streamv1.Reason
	err       error
}

// Error returns the cause.
func (r *refusal) Error() string { return r.err.Error() }

// Unwrap returns the cause.
func (r *refusal) Unwrap() error { return r.err }

func never(reason streamv1.Reason, err error) *refusal {
	return &refusal{permanent: true, reason: reason, err: err}
}

func later(reason streamv1.Reason, err error) *refusal { return &refusal{reason: reason, err: err} }

// decode reads an engagement and refuses one that says too little to be resolved.
func decode(value []byte) (*streamv1.Engagement, *refusal) {
	e := new(streamv1.Engagement)
	if err := proto.Unmarshal(value, e); err != nil {
		return nil, never(streamv1.Reason_REASON_BAD_SCHEMA, fmt.Errorf("not an engagement: %w", err))
	}
	switch {
	case e.GetEngagementId() == "":
		return nil, never(streamv1.Reason_REASON_BAD_SCHEMA, errors.New("an engagement without an id"))
	case e.GetWorkspace() == "":
		return nil, never(streamv1.Reason_REASON_BAD_SCHEMA, errors.New("an engagement without a workspace"))
	case !unknown(e) && e.GetSubject().GetPersonKey() == "":
		return nil, never(streamv1.Reason_REASON_BAD_SCHEMA, errors.New("an engagement without a person"))
	case e.GetVisit().GetVisitId() == "":
		return nil, never(streamv1.Reason_REASON_BAD_SCHEMA, errors.New("an engagement without the visit that changed it"))
	}
	return e, nil
}

// unknown reports whether nobody knows the viewer (IMM-36).
func unknown(e *streamv1.Engagement) bool {
	return e.GetSubject().GetPersonKey() == "" && e.GetVisit().GetToldUnknown()
}

// place finds the workspace of an engagement and its match policy.
func place(view *settings.View, e *streamv1.Engagement) (*settings.Workspace, match.Policy, *refusal) {
	w, ok := view.Workspace(e.GetWorkspace())
	if !ok {
		err := fmt.Errorf("no settings for workspace %s at revision %d", e.GetWorkspace(), view.Revision())
		if view.Revision() < e.GetVisit().GetSettingsRevision() {
			return nil, match.Policy{}, later(streamv1.Reason_REASON_BAD_TENANT, err) // They are on their way.
		}
		return nil, match.Policy{}, never(streamv1.Reason_REASON_BAD_TENANT, err)
	}
	p := w.Proto().GetMatchPolicy()
	policy, err := match.NewPolicy(p.GetName(), p.GetObjects(), p.GetOrderBy(), p == nil || p.FollowConverted == nil || p.GetFollowConverted())
	if err != nil {
		return nil, match.Policy{}, later(streamv1.Reason_REASON_MAPPING_INVALID, fmt.Errorf("workspace %s: %w", w.ID(), err))
	}
	return w, policy, nil
}

// target is a connection in which an engagement must be resolved, and the users to be found besides.
type target struct {
	connection string
	users      []string
	// account says that the viewer's account is to be found besides (IMM-44).
	account bool
}

// targets returns where an engagement must be resolved: through whatever the integrations that were in force when it
// happened write (IMM-17). An unknown viewer concerns only those that ask for such (IMM-36).
func targets(w *settings.Workspace, e *streamv1.Engagement) []target {
	var all []target
	for _, i := range w.IntegrationsAt(e.GetVisit().GetLastActivityAt().AsTime()) {
		if !integration.Concerns(i, e) || !integration.Covers(i, e.GetContent().GetContentId()) || (unknown(e) && !integration.TellsUnknown(i)) {
			continue
		}
		at := slices.IndexFunc(all, func(t target) bool { return t.connection == i.GetConnection() })
		if at < 0 {
			at, all = len(all), append(all, target{connection: i.GetConnection()})
		}
		all[at].users = addUsers(all[at].users, i)
		all[at].account = all[at].account || integration.AsksAccount(i)
	}
	return all
}

// addUsers adds the users that an integration names as assignees.
func addUsers(users []string, i *configv1.Integration) []string {
	for _, a := range i.GetActions() {
		if id, ok := integration.FixedUser(a.GetAssignment()); ok && !a.GetDisabled() && !slices.Contains(users, id) {
			users = append(users, id)
		}
	}
	return users
}

// ask builds the question for a job.
func (j *job) ask() directory.Ask {
	connection, _ := j.workspace.Connection(j.connection)
	p := j.workspace.Proto().GetMatchPolicy()
	a := directory.Ask{
		Workspace:  j.workspace.ID(),
		Connection: j.connection,
		Org:        orgOf(connection),
		Anew:       j.rec.Header(topic.HeaderAnew) != nil,
		Users:      j.users,
		Account:    j.account,
		How: directory.How{
			Fields: j.policy.Fields(), LeadEmails: p.GetLeadEmailFields(), ContactEmails: p.GetContactEmailFields(),
			SandboxSuffix: p.GetSandboxSuffix() && connection.GetOrg().GetSandbox(),
			DomainField:   p.GetAccountDomainField(), FreeMail: p.GetFreeMailDomains(),
			Preferences: !j.workspace.Proto().GetPreferences().GetIgnore(),
		},
	}
	if !unknown(j.engagement) {
		subject := j.engagement.GetSubject()
		a.Viewer = directory.Party{Key: subject.GetPersonKey(), Address: j.opener(subject.GetSealed())}
	}
	if content := described(j.engagement); content.GetOwnerKey() != "" &&
		!j.workspace.Erased(content.GetOwnerKey(), j.engagement.GetVisit().GetLastActivityAt().AsTime()) {
		a.Owner = directory.Party{Key: content.GetOwnerKey(), Address: j.opener(content.GetOwnerSealed())}
	}
	return a
}

// orgOf names the org that a connection is with now. One that is not known yet is none that anything is remembered of.
func orgOf(c *configv1.Connection) string {
	org, known := settings.OrgOf(c)
	if !known {
		return "?"
	}
	return org
}

// described returns the content as the visit had it, so that its owner is the one of that time (IMM-27); as the newest visit
// had it when this one told of no owner.
func described(e *streamv1.Engagement) *streamv1.Content {
	if content := e.GetVisit().GetContent(); content.GetOwnerKey() != "" {
		return content
	}
	return e.GetContent()
}

// opener returns a function that opens sealed personal data. Promise 8: the address goes into a query and nowhere else.
func (j *job) opener(sealed []byte) func() (directory.Address, error) {
	return func() (directory.Address, error) {
		plain, err := j.workspace.Keys().Open(sealed)
		if err != nil {
			return directory.Address{}, err
		}
		var data streamv1.PersonalData
		if err := proto.Unmarshal(plain, &data); err != nil {
			return directory.Address{}, err
		}
		return directory.Address{Email: data.GetEmail(), AsSent: data.GetEmailAsSent()}, nil
	}
}

// look asks the directory about all jobs.
func look(ctx context.Context, dir Directory, jobs []job, patient bool) []directory.Answer {
	if len(jobs) == 0 {
		return nil
	}
	asks := make([]directory.Ask, len(jobs))
	for i := range jobs {
		asks[i] = jobs[i].ask()
		asks[i].Patient = patient
	}
	return dir.Look(ctx, asks)
}

// refusalOf classifies the error of an answer.
func refusalOf(err error) *refusal {
	if errors.Is(err, directory.ErrUnreadable) {
		return never(streamv1.Reason_REASON_BAD_SCHEMA, err)
	}
	var e *salesforce.Error
	if errors.As(err, &e) {
		if e.Code == "INVALID_FIELD" && strings.Contains(e.Detail, "can not be filtered") {
			return later(streamv1.Reason_REASON_FIELD_ENCRYPTED_PROBABILISTIC, err) // Until an administrator decrypts it.
		}
		if code, ok := streamv1.Reason_value["REASON_"+e.Reason]; ok && code != 0 {
			return later(streamv1.Reason(code), err)
		}
	}
	return later(streamv1.Reason_REASON_SF_UNAVAILABLE, err)
}
