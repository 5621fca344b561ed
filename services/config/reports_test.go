package config_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/secret"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config"
)

const (
	columnText     = configv1.ReportColumnType_REPORT_COLUMN_TYPE_TEXT
	columnNumber   = configv1.ReportColumnType_REPORT_COLUMN_TYPE_NUMBER
	columnInteger  = configv1.ReportColumnType_REPORT_COLUMN_TYPE_INTEGER
	columnBoolean  = configv1.ReportColumnType_REPORT_COLUMN_TYPE_BOOLEAN
	columnDate     = configv1.ReportColumnType_REPORT_COLUMN_TYPE_DATE
	columnDateTime = configv1.ReportColumnType_REPORT_COLUMN_TYPE_DATETIME
)

const (
	ownerToken   = "owner-token-0123456789"
	officerToken = "officer-token-0123456789"
)

// reportBundle is a config service with a simulated org, a report and who works with them.
type reportBundle struct {
	*catalogueBundle
	reports configv1.ReportServiceClient
	runs    configv1.ReportRunServiceClient
	sync    configv1.ReportRunServiceClient
}

func prepareReports(t *testing.T) *reportBundle {
	t.Helper()
	b := &reportBundle{catalogueBundle: prepareCatalogue(t)}
	b.cfg.Callers = append(b.cfg.Callers,
		config.Caller{Name: "hana", Role: config.RoleOwner, Workspace: "acme", Token: secret.New(ownerToken)},
		config.Caller{Name: "saki", Role: config.RolePrivacyOfficer, Workspace: "acme", Token: secret.New(officerToken)},
	)
	b.cfg.Reports.Every = 50 * time.Millisecond
	b.cfg.Reports.PerPush = 0 // due at nine o'clock sharp
	return b
}

func (b *reportBundle) start(t *testing.T) {
	t.Helper()
	b.catalogueBundle.start(t)
	b.reports = configv1.NewReportServiceClient(b.dial(t, acmeToken))
	b.runs = configv1.NewReportRunServiceClient(b.dial(t, acmeToken))
	b.sync = configv1.NewReportRunServiceClient(b.dial(t, serviceToken))
}

// setupReports runs at six in the morning, with a report and its push.
func setupReports(t *testing.T, change ...func(*configv1.ReportPush)) *reportBundle {
	t.Helper()
	b := prepareReports(t)
	b.clock.Advance(-3 * time.Hour)
	b.start(t)
	b.connect(t, "acme")
	b.register(t, usage())
	push := scores()
	for _, c := range change {
		c(push)
	}
	b.save(t, push)
	return b
}

func usage() *configv1.Report {
	return &configv1.Report{
		Workspace: "acme", Id: "usage", Name: "Usage", Environment: "production",
		Columns: []*configv1.ReportColumn{
			{Name: "Key", Type: columnText, KeyCandidate: true},
			{Name: "Points", Type: columnNumber},
			{Name: "Note", Type: columnText},
			{Name: "Stage", Type: columnText},
			{Name: "Count", Type: columnInteger},
			{Name: "Late", Type: columnBoolean},
			{Name: "Day", Type: columnDate},
			{Name: "Seen", Type: columnDateTime},
		},
	}
}

func scores() *configv1.ReportPush {
	return &configv1.ReportPush{
		Workspace: "acme", Id: "scores", Report: "usage", Connection: "main", Object: "Score__c", KeyColumn: "Key", KeyField: "Key__c",
		Columns: []*configv1.ColumnMapping{{Column: "Points", Field: "Points__c"}, {Column: "Stage", Field: "Stage__c"}},
		Enabled: true,
	}
}

func (b *reportBundle) register(t *testing.T, report *configv1.Report) *configv1.PutReportResponse {
	t.Helper()
	resp, err := b.reports.PutReport(t.Context(), &configv1.PutReportRequest{Report: report})
	require.NoError(t, err)
	return resp
}

func (b *reportBundle) save(t *testing.T, push *configv1.ReportPush) *configv1.PutReportPushResponse {
	t.Helper()
	resp, err := b.reports.PutReportPush(t.Context(), &configv1.PutReportPushRequest{Push: push})
	require.NoError(t, err)
	return resp
}

func (b *reportBundle) push(t *testing.T) *configv1.ReportPush {
	t.Helper()
	resp, err := b.reports.GetReportPush(t.Context(), &configv1.GetReportPushRequest{Workspace: "acme", Push: "scores"})
	require.NoError(t, err)
	return resp.GetPush()
}

func TestAReportIsATableWithANameForEveryColumn(t *testing.T) {
	t.Attr("requirement", "WALK-8")
	t.Parallel()
	b := prepareReports(t)
	b.start(t)
	b.connect(t, "acme")
	twice, none, many := usage(), usage(), usage()
	twice.Columns = append(twice.Columns, &configv1.ReportColumn{Name: "Key", Type: columnDate})
	none.Columns = nil
	for n := range 500 {
		many.Columns = append(many.Columns, &configv1.ReportColumn{Name: fmt.Sprint("c", n), Type: columnText})
	}
	for field, report := range map[string]*configv1.Report{"report.columns[8].name": twice, "report.columns": none} {
		_, err := b.reports.PutReport(t.Context(), &configv1.PutReportRequest{Report: report})
		require.Equal(t, codes.InvalidArgument, status.Code(err))
		require.Equal(t, []string{field}, fieldsOf(t, err))
		require.ErrorContains(t, err, "BAD_SCHEMA")
	}
	_, err := b.reports.PutReport(t.Context(), &configv1.PutReportRequest{Report: many})
	require.ErrorContains(t, err, "BAD_SCHEMA")

	saved := b.register(t, usage()).GetReport()
	require.Equal(t, int64(1), saved.GetVersion())
	renamed := proto.CloneOf(saved)
	renamed.Name = "Usage by account"
	b.register(t, renamed)
	list, err := b.reports.ListReports(t.Context(), &configv1.ListReportsRequest{Workspace: "acme"})
	require.NoError(t, err)
	require.Len(t, list.GetReports(), 1)
	require.Equal(t, "usage", list.GetReports()[0].GetId(), "the id stays")
	require.Equal(t, "Usage by account", list.GetReports()[0].GetName())
	require.Len(t, list.GetReports()[0].GetColumns(), 8)
	_, err = b.reports.PutReport(t.Context(), &configv1.PutReportRequest{Report: renamed})
	require.Equal(t, codes.Aborted, status.Code(err), "a newer version is there")
	elsewhere := usage()
	elsewhere.Workspace = "globex"
	_, err = b.reports.PutReport(t.Context(), &configv1.PutReportRequest{Report: elsewhere})
	require.Equal(t, codes.PermissionDenied, status.Code(err))
}

func TestWhatAReportLosesItsPushesAreToldOf(t *testing.T) {
	t.Attr("requirement", "WALK-8")
	t.Parallel()
	b := setupReports(t)
	fewer := usage()
	fewer.Version, fewer.Columns = 1, fewer.Columns[:3] // without Stage
	resp := b.register(t, fewer)
	require.Len(t, resp.GetBroken(), 1)
	require.Contains(t, resp.GetBroken()[0], `push scores: columns[1].column: MAPPING_INVALID: report usage has no column "Stage"`)
	_, err := b.runs.StartReportRun(t.Context(), &configv1.StartReportRunRequest{Workspace: "acme", Push: "scores"})
	require.Equal(t, codes.FailedPrecondition, status.Code(err))
	require.ErrorContains(t, err, "Stage")

	_, err = b.reports.DeleteReport(t.Context(), &configv1.DeleteReportRequest{Workspace: "acme", Report: "usage", Version: 1})
	require.Equal(t, codes.Aborted, status.Code(err))
	require.True(t, b.push(t).GetEnabled(), "what was refused changes nothing")
	gone, err := b.reports.DeleteReport(t.Context(), &configv1.DeleteReportRequest{Workspace: "acme", Report: "usage", Version: 2})
	require.NoError(t, err)
	require.Equal(t, []string{"scores"}, gone.GetPaused())
	paused := b.push(t)
	require.False(t, paused.GetEnabled())
	require.Equal(t, "report Usage was deleted", paused.GetPausedBecause())
	require.Nil(t, paused.GetNextRunAt())
	_, err = b.runs.StartReportRun(t.Context(), &configv1.StartReportRunRequest{Workspace: "acme", Push: "scores"})
	require.ErrorContains(t, err, "report Usage was deleted")
	b.register(t, usage())
}

func TestAPushIsSavedActiveWithItsNextRun(t *testing.T) {
	t.Attr("requirement", "WALK-20")
	t.Parallel()
	b := setupReports(t)
	got := b.push(t)
	require.Equal(t, "Usage → Score__c", got.GetName())
	require.True(t, got.GetEnabled())
	require.Equal(t, int64(1), got.GetVersion())
	require.Equal(t, epoch, got.GetNextRunAt().AsTime(), "today at nine")
	list, err := b.reports.ListReportPushes(t.Context(), &configv1.ListReportPushesRequest{Workspace: "acme"})
	require.NoError(t, err)
	require.Len(t, list.GetPushes(), 1)
	require.Equal(t, epoch, list.GetPushes()[0].GetNextRunAt().AsTime())

	twin := scores()
	twin.Id = "twin"
	resp := b.save(t, twin)
	require.Contains(t, resp.GetWarnings(), "push scores has the same report, object and key")
	loose := scores()
	loose.Id, loose.KeyField = "loose", "Loose_Key__c"
	require.Contains(t, strings.Join(b.save(t, loose).GetWarnings(), "\n"), "(Loose_Key__c) is not unique")

	stale := scores()
	_, err = b.reports.PutReportPush(t.Context(), &configv1.PutReportPushRequest{Push: stale})
	require.Equal(t, codes.Aborted, status.Code(err))

	history := configv1.NewSettingHistoryServiceClient(b.dial(t, acmeToken))
	changed := b.push(t)
	changed.AlwaysWrite = true
	b.save(t, changed)
	versions, err := history.ListSettingVersions(t.Context(), &configv1.ListSettingVersionsRequest{
		Workspace: "acme", Kind: configv1.SettingKind_SETTING_KIND_REPORT_PUSH, Id: "scores",
	})
	require.NoError(t, err)
	require.Len(t, versions.GetVersions(), 2)
	require.Equal(t, "aoi", versions.GetVersions()[0].GetSavedBy())
	require.Equal(t, "always_write", versions.GetVersions()[0].GetChanges()[0].GetPath())
	back, err := history.RollBackSetting(t.Context(), &configv1.RollBackSettingRequest{
		Workspace: "acme", Kind: configv1.SettingKind_SETTING_KIND_REPORT_PUSH, Id: "scores", ToVersion: 1, ExpectedVersion: 2,
	})
	require.NoError(t, err)
	require.Equal(t, int64(3), back.GetVersion())
	require.False(t, b.push(t).GetAlwaysWrite())
}

func TestEverythingThatIsWrongWithAPushIsListedTogether(t *testing.T) {
	t.Attr("requirement", "WALK-20")
	t.Attr("requirement", "WALK-14")
	t.Attr("requirement", "WALK-17")
	t.Attr("requirement", "WALK-19")
	t.Parallel()
	b := setupReports(t)
	bad := scores()
	bad.Id, bad.KeyColumn, bad.KeyField = "bad", "Seen", "Points__c"
	bad.Columns = []*configv1.ColumnMapping{
		{Column: "Nothing", Field: "Note__c"},
		{Column: "Note", Field: "note__C"},
		{Column: "Late", Field: "Points__c"},
		{Column: "Note", Field: "Nowhere__c"},
		{Column: "Note", Field: "CreatedDate"},
		{Column: "Note", Field: "Stage__c", DateFormat: "MM/DD"},
		{Column: "Count", Field: "Loose_Key__c", FractionToPercent: true},
	}
	for _, validate := range []bool{true, false} {
		_, err := b.reports.PutReportPush(t.Context(), &configv1.PutReportPushRequest{Push: bad, ValidateOnly: validate})
		require.Equal(t, codes.InvalidArgument, status.Code(err))
		require.Equal(t, []string{
			"push.key_column", "push.columns[0].column", "push.columns[1].field", "push.columns[2].field", "push.columns[5].date_format",
			"push.key_field", "push.columns[2]", "push.columns[3].field", "push.columns[4].field", "push.columns[5].date_format",
			"push.columns[6].fraction_to_percent",
		}, fieldsOf(t, err))
		for _, says := range []string{
			"a key is a text or a whole number", `no column "Nothing"`, "columns[0] fills note__C already", "is the key field", "has 2 decimals",
			"TYPE_MISMATCH: column \"Late\" holds yes or no", "SF_FIELD_GONE", "SF_NO_PERMISSION", "not percent",
		} {
			require.ErrorContains(t, err, says)
		}
	}
	list, err := b.reports.ListReportPushes(t.Context(), &configv1.ListReportPushesRequest{Workspace: "acme"})
	require.NoError(t, err)
	require.Len(t, list.GetPushes(), 1, "nothing was saved")

	lost := scores()
	lost.Id, lost.Report, lost.Connection = "lost", "none", "none"
	_, err = b.reports.PutReportPush(t.Context(), &configv1.PutReportPushRequest{Push: lost})
	require.Equal(t, []string{"push.report", "push.connection"}, fieldsOf(t, err))
}

func TestOnlyWhatCanBePushedIsOffered(t *testing.T) {
	t.Attr("requirement", "WALK-12")
	t.Attr("requirement", "WALK-14")
	t.Attr("requirement", "WALK-17")
	t.Parallel()
	b := setupReports(t)
	fields, err := b.reports.ListPushFields(t.Context(), &configv1.ListPushFieldsRequest{Workspace: "acme", Connection: "main", Object: "Score__c"})
	require.NoError(t, err)
	named := func(list []*configv1.DescribedField) []string {
		var out []string
		for _, f := range list {
			out = append(out, f.GetName())
		}
		return out
	}
	keys, targets := named(fields.GetKeys()), named(fields.GetTargets())
	require.Equal(t, "Key__c", keys[0], "external ids first")
	require.Contains(t, keys, "Id")
	require.Contains(t, keys, "Loose_Key__c")
	require.NotContains(t, keys, "Points__c", "it has decimals")
	require.NotContains(t, keys, "Stage__c", "it is a picklist")
	require.Contains(t, targets, "Points__c")
	require.NotContains(t, targets, "Id")
	require.NotContains(t, targets, "CreatedDate", "Salesforce sets it")
	contact, err := b.reports.ListPushFields(t.Context(), &configv1.ListPushFieldsRequest{Workspace: "acme", Connection: "main", Object: "Contact"})
	require.NoError(t, err)
	require.Equal(t, "Email", named(contact.GetKeys())[0])
	_, err = b.reports.ListPushFields(t.Context(), &configv1.ListPushFieldsRequest{Workspace: "acme", Connection: "main", Object: "Nothing__c"})
	require.Equal(t, codes.NotFound, status.Code(err))

	objects, err := b.reports.ListPushObjects(t.Context(), &configv1.ListPushObjectsRequest{Workspace: "acme", Connection: "main"})
	require.NoError(t, err)
	offered := map[string]bool{}
	for _, o := range objects.GetObjects() {
		offered[o.GetName()] = true
	}
	require.True(t, offered["Contact"] && offered["Score__c"])
	require.False(t, offered["Organization"])
	hidden := map[string]string{}
	for _, o := range objects.GetHidden() {
		hidden[o.GetName()] = o.GetWhy()
	}
	require.Equal(t, "the integration user may not change its records", hidden["Organization"])
	found, err := b.reports.ListPushObjects(t.Context(), &configv1.ListPushObjectsRequest{Workspace: "acme", Connection: "main", Search: "score"})
	require.NoError(t, err)
	require.Len(t, found.GetObjects(), 1)
}

func TestADraftForAnotherOrgIsKeptAndNotSwitchedOnBeforeItFits(t *testing.T) {
	t.Attr("requirement", "WALK-41")
	t.Attr("requirement", "WALK-36")
	t.Parallel()
	b := setupReports(t)
	production := b.connection("acme") // to an org that does not have the object
	production.Id = "production"
	_, err := b.admin.PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: production})
	require.NoError(t, err)
	draft := b.push(t)
	draft.Id, draft.Version, draft.Connection, draft.Enabled, draft.Object = "promoted", 0, "production", false, "Task"
	saved := b.save(t, draft)
	require.Contains(t, strings.Join(saved.GetWarnings(), "\n"), "columns[0].field: SF_FIELD_GONE: Task has no field Points__c")
	require.Nil(t, saved.GetPush().GetNextRunAt())
	_, err = b.reports.PutReportPush(t.Context(), &configv1.PutReportPushRequest{Push: saved.GetPush(), ValidateOnly: true})
	require.Equal(t, codes.InvalidArgument, status.Code(err), "the differences")
	on := proto.CloneOf(saved.GetPush())
	on.Enabled = true
	_, err = b.reports.PutReportPush(t.Context(), &configv1.PutReportPushRequest{Push: on})
	require.Contains(t, fieldsOf(t, err), "push.columns[0].field")
	require.Contains(t, fieldsOf(t, err), "push.key_field")
	_, err = b.runs.StartReportRun(t.Context(), &configv1.StartReportRunRequest{Workspace: "acme", Push: "promoted"})
	require.Equal(t, codes.FailedPrecondition, status.Code(err))
}
