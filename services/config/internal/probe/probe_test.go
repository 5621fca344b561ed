package probe_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/config/internal/connstate"
	"github.com/throughline-dev/throughline/services/config/internal/probe"
)

// org answers as it is told; everything is fine at first.
type org struct {
	mu                      sync.Mutex
	organization            salesforce.Organization
	organizationErr, whoErr error
	versionErr, queryErr    error
	toolingErr              error
	leadList                string
	pages                   []salesforce.Record
	rows                    []salesforce.Record
	objects                 map[string]*salesforce.ObjectDescribe
	errs                    map[string]error
	described               map[string]int
	busy, most              atomic.Int32
}

func newOrg() *org {
	field := func(names ...string) []salesforce.FieldDescribe {
		var out []salesforce.FieldDescribe
		for _, n := range names {
			out = append(out, salesforce.FieldDescribe{Name: n, Createable: true, Updateable: true, Filterable: true})
		}
		return out
	}
	o := &org{
		organization: salesforce.Organization{ID: "00D000000000001EAA", Edition: "Enterprise Edition"},
		rows:         []salesforce.Record{{"PermissionsModifyAllData": true}}, leadList: "Engagement__c.Lead__c",
		objects: map[string]*salesforce.ObjectDescribe{}, errs: map[string]error{}, described: map[string]int{},
	}
	for name, fields := range map[string][]string{
		"Task": {"WhoId", "OwnerId", "Subject", "Description", "ActivityDate", "Throughline_Key__c"},
		"Lead": {"Email", "OwnerId"}, "Contact": {"Email", "OwnerId"}, "CampaignMember": {"CampaignId", "LeadId", "ContactId", "Status"},
		"Engagement__c": {
			"External_Id__c", "Title__c", "View_Count__c", "Percent_Watched__c", "Last_Viewed_At__c", "Lead__c", "Contact__c",
			"CTA_Clicks__c", "Last_CTA_Label__c", "Last_CTA_At__c",
		},
		"Content__c": {"External_Id__c", "Title__c", "Kind__c"},
	} {
		o.objects[name] = &salesforce.ObjectDescribe{Name: name, Createable: true, Updateable: true, Fields: field(fields...)}
	}
	return o
}

func (o *org) enter() func() {
	n := o.busy.Add(1)
	for most := o.most.Load(); n > most && !o.most.CompareAndSwap(most, n); most = o.most.Load() {
	}
	return func() { o.busy.Add(-1) }
}

func (o *org) Organization(context.Context) (salesforce.Organization, error) {
	defer o.enter()()
	return o.organization, o.organizationErr
}

func (o *org) Identity(context.Context) (salesforce.Identity, error) {
	return salesforce.Identity{}, o.whoErr
}

func (o *org) CheckVersion(context.Context) error {
	defer o.enter()()
	return o.versionErr
}

func (o *org) Query(context.Context, string) ([]salesforce.Record, error) {
	return o.rows, o.queryErr
}

func (o *org) Describe(ctx context.Context, object string) (*salesforce.ObjectDescribe, error) {
	defer o.enter()()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.described[object]++
	if err := o.errs[object]; err != nil {
		return nil, err
	}
	if d := o.objects[object]; d != nil {
		return d, nil
	}
	return nil, &salesforce.Error{Class: salesforce.ClassConfig, Reason: salesforce.ReasonFieldGone, Code: "NOT_FOUND", Status: http.StatusNotFound}
}

func subject() probe.Subject {
	return probe.Subject{
		Connection: &configv1.Connection{
			ApiVersion: "66.0", Settings: &configv1.ConnectSettings{NeedsPackage: true, Environment: configv1.Environment_ENVIRONMENT_PRODUCTION},
		},
		Editions: []string{"Enterprise Edition"}, FullAccess: true, TasksNeeded: true,
		MatchFields: map[string][]string{"Lead": {"Email"}, "Contact": {"Email"}},
	}
}

func run(t *testing.T, o *org, s probe.Subject) map[string]*configv1.ProbeResult {
	t.Helper()
	out := map[string]*configv1.ProbeResult{}
	for _, r := range probe.Run(t.Context(), probe.DefaultConfig(), o, s).Results {
		require.NotEmpty(t, r.GetEn().GetFinding(), r.GetProbe())
		require.NotEmpty(t, r.GetJa().GetFinding(), r.GetProbe())
		if r.GetStatus() == configv1.ProbeStatus_PROBE_STATUS_BLOCKED && r.GetProbe() != probe.Layouts { // it keeps nobody from anything
			require.NotZero(t, r.GetReason(), r.GetProbe())
		}
		out[r.GetProbe()] = r
	}
	return out
}

func refused(class salesforce.Class, reason, code string) error {
	return &salesforce.Error{Class: class, Reason: reason, Code: code, Status: http.StatusForbidden, Detail: "hana@acme.example"}
}

func TestAnOrgThatIsFine(t *testing.T) {
	t.Parallel()
	o := newOrg()
	results := run(t, o, subject())
	for _, name := range []string{
		"api", "api_version", "edition", "environment", "full_access", "tasks", "object_Lead", "object_Contact", "object_CampaignMember",
		"email_encryption", "package",
	} {
		require.Equal(t, configv1.ProbeStatus_PROBE_STATUS_OK, results[name].GetStatus(), name)
	}
	require.Equal(t, 1, o.described["Lead"], "every object is described once")
	require.LessOrEqual(t, o.most.Load(), int32(probe.DefaultConfig().Parallel))
}

// TestEveryBlockerIsNamedByItself breaks one thing after the other and expects everything else to be found as before.
func TestEveryBlockerIsNamedByItself(t *testing.T) {
	t.Attr("requirement", "LOOM-11")
	t.Attr("requirement", "LOOM-6")
	t.Attr("requirement", "IMM-3")
	t.Parallel()
	auth, config := salesforce.ClassAuth, salesforce.ClassConfig
	session := refused(auth, salesforce.ReasonAuthRevoked, "INVALID_SESSION_ID")
	for name, c := range map[string]struct {
		spoil         func(*org, *probe.Subject)
		probe, detail string
		reason        streamv1.Reason
		where         string
	}{
		"NoAPIAddOn": {func(o *org, _ *probe.Subject) {
			o.organizationErr = refused(auth, salesforce.ReasonEditionUnsupported, "API_DISABLED_FOR_ORG")
		}, "api", "API_DISABLED_FOR_ORG", streamv1.Reason_REASON_SF_API_DISABLED, "API Enabled"},
		"AppBlocked": {func(o *org, _ *probe.Subject) {
			o.organizationErr = refused(auth, salesforce.ReasonAppBlocked, "CLIENT_NOT_ACCESSIBLE_FOR_USER")
		}, "api", "CLIENT", streamv1.Reason_REASON_SF_APP_BLOCKED, "OAuth Usage"},
		"OnlyApprovedApps": {func(o *org, _ *probe.Subject) { o.organizationErr = session }, "api", "INVALID_SESSION_ID", streamv1.Reason_REASON_SF_APP_BLOCKED, "Install"},
		"WrongNetwork": {
			func(o *org, _ *probe.Subject) { o.organizationErr, o.whoErr = session, session },
			"api", "INVALID_SESSION_ID", streamv1.Reason_REASON_SF_IP_RESTRICTED, "Login IP Ranges",
		},
		"OldVersion": {func(o *org, _ *probe.Subject) {
			o.versionErr = refused(config, salesforce.ReasonAPIDisabled, "UNSUPPORTED_API_VERSION")
		}, "api_version", "66.0", streamv1.Reason_REASON_SF_API_DISABLED, ""},
		"Edition": {
			func(o *org, _ *probe.Subject) { o.organization.Edition = "Contact Manager Edition" },
			"edition", "Contact Manager Edition", streamv1.Reason_REASON_SF_EDITION_UNSUPPORTED, "Company Information",
		},
		"Sandbox": {func(o *org, _ *probe.Subject) { o.organization.Sandbox = true }, "environment", "sandbox", streamv1.Reason_REASON_SF_AUTH_REVOKED, ""},
		"NotPowerful": {
			func(o *org, _ *probe.Subject) { o.rows = []salesforce.Record{{"PermissionsModifyAllData": false}} },
			"full_access", "PermissionsModifyAllData", streamv1.Reason_REASON_SF_NO_PERMISSION, "Modify All Data",
		},
		"NoTasks": {func(o *org, _ *probe.Subject) {
			o.objects["Task"] = &salesforce.ObjectDescribe{Name: "Task", Fields: o.objects["Task"].Fields}
		}, "tasks", "Task", streamv1.Reason_REASON_SF_NO_PERMISSION, "Edit Tasks"},
		"HiddenTaskFields": {
			func(o *org, _ *probe.Subject) { o.without("Task", "WhoId", "ActivityDate") },
			"tasks", "Task.ActivityDate, Task.WhoId", streamv1.Reason_REASON_SF_NO_PERMISSION, "Field-Level Security",
		},
		"NoLeads": {func(o *org, _ *probe.Subject) { delete(o.objects, "Lead") }, "object_Lead", "Lead", streamv1.Reason_REASON_SF_NO_PERMISSION, "Read"},
		"Encrypted": {func(o *org, _ *probe.Subject) {
			o.objects["Contact"].Fields[0].Encrypted, o.objects["Contact"].Fields[0].Filterable = true, false
		}, "email_encryption", "Contact.Email", streamv1.Reason_REASON_FIELD_ENCRYPTED_PROBABILISTIC, "Encryption Scheme"},
		"NoPackage": {
			func(o *org, _ *probe.Subject) { delete(o.objects, "Engagement__c") },
			"package", "Engagement__c", streamv1.Reason_REASON_SF_FIELD_GONE, "Installed Packages",
		},
		"OldPackage": {
			func(o *org, _ *probe.Subject) { o.without("Engagement__c", "Title__c") },
			"package", "Engagement__c.Title__c", streamv1.Reason_REASON_SF_FIELD_GONE, "Upgrade",
		},
		"NoPermissionSet": {
			func(o *org, _ *probe.Subject) { o.objects["Engagement__c"].Createable = false },
			"package", "Engagement__c", streamv1.Reason_REASON_SF_NO_PERMISSION, "Engagement Integration",
		},
		"IntegrationsObject": {
			func(_ *org, s *probe.Subject) { s.Needs = probe.Needs{"Order__c": {Create: true}} },
			"object_Order__c", "Order__c", streamv1.Reason_REASON_SF_NO_PERMISSION, "Object Settings",
		},
		"IntegrationsField": {
			func(_ *org, s *probe.Subject) {
				s.Needs = probe.Needs{"Task": {Create: true, Write: []string{"Mood__c"}}}
			},
			"tasks", "Task.Mood__c", streamv1.Reason_REASON_SF_NO_PERMISSION, "Field-Level Security",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, s := newOrg(), subject()
			c.spoil(o, &s)
			results := run(t, o, s)
			r := results[c.probe]
			require.Equal(t, configv1.ProbeStatus_PROBE_STATUS_BLOCKED, r.GetStatus(), r)
			require.Equal(t, c.reason, r.GetReason())
			require.Contains(t, r.GetDetail(), c.detail)
			require.Contains(t, r.GetEn().GetWhere(), c.where)
			require.Equal(t, r.GetEn().GetWhere() == "", r.GetJa().GetWhere() == "", "both languages say where")
			for other, r := range results {
				require.NotContains(t, r.String(), "hana@", "answers are scrubbed")
				if name == "NoLeads" && other == "email_encryption" {
					require.Equal(t, configv1.ProbeStatus_PROBE_STATUS_COULD_NOT_CHECK, r.GetStatus(), "who sees no leads sees no scheme")
				} else if other != c.probe && o.organizationErr == nil {
					require.Equal(t, configv1.ProbeStatus_PROBE_STATUS_OK, r.GetStatus(), other)
				}
			}
		})
	}
}

func TestWhatCannotBeCheckedIsNotGreen(t *testing.T) {
	t.Attr("requirement", "LOOM-6")
	t.Parallel()
	o := newOrg()
	away := &salesforce.Error{Class: salesforce.ClassTransient, Reason: salesforce.ReasonUnavailable, Code: "TIMEOUT"}
	o.organizationErr, o.versionErr, o.queryErr, o.toolingErr = away, away, away, away
	for object := range o.objects {
		o.errs[object] = away
	}
	for name, r := range run(t, o, subject()) {
		require.Equal(t, configv1.ProbeStatus_PROBE_STATUS_COULD_NOT_CHECK, r.GetStatus(), name)
		require.Equal(t, "could not check", r.GetEn().GetFinding())
	}
	o = newOrg()
	o.queryErr = refused(salesforce.ClassConfig, salesforce.ReasonFieldGone, "INVALID_TYPE")
	require.Equal(t, configv1.ProbeStatus_PROBE_STATUS_COULD_NOT_CHECK, run(t, o, subject())["full_access"].GetStatus(), "an org that keeps it to itself")
}

// slow answers when its caller gives up.
type slow struct{ *org }

func (slow) Describe(ctx context.Context, _ string) (*salesforce.ObjectDescribe, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestASlowAnswerSpoilsNoOther(t *testing.T) {
	t.Attr("requirement", "LOOM-6")
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // nobody is slow there but who is to be
		cfg := probe.Config{Timeout: time.Minute, Parallel: 2}
		for _, r := range probe.Run(t.Context(), cfg, slow{newOrg()}, subject()).Results {
			want := configv1.ProbeStatus_PROBE_STATUS_OK
			if strings.HasPrefix(r.GetProbe(), "object_") || r.GetProbe() == "tasks" || r.GetProbe() == "package" || r.GetProbe() == "email_encryption" {
				want = configv1.ProbeStatus_PROBE_STATUS_COULD_NOT_CHECK
			}
			require.Equal(t, want, r.GetStatus(), r.GetProbe())
		}
	})
}

func TestWhatTheTokenEndpointSaysIsTold(t *testing.T) {
	t.Parallel()
	for code, c := range map[string]struct {
		reason, finding string
	}{
		"invalid_grant":      {salesforce.ReasonAuthRevoked, "connect the org again"},
		"inactive_user":      {salesforce.ReasonAuthRevoked, "inactive or frozen"},
		"NO_TOKEN":           {salesforce.ReasonAuthRevoked, "nobody has authorised"},
		"invalid_client":     {salesforce.ReasonAuthRevoked, "key or secret"},
		"app_blocked":        {salesforce.ReasonAppBlocked, "blocked this one"},
		"invalid_app_access": {salesforce.ReasonAppBlocked, "approved"},
		"ip restricted":      {salesforce.ReasonIPRestricted, "our addresses"},
		"inactive_org":       {salesforce.ReasonAPIDisabled, "API is off"},
	} {
		r := probe.Refused(refused(salesforce.ClassAuth, c.reason, code))
		require.Equal(t, configv1.ProbeStatus_PROBE_STATUS_BLOCKED, r.GetStatus())
		require.Equal(t, c.reason, strings.TrimPrefix(r.GetReason().String(), "REASON_"))
		require.Contains(t, r.GetEn().GetFinding(), c.finding)
	}
	for _, err := range []error{errors.New("the store is away"), refused(salesforce.ClassTransient, salesforce.ReasonUnavailable, "TIMEOUT")} {
		require.Equal(t, configv1.ProbeStatus_PROBE_STATUS_COULD_NOT_CHECK, probe.Refused(err).GetStatus())
	}
}

func TestNeedsAreThoseOfSwitchedOnIntegrations(t *testing.T) {
	t.Parallel()
	action := func(object string, op configv1.ActionOperation, fields ...string) *configv1.Action {
		a := &configv1.Action{Object: object, Operation: op}
		for _, f := range fields {
			a.Fields = append(a.Fields, &configv1.FieldMapping{Field: f})
		}
		return a
	}
	upsert := action("Engagement__c", configv1.ActionOperation_ACTION_OPERATION_UPSERT, "Title__c")
	upsert.ExternalIdField = "External_Id__c"
	needs := probe.NeedsOf([]*configv1.Integration{
		{Enabled: true, Connection: "main", Actions: []*configv1.Action{upsert, action("Task", configv1.ActionOperation_ACTION_OPERATION_INSERT, "Subject", "Who.Name")}},
		{Enabled: true, Connection: "main", Actions: []*configv1.Action{action("Task", configv1.ActionOperation_ACTION_OPERATION_INSERT, "Subject", "Priority")}},
		{Enabled: false, Connection: "main", Actions: []*configv1.Action{action("Case", configv1.ActionOperation_ACTION_OPERATION_INSERT, "Subject")}},
		{Enabled: true, Connection: "other", Actions: []*configv1.Action{action("Opportunity", configv1.ActionOperation_ACTION_OPERATION_INSERT, "Name")}},
	}, "main")
	require.Equal(t, probe.Needs{
		"Engagement__c": {Create: true, Update: true, Read: []string{"External_Id__c"}, Write: []string{"Title__c"}},
		"Task":          {Create: true, Write: []string{"Subject", "Priority"}},
	}, needs)
}

func TestPoliciesAreToldAsFarAsObserved(t *testing.T) {
	t.Attr("requirement", "LOOM-12")
	t.Parallel()
	ok, blocked, unknown := configv1.ProbeStatus_PROBE_STATUS_OK, configv1.ProbeStatus_PROBE_STATUS_BLOCKED, configv1.ProbeStatus_PROBE_STATUS_COULD_NOT_CHECK
	for name, c := range map[string]struct {
		facts probe.Facts
		want  [3]configv1.ProbeStatus
	}{
		"Nothing":       {probe.Facts{}, [3]configv1.ProbeStatus{unknown, unknown, unknown}},
		"Fresh":         {probe.Facts{Refreshed: true, ConsentAge: time.Hour}, [3]configv1.ProbeStatus{unknown, unknown, ok}},
		"OneWasRevoked": {probe.Facts{Refreshed: true, ConsentAge: time.Hour, EndedEarly: 1, LastLife: 48 * time.Hour}, [3]configv1.ProbeStatus{unknown, unknown, ok}},
		"TwoEnded":      {probe.Facts{Refreshed: true, ConsentAge: time.Hour, EndedEarly: 2, LastLife: 48 * time.Hour}, [3]configv1.ProbeStatus{unknown, blocked, ok}},
		"ThisOneLives":  {probe.Facts{Refreshed: true, ConsentAge: 73 * time.Hour, EndedEarly: 2, LastLife: 48 * time.Hour}, [3]configv1.ProbeStatus{unknown, unknown, ok}},
		"LongProven":    {probe.Facts{Refreshed: true, ConsentAge: 40 * 24 * time.Hour}, [3]configv1.ProbeStatus{unknown, ok, ok}},
		"ShortLived":    {probe.Facts{Reason: streamv1.Reason_REASON_SF_AUTH_REVOKED, Code: "invalid_grant", ConsentAge: 48 * time.Hour}, [3]configv1.ProbeStatus{unknown, blocked, unknown}},
		"IPRestricted":  {probe.Facts{Reason: streamv1.Reason_REASON_SF_IP_RESTRICTED, Code: "invalid_grant", ConsentAge: time.Hour}, [3]configv1.ProbeStatus{unknown, unknown, blocked}},
		"OnlyApproved":  {probe.Facts{Reason: streamv1.Reason_REASON_SF_APP_BLOCKED, Code: "invalid_app_access"}, [3]configv1.ProbeStatus{blocked, unknown, unknown}},
		"HeadlessGrant": {probe.Facts{Reason: streamv1.Reason_REASON_SF_AUTH_REVOKED, Code: "invalid_grant"}, [3]configv1.ProbeStatus{unknown, unknown, unknown}},
	} {
		var got [3]configv1.ProbeStatus
		for i, r := range probe.Policies(c.facts) {
			got[i] = r.GetStatus()
			require.NotEmpty(t, r.GetJa().GetWhere())
		}
		require.Equal(t, c.want, got, name)
	}
}

func TestTheStateThatFollows(t *testing.T) {
	t.Parallel()
	result := func(name string, s configv1.ProbeStatus, reason streamv1.Reason, required bool) *configv1.ProbeResult {
		return &configv1.ProbeResult{Probe: name, Status: s, Reason: reason, Required: required}
	}
	fine := result("authorisation", configv1.ProbeStatus_PROBE_STATUS_OK, 0, true)
	bad := func(name string, reason streamv1.Reason, required bool) *configv1.ProbeResult {
		return result(name, configv1.ProbeStatus_PROBE_STATUS_BLOCKED, reason, required)
	}
	unknown := func(name string, required bool) *configv1.ProbeResult {
		return result(name, configv1.ProbeStatus_PROBE_STATUS_COULD_NOT_CHECK, 0, required)
	}
	edition, permission, gone := streamv1.Reason_REASON_SF_EDITION_UNSUPPORTED, streamv1.Reason_REASON_SF_NO_PERMISSION, streamv1.Reason_REASON_SF_FIELD_GONE
	for name, c := range map[string]struct {
		results []*configv1.ProbeResult
		state   connstate.State
		reason  streamv1.Reason
		known   bool
	}{
		"AllFine":            {[]*configv1.ProbeResult{fine}, connstate.Ready, 0, true},
		"NoToken":            {[]*configv1.ProbeResult{bad("authorisation", streamv1.Reason_REASON_SF_AUTH_REVOKED, true)}, 0, 0, false},
		"Unreachable":        {[]*configv1.ProbeResult{unknown("authorisation", true)}, 0, 0, false},
		"TheFirstDecides":    {[]*configv1.ProbeResult{fine, bad("edition", edition, true), bad("tasks", permission, true)}, connstate.Degraded, edition, true},
		"OptionalDoesNot":    {[]*configv1.ProbeResult{fine, bad("tasks", permission, false), unknown("x", false)}, connstate.Ready, 0, true},
		"UnknownIsNotReady":  {[]*configv1.ProbeResult{fine, unknown("edition", true)}, 0, 0, false},
		"KnownTroubleIs":     {[]*configv1.ProbeResult{fine, unknown("edition", true), bad("tasks", permission, true)}, connstate.Degraded, permission, true},
		"PackageMissing":     {[]*configv1.ProbeResult{fine, bad("package", gone, true)}, connstate.NoPackage, 0, true},
		"Warned":             {[]*configv1.ProbeResult{fine, bad("policy_refresh_token", 0, true)}, connstate.Degraded, 0, true},
		"NoPackageAndWarned": {[]*configv1.ProbeResult{fine, bad("package", gone, true), bad("policy_refresh_token", 0, true)}, connstate.NoPackage, 0, true},
		"WorseThanNoPackage": {[]*configv1.ProbeResult{fine, bad("package", gone, true), bad("tasks", permission, true)}, connstate.Degraded, permission, true},
	} {
		state, reason, known := probe.State(c.results)
		require.Equal(t, [3]any{c.state, c.reason, c.known}, [3]any{state, reason, known}, name)
	}
}
