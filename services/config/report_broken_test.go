package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// broken lists what is wrong with acme's report pushes: the field and the reason's code.
func (b *reportBundle) broken(t *testing.T) []string {
	t.Helper()
	resp, err := configv1.NewCatalogueServiceClient(b.dial(t, acmeToken)).ListBroken(t.Context(), &configv1.ListBrokenRequest{Workspace: "acme"})
	require.NoError(t, err)
	var out []string
	for _, found := range resp.GetBroken() {
		require.Equal(t, "scores", found.GetReportPush())
		require.Empty(t, found.GetIntegration())
		require.NotNil(t, found.GetFoundAt())
		require.Equal(t, b.push(t).GetVersion(), found.GetVersion())
		for _, p := range found.GetProblems() {
			out = append(out, p.GetField()+": "+p.GetDescription())
		}
	}
	return out
}

func TestAPushThatDoesNotFitItsOrgIsBroken(t *testing.T) {
	t.Attr("requirement", "XC-38")
	t.Parallel()
	b := setupReports(t)
	require.Empty(t, b.broken(t))
	b.deliver(t, delivery("d1", 2, b.clock.Now()))
	b.clock.Set(epoch)
	b.live.change(t, "", "")
	require.Nil(t, b.claim(t).GetRun())
	b.last(t, failedRun)
	require.Len(t, b.broken(t), 1)
	require.Contains(t, b.broken(t)[0], "columns[1].field: SF_FIELD_GONE: Score__c has no field Stage__c")

	off := b.push(t)
	off.Enabled = false
	b.save(t, off)
	require.Empty(t, b.broken(t), "it is switched off")

	b.live.change(t, stageField, "")
	_, err := configv1.NewCatalogueServiceClient(b.dial(t, acmeToken)).RefreshCatalogue(t.Context(), &configv1.RefreshCatalogueRequest{
		Workspace: "acme", Connection: "main", Objects: []string{"Score__c"},
	})
	require.NoError(t, err)
	on := b.push(t)
	on.Enabled = true
	b.save(t, on)
	require.Empty(t, b.broken(t))
	b.live.change(t, "", "")
	for range 2 { // whoever looks again finds it again
		_, err = configv1.NewCatalogueServiceClient(b.dial(t, acmeToken)).RefreshCatalogue(t.Context(), &configv1.RefreshCatalogueRequest{
			Workspace: "acme", Connection: "main", Objects: []string{"Score__c"},
		})
		require.NoError(t, err)
		require.Len(t, b.broken(t), 1)
	}
}

func TestAPushThatLeavesFieldsOutIsBrokenWhenNothingIsLeft(t *testing.T) {
	t.Parallel()
	b := setupReports(t, func(p *configv1.ReportPush) { p.LeaveOutFields = true })
	b.deliver(t, delivery("d1", 2, b.clock.Now()))
	b.clock.Set(epoch)
	b.live.change(t, "", "")
	require.NotNil(t, b.claim(t).GetRun())
	require.Empty(t, b.broken(t), "it runs without the field")
	fewer := usage()
	fewer.Version, fewer.Columns = 1, append(fewer.Columns[:1:1], fewer.Columns[4:]...)
	b.register(t, fewer)
	require.NotEmpty(t, b.broken(t))
}

func TestAPushThatDoesNotFitItsReportIsBroken(t *testing.T) {
	t.Parallel()
	b := setupReports(t)
	fewer := usage()
	fewer.Version, fewer.Columns = 1, append(fewer.Columns[:3:3], fewer.Columns[4:]...)
	require.Len(t, b.register(t, fewer).GetBroken(), 1)
	require.Equal(t, []string{`columns[1].column: MAPPING_INVALID: report usage has no column "Stage"`}, b.broken(t))
	whole := usage()
	whole.Version = 2
	require.Empty(t, b.register(t, whole).GetBroken())
	require.Empty(t, b.broken(t))

	_, err := b.reports.DeleteReport(t.Context(), &configv1.DeleteReportRequest{Workspace: "acme", Report: "usage", Version: 3})
	require.NoError(t, err)
	require.Equal(t, []string{"enabled: MAPPING_INVALID: the push was paused: report Usage was deleted"}, b.broken(t))
	_, err = b.reports.DeleteReportPush(t.Context(), &configv1.DeleteReportPushRequest{Workspace: "acme", Push: "scores", Version: b.push(t).GetVersion()})
	require.NoError(t, err)
	require.Empty(t, b.broken(t), "it is gone")
}

func TestAPushTellsRecipientsThatThereAre(t *testing.T) {
	t.Parallel()
	b := setupReports(t)
	service := configv1.NewNoticeServiceClient(b.dial(t, acmeToken))
	_, err := service.PutNoticeRecipient(t.Context(), &configv1.PutNoticeRecipientRequest{Recipient: &configv1.NoticeRecipient{
		Workspace: "acme", Id: "ops", Channel: &configv1.NoticeRecipient_Slack{
			Slack: &configv1.SlackChannel{WebhookUrl: "https://hooks.slack.com/services/T0/B0/x"},
		},
	}})
	require.NoError(t, err)
	push := b.push(t)
	push.NextRunAt, push.NoticeRecipients = nil, []string{"ops", "nobody"}
	_, err = b.reports.PutReportPush(t.Context(), &configv1.PutReportPushRequest{Push: push})
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	push.NoticeRecipients = []string{"ops"}
	b.save(t, push)
	require.Equal(t, []string{"ops"}, b.push(t).GetNoticeRecipients())
	_, err = service.RemoveNoticeRecipient(t.Context(), &configv1.RemoveNoticeRecipientRequest{Workspace: "acme", Recipient: "ops"})
	require.NoError(t, err)
	push = b.push(t)
	push.NextRunAt = nil
	_, err = b.reports.PutReportPush(t.Context(), &configv1.PutReportPushRequest{Push: push})
	require.Equal(t, codes.InvalidArgument, status.Code(err), "removed")
}
