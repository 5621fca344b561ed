package integration_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/integration"
	"github.com/throughline-dev/throughline/services/internal/integration/integrationtest"
)

const (
	documentOwner = configv1.Assignee_ASSIGNEE_CONTENT_OWNER
	recordOwner   = configv1.Assignee_ASSIGNEE_RECORD_OWNER
	fixedUser     = configv1.Assignee_ASSIGNEE_FIXED_USER
	accountOwner  = configv1.Assignee_ASSIGNEE_ACCOUNT_OWNER

	colleague = "005000000000101AAA"
)

// chain makes an assignment; the fixed user, if there is one, is the colleague.
func chain(links ...configv1.Assignee) *configv1.Assignment {
	a := &configv1.Assignment{Chain: links}
	if slices.Contains(links, fixedUser) {
		a.FixedUserId = colleague
	}
	return a
}

// colleagueIs adds the colleague to those who were found.
func colleagueIs(active bool) func(*streamv1.Resolution) {
	return func(r *streamv1.Resolution) {
		r.FixedUsers = []*streamv1.Person{
			{RecordId: integrationtest.OwnerUser, OwnerId: integrationtest.OwnerUser, OwnerActive: true},
			{RecordId: colleague, Object: "User", OwnerId: colleague, OwnerActive: active, OwnerLanguage: "ja"},
		}
	}
}

// changed returns a document input with a changed resolution.
func changed(change func(*streamv1.Resolution)) *integration.Input {
	in := integrationtest.Document()
	change(in.Resolved.Resolution)
	return in
}

func noPerson(r *streamv1.Resolution) {
	r.Lead, r.Contact, r.Person, r.Reason = nil, nil, nil, streamv1.Reason_REASON_NO_MATCH
}

func noDocumentOwner(r *streamv1.Resolution) {
	r.ContentOwner, r.OwnerReason = nil, streamv1.Reason_REASON_OWNER_NOT_FOUND
}

func TestAssignment(t *testing.T) {
	t.Parallel()
	all := func(changes ...func(*streamv1.Resolution)) func(*streamv1.Resolution) {
		return func(r *streamv1.Resolution) {
			for _, change := range changes {
				change(r)
			}
		}
	}
	owner := func(id string, active bool) func(*streamv1.Resolution) {
		return func(r *streamv1.Resolution) { r.Person.OwnerId, r.Person.OwnerActive = id, active }
	}
	accountOf := func(id string, active bool) func(*streamv1.Resolution) {
		return func(r *streamv1.Resolution) {
			r.Account = &streamv1.Person{RecordId: "001000000000001AAA", Object: "Account", OwnerId: id, OwnerActive: active, OwnerLanguage: "ja"}
		}
	}
	same := func(*streamv1.Resolution) {}
	const lead, user, author = integrationtest.LeadID, integrationtest.RecordUser, integrationtest.OwnerUser
	for name, c := range map[string]struct {
		requirement string
		spec        *configv1.Assignment
		change      func(*streamv1.Resolution)
		who, owner  any
		warning     string
	}{
		"rule A: the document's owner":           {"IMM-27", chain(documentOwner), same, lead, author, ""},
		"rule A without such a user":             {"IMM-27", chain(documentOwner), noDocumentOwner, lead, nil, "no assignee: document owner: OWNER_NOT_FOUND"},
		"rule B: the record's owner":             {"IMM-28", chain(recordOwner), same, lead, user, ""},
		"rule B is the default":                  {"IMM-28", &configv1.Assignment{}, same, lead, user, ""},
		"the chain goes on":                      {"IMM-29", chain(documentOwner, recordOwner), noDocumentOwner, lead, user, "assignee: record owner, because document owner: OWNER_NOT_FOUND"},
		"the chain stops at the first":           {"IMM-29", chain(documentOwner, recordOwner), same, lead, author, "assignee: document owner, the first of the chain"},
		"an inactive owner is absent":            {"IMM-30", chain(recordOwner), owner(user, false), lead, nil, "no assignee: record owner: OWNER_INACTIVE"},
		"a queue is absent":                      {"IMM-30", chain(recordOwner), owner(integrationtest.QueueID, false), lead, nil, "no assignee: record owner: OWNER_IS_QUEUE"},
		"a queue is used where allowed":          {"IMM-30", &configv1.Assignment{QueuesAllowed: true}, owner(integrationtest.QueueID, false), lead, integrationtest.QueueID, ""},
		"the chain passes an inactive owner":     {"IMM-29", chain(recordOwner, documentOwner), owner(user, false), lead, author, "assignee: document owner, because record owner: OWNER_INACTIVE"},
		"several users have the owner's address": {"IMM-30", chain(documentOwner), func(r *streamv1.Resolution) { r.ContentOwner.OneOfSeveral = true }, lead, author, "several active users have the document owner's address; the one who logged in last was taken"},
		"a fixed user":                           {"IMM-29", chain(fixedUser), colleagueIs(true), lead, colleague, ""},
		"the chain ends with a fixed user":       {"IMM-29", chain(recordOwner, documentOwner, fixedUser), all(owner(user, false), noDocumentOwner, colleagueIs(true)), lead, colleague, "assignee: fixed user, because record owner: OWNER_INACTIVE, document owner: OWNER_NOT_FOUND"},
		"a fixed user who became inactive":       {"IMM-29", chain(fixedUser, recordOwner), colleagueIs(false), lead, user, "assignee: record owner, because fixed user: OWNER_INACTIVE"},
		"a fixed user who was deleted":           {"IMM-29", chain(fixedUser, recordOwner), same, lead, user, "assignee: record owner, because fixed user: OWNER_NOT_FOUND"},
		"a deleted fixed user and nobody else":   {"IMM-29", chain(fixedUser), same, lead, nil, "no assignee: fixed user: OWNER_NOT_FOUND"},
		"a fixed user without a person":          {"IMM-34", chain(fixedUser), all(noPerson, colleagueIs(true)), nil, colleague, ""},
		"the account's owner":                    {"IMM-44", chain(accountOwner), accountOf(colleague, true), lead, colleague, ""},
		"the account's owner without a person":   {"IMM-44", chain(accountOwner), all(noPerson, accountOf(colleague, true)), nil, colleague, ""},
		"no account":                             {"IMM-44", chain(accountOwner, recordOwner), same, lead, user, "assignee: record owner, because account owner: NO_MATCH"},
		"an inactive owner of the account":       {"IMM-30", chain(accountOwner, recordOwner), accountOf(colleague, false), lead, user, "assignee: record owner, because account owner: OWNER_INACTIVE"},
		"a queue as the account's owner":         {"IMM-30", chain(accountOwner), accountOf(integrationtest.QueueID, false), lead, nil, "no assignee: account owner: OWNER_IS_QUEUE"},
		"only an assignee":                       {"IMM-34", chain(documentOwner), noPerson, nil, author, ""},
		"only a person":                          {"IMM-34", chain(documentOwner), noDocumentOwner, lead, nil, "no assignee: document owner: OWNER_NOT_FOUND"},
		"both by the chain's end, with a person": {"IMM-34", chain(recordOwner, documentOwner), all(noPerson, same), nil, author, "assignee: document owner, because record owner: NO_MATCH"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Attr("requirement", c.requirement)
			fields, record := write(t, task(c.spec, constant("Subject", "s")), changed(c.change))
			require.Equal(t, c.who, fields["WhoId"])
			require.Equal(t, c.owner, fields["OwnerId"])
			for _, field := range []string{"WhoId", "OwnerId"} {
				if fields[field] == nil {
					require.NotContains(t, fields, field) // omitted, not cleared: Salesforce's default applies
				}
			}
			if c.warning == "" {
				require.Empty(t, record.Warnings)
			} else {
				require.Equal(t, []string{c.warning}, record.Warnings)
			}
		})
	}
}

func TestNobodyToTellMeansNoTask(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "IMM-34")
	neither := changed(func(r *streamv1.Resolution) { noPerson(r); noDocumentOwner(r) })
	r := refused(t, task(chain(documentOwner, recordOwner), constant("Subject", "s")), neither)
	require.Equal(t, streamv1.Reason_REASON_NO_TARGET, r.Reason)
	require.False(t, r.Failed)
	require.Contains(t, r.Detail, "neither a person (NO_MATCH) nor an assignee (document owner: OWNER_NOT_FOUND, record owner: NO_MATCH)")

	strict := chain(documentOwner)
	strict.RequireAssignee = true
	r = refused(t, task(strict, constant("Subject", "s")), changed(noDocumentOwner))
	require.Equal(t, streamv1.Reason_REASON_NO_TARGET, r.Reason)
	require.Contains(t, r.Detail, "a person but no assignee")

	anyway := task(chain(documentOwner), constant("Subject", "s"))
	anyway.Actions[0].WriteUnmatched = true
	fields, _ := write(t, anyway, neither)
	require.Equal(t, map[string]any{"Subject": "s"}, fields)
}

func TestUnknownViewers(t *testing.T) {
	t.Parallel()
	anonymous := func() *integration.Input {
		in := integrationtest.Document()
		in.Viewer = nil // and yet a person: none may be used
		return in
	}
	subject := template("Subject", "en", "{viewer.email|or:Somebody} closed it", "ja", "{viewer.email|or:不明な閲覧者}が閉じました")
	for name, spec := range map[string]*configv1.Assignment{
		"off by default":              chain(documentOwner),
		"of no use without rule A":    {Chain: []configv1.Assignee{recordOwner}, UnknownViewers: true},
		"of no use with the default":  {UnknownViewers: true},
		"off with rule A in a chain":  chain(documentOwner, recordOwner),
		"required, and there is none": {UnknownViewers: false, RequireAssignee: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := refused(t, task(spec, subject), anonymous())
			require.Equal(t, streamv1.Reason_REASON_IDENTITY_UNKNOWN, r.Reason)
			require.False(t, r.Failed)
		})
	}
	t.Run("about one visit that has ended only", func(t *testing.T) {
		t.Parallel()
		spec := chain(documentOwner)
		spec.UnknownViewers = true
		require.True(t, integration.TellsUnknown(task(spec, subject)))
		for _, change := range []func(*configv1.Integration){
			func(i *configv1.Integration) { i.Trigger = configv1.Trigger_TRIGGER_VISIT_OPENED },
			func(i *configv1.Integration) { i.Trigger = configv1.Trigger_TRIGGER_ENGAGEMENT_CHANGED },
			func(i *configv1.Integration) { i.Actions[0].Scope = configv1.Scope_SCOPE_ENGAGEMENT },
		} {
			i := task(spec, subject)
			change(i)
			require.False(t, integration.TellsUnknown(i))
			require.Equal(t, streamv1.Reason_REASON_IDENTITY_UNKNOWN, refused(t, i, anonymous()).Reason)
		}
	})
	t.Run("a row of an engagement is never written", func(t *testing.T) {
		t.Parallel()
		row := rule(constant("A__c", "a"))
		row.Actions[0].WriteUnmatched = true
		require.Equal(t, streamv1.Reason_REASON_IDENTITY_UNKNOWN, refused(t, row, anonymous()).Reason)
	})
	t.Run("with the option, the owner is told in their language", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "IMM-36")
		spec := chain(documentOwner)
		spec.UnknownViewers = true
		in := anonymous()
		fields, _ := write(t, task(spec, subject), in)
		require.Equal(t, map[string]any{"OwnerId": integrationtest.OwnerUser, "Subject": "Somebody closed it"}, fields)
		in.Resolved.Resolution.ContentOwner.OwnerLanguage = "ja"
		fields, _ = write(t, task(spec, subject), in)
		require.Equal(t, "不明な閲覧者が閉じました", fields["Subject"])
	})
}

func TestOnlyActivitiesHaveAWhoId(t *testing.T) {
	t.Parallel()
	i := rule(constant("A__c", "a"))
	i.Actions[0].Assignment = chain(recordOwner)
	fields, record := write(t, i, integrationtest.Document())
	require.Equal(t, map[string]any{"A__c": "a", "OwnerId": integrationtest.RecordUser}, fields)
	require.False(t, record.Activity)
}

func TestLockParentIsTheAccountThatTheRecordHangsOn(t *testing.T) {
	t.Parallel()
	contact := func(r *streamv1.Resolution) { r.Person = r.Contact }
	for name, c := range map[string]struct {
		rule *configv1.Integration
		in   *integration.Input
		want string
	}{
		"task of a contact": {task(chain(recordOwner), constant("Subject", "s")), changed(contact), integrationtest.AccountID},
		"task of a lead":    {task(chain(recordOwner), constant("Subject", "s")), integrationtest.Document(), integrationtest.LeadID},
		"task of nobody":    {task(chain(documentOwner), constant("Subject", "s")), changed(noPerson), ""},
		"row of both":       {rule(constant("A__c", "a")), integrationtest.Document(), integrationtest.AccountID},
	} {
		_, record := write(t, c.rule, c.in)
		require.Equal(t, c.want, record.LockParent, name)
	}
}

// The first usable link decides, whatever the chain (IMM-29).
func TestTheFirstUsableLinkDecides(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "IMM-29")
	rapid.Check(t, func(rt *rapid.T) {
		links := rapid.SliceOfN(rapid.SampledFrom([]configv1.Assignee{documentOwner, recordOwner, fixedUser}), 1, 5).Draw(rt, "chain")
		usable := map[configv1.Assignee]string{}
		in := integrationtest.Document()
		if rapid.Bool().Draw(rt, "document owner is a user") {
			usable[documentOwner] = integrationtest.OwnerUser
		} else {
			noDocumentOwner(in.Resolved.Resolution)
		}
		if active := rapid.Bool().Draw(rt, "record owner is active"); active {
			usable[recordOwner] = integrationtest.RecordUser
		} else {
			in.Resolved.Resolution.Person.OwnerActive = false
		}
		if active := rapid.Bool().Draw(rt, "colleague is active"); active {
			usable[fixedUser] = colleague
			colleagueIs(true)(in.Resolved.Resolution)
		}
		want := ""
		for _, link := range links {
			if want == "" {
				want = usable[link]
			}
		}
		p, err := integration.Compile(task(chain(links...), constant("Subject", "s")))
		require.NoError(rt, err)
		d := p.Evaluate(in)
		require.Len(rt, d.Records, 1)
		require.Equal(rt, want, d.Records[0].Owner)
		names := map[configv1.Assignee]string{documentOwner: "document owner", recordOwner: "record owner", fixedUser: "fixed user"}
		for link, id := range usable {
			if id == want && len(links) > 1 {
				require.Contains(rt, d.Records[0].Warnings[0], "assignee: "+names[link], "which link decided is noted")
			}
		}
	})
}
