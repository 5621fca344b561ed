package config_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

func TestIntegrationDays(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.workspace(t, "acme")
	var batch []*streamv1.Outcome
	for n := range 60 {
		o := written([]string{"acme", "globex"}[n%2], n)
		o.Integration, o.DecidedAt = []string{"video", "document"}[n/2%2], timestamppb.New(epoch.AddDate(0, 0, n/20))
		if n%8 == 0 {
			o.Status, o.Reason, o.Detail = streamv1.Status_STATUS_FAILED, streamv1.Reason_REASON_SF_VALIDATION, "say what to do"
		}
		batch = append(batch, o)
	}
	require.NoError(t, b.svc.RecordOutcomes(t.Context(), batch))
	require.NoError(t, b.svc.RecordOutcomes(t.Context(), batch), "again without effect")
	log := configv1.NewRunLogServiceClient(b.dial(t, acmeViewer))
	req := &configv1.ListIntegrationDaysRequest{Workspace: "acme", PageSize: 4}
	var all []*configv1.IntegrationDay
	for {
		resp, err := log.ListIntegrationDays(t.Context(), req)
		require.NoError(t, err)
		all = append(all, resp.GetDays()...)
		if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
			break
		}
		other := proto.CloneOf(req)
		other.Integration = "video"
		_, err = log.ListIntegrationDays(t.Context(), other)
		require.Equal(t, []string{"page_token"}, fieldsOf(t, err))
	}
	require.Len(t, all, 6)
	newest := all[1]
	require.Equal(t, "video", newest.GetIntegration())
	require.Equal(t, epoch.AddDate(0, 0, 2).Truncate(24*time.Hour), newest.GetDay().AsTime())
	require.Equal(t, int64(5), newest.GetRead())
	require.Equal(t, newest.GetRead(), newest.GetWritten()+newest.GetFailed())
	require.Equal(t, "say what to do", newest.GetFirstError().GetDetail())

	for _, token := range []string{"", acmeViewer, acmeToken} {
		code := answerTo(t.Context(), b.dial(t, token),
			configv1.File_throughline_config_v1_run_log_proto.Services().Get(0).Methods().Get(0), "globex").Code()
		if token == "" {
			require.Equal(t, codes.Unauthenticated, code)
		} else {
			require.Equal(t, codes.PermissionDenied, code, "promise 9")
		}
	}
}
