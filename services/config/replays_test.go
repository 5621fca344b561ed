package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

func TestReplaysAreInTheAuditLog(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-7")
	b := setup(t)
	b.workspace(t, "acme")
	replays := configv1.NewReplayServiceClient(b.dial(t, acmeToken))
	req := &configv1.RecordReplayRequest{Workspace: "acme", Replay: "r-1", Scope: &configv1.ReplayScope{
		Stage: "writer", Reason: "SF_VALIDATION", From: timestamppb.New(epoch), FromStage: "identity", Rate: 100,
	}}
	_, err := replays.RecordReplay(t.Context(), req)
	require.NoError(t, err)
	req.Done = &configv1.ReplayCounts{Matched: 7, Replayed: 6, Unreadable: 1, Complete: true}
	_, err = replays.RecordReplay(t.Context(), req)
	require.NoError(t, err)

	entries := b.audit(t, acmeToken, &configv1.ListAuditEntriesRequest{Workspace: "acme", Kind: "replay", Target: "r-1"})
	require.Len(t, entries, 2, "when it began and when it ended")
	for _, e := range entries {
		require.Equal(t, "aoi", e.GetActor())
		require.Equal(t, "RecordReplay", e.GetAction())
	}
	fields := map[string]string{}
	for _, c := range entries[0].GetChanges() {
		fields[c.GetPath()] = c.GetAfter()
	}
	require.Equal(t, map[string]string{
		"stage": `"writer"`, "reason": `"SF_VALIDATION"`, "from": `"` + epoch.Format("2006-01-02T15:04:05Z07:00") + `"`,
		"from_stage": `"identity"`, "rate": "100", "matched": "7", "replayed": "6", "unreadable": "1", "complete": "true",
	}, fields)

	// One of several workspaces is the installation's.
	req.Workspace, req.Replay = "", "r-2"
	_, err = replays.RecordReplay(t.Context(), req)
	require.Equal(t, codes.PermissionDenied, status.Code(err))
	_, err = configv1.NewReplayServiceClient(b.dial(t, adminToken)).RecordReplay(t.Context(), req)
	require.NoError(t, err)
	require.Len(t, b.audit(t, adminToken, &configv1.ListAuditEntriesRequest{Kind: "replay"}), 1)

	for _, bad := range []*configv1.RecordReplayRequest{
		{Workspace: "acme", Replay: "r-3"},
		{Workspace: "acme", Scope: &configv1.ReplayScope{Rate: 1}},
		{Workspace: "acme", Replay: "somebody@example.com", Scope: &configv1.ReplayScope{Rate: 1}},
		{Workspace: "acme", Replay: "r-3", Scope: &configv1.ReplayScope{}},
	} {
		_, err = replays.RecordReplay(t.Context(), bad)
		require.Equal(t, codes.InvalidArgument, status.Code(err))
	}
}
