package config_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

const day = 24 * time.Hour

// keep saves a workspace's retention.
func (p *privacyBundle) keep(t *testing.T, workspace string, own *configv1.RetentionSettings) error {
	t.Helper()
	got, err := p.admin.GetWorkspace(t.Context(), &configv1.GetWorkspaceRequest{Workspace: workspace})
	require.NoError(t, err)
	ws := got.GetWorkspace()
	ws.Retention = own
	_, err = p.admin.PutWorkspace(t.Context(), &configv1.PutWorkspaceRequest{Workspace: ws})
	return err
}

func TestAWorkspaceMayShortenRetentionAndNeverLengthenIt(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-30")
	p := setupPrivacy(t)
	rows, counts := p.cfg.RunLog.Retention.Rows, p.cfg.RunLog.Retention.Counts
	for name, tc := range map[string]struct {
		own   *configv1.RetentionSettings
		field string
	}{
		"shorter":                  {own: &configv1.RetentionSettings{RunLog: durationpb.New(day), RunLogCounts: durationpb.New(day)}},
		"as long as allowed":       {own: &configv1.RetentionSettings{RunLog: durationpb.New(rows), RunLogCounts: durationpb.New(counts)}},
		"a legal hold":             {own: &configv1.RetentionSettings{LegalHold: true}},
		"longer rows":              {&configv1.RetentionSettings{RunLog: durationpb.New(rows + 1)}, "workspace.retention.run_log"},
		"too short":                {&configv1.RetentionSettings{RunLog: durationpb.New(time.Hour - 1)}, "workspace.retention.run_log"},
		"longer counts":            {&configv1.RetentionSettings{RunLogCounts: durationpb.New(counts + 1)}, "workspace.retention.run_log_counts"},
		"counts shorter than rows": {&configv1.RetentionSettings{RunLogCounts: durationpb.New(day)}, "workspace.retention.run_log_counts"},
		"no duration":              {&configv1.RetentionSettings{RunLog: &durationpb.Duration{Seconds: 1, Nanos: -1}}, "workspace.retention.run_log"},
	} {
		err := p.keep(t, "acme", tc.own)
		if tc.field == "" {
			require.NoError(t, err, name)
			continue
		}
		require.Equal(t, codes.InvalidArgument, status.Code(err), name)
		require.Equal(t, []string{tc.field}, fieldsOf(t, err), name)
	}
}

func TestThePurgeHonoursEveryWorkspacesRetention(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-30")
	p := setupPrivacy(t, func(p *privacyBundle) { p.cfg.RunLog.Retention.Every = time.Second })
	p.workspace(t, "held")
	require.NoError(t, p.keep(t, "acme", &configv1.RetentionSettings{RunLog: durationpb.New(day), RunLogCounts: durationpb.New(2 * day)}))
	require.NoError(t, p.keep(t, "held", &configv1.RetentionSettings{LegalHold: true, RunLog: durationpb.New(day)}))
	for _, workspace := range []string{"acme", "globex", "held"} {
		p.tell(t, workspace, "somebody", 1)
		p.awaitCount(t, workspace, 1)
	}
	p.clock.Advance(day + time.Hour)
	eventually(t, func() bool { return len(p.rows(t, "acme")) == 0 }, "acme keeps a day")
	p.awaitCount(t, "acme", 1)
	require.Len(t, p.rows(t, "globex"), 1)
	p.clock.Advance(day)
	p.awaitCount(t, "acme", 0)
	p.clock.Advance(400 * day)
	eventually(t, func() bool { return len(p.rows(t, "globex")) == 0 }, "globex keeps what the installation keeps")
	p.awaitCount(t, "globex", 0)
	require.Len(t, p.rows(t, "held"), 1, "a legal hold")
	p.awaitCount(t, "held", 1)
	require.NoError(t, p.keep(t, "held", nil))
	eventually(t, func() bool { return len(p.rows(t, "held")) == 0 }, "the hold is taken back")
}
