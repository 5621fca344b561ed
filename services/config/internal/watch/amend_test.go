package watch

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// revise is the same workspace after a change at a revision.
func revise(t *testing.T, was *workspace, revision int64, change func(*configv1.WorkspaceSnapshot)) *workspace {
	t.Helper()
	ws := &configv1.WorkspaceSnapshot{}
	if was != nil {
		require.NoError(t, proto.Unmarshal(was.encoded, ws))
	}
	change(ws)
	encoded, err := encoding.Marshal(ws)
	require.NoError(t, err)
	now := &workspace{id: "acme", encoded: encoded, changed: revision}
	if was != nil {
		now.amend(was)
	}
	return now
}

// told decodes what a watcher of the revision is told, or nil if it must have everything.
func told(t *testing.T, w *workspace, revision int64) *configv1.WorkspaceSnapshot {
	t.Helper()
	records, ok := w.since(revision)
	if !ok {
		return nil
	}
	ws := &configv1.WorkspaceSnapshot{}
	require.NoError(t, proto.Unmarshal(records, ws))
	require.Equal(t, "acme", ws.GetWorkspace().GetId())
	return ws
}

func begin(ws *configv1.WorkspaceSnapshot) {
	ws.Workspace, ws.SealedKeys = &configv1.Workspace{Id: "acme"}, []byte("keys")
	ws.Connections = []*configv1.Connection{{Id: "main", Name: "Main"}}
	for n := range 100 {
		ws.Integrations = append(ws.Integrations, &configv1.Integration{Id: fmt.Sprintf("rule-%03d", n), Version: 1, Name: "a rule"})
	}
	ws.ContentSettings = []*configv1.ContentSetting{{ContentId: "v", Tracking: true}}
	ws.ApiKeys = []*configv1.ApiKey{{Id: "k"}}
}

func TestAnAmendmentHoldsWhatAWatcherLacks(t *testing.T) {
	t.Parallel()
	at5 := revise(t, nil, 5, begin)
	at7 := revise(t, at5, 7, func(ws *configv1.WorkspaceSnapshot) {
		ws.Integrations = append(ws.Integrations, &configv1.Integration{Id: "rule-007", Version: 2})
	})
	at9 := revise(t, at7, 9, func(ws *configv1.WorkspaceSnapshot) {
		ws.Connections[0].Name, ws.ContentSettings[0].Tracking, ws.ApiKeys[0].Name = "Other", false, "named"
	})
	require.Nil(t, told(t, at9, 4), "older than what is known")
	for _, revision := range []int64{5, 6} {
		ws := told(t, at9, revision)
		require.Len(t, ws.GetIntegrations(), 1)
		require.Equal(t, int64(2), ws.GetIntegrations()[0].GetVersion())
		require.Equal(t, "Other", ws.GetConnections()[0].GetName())
	}
	for _, revision := range []int64{7, 8} {
		ws := told(t, at9, revision)
		require.Empty(t, ws.GetIntegrations(), "it has that")
		require.Equal(t, "Other", ws.GetConnections()[0].GetName())
		require.False(t, ws.GetContentSettings()[0].GetTracking())
		require.Equal(t, "named", ws.GetApiKeys()[0].GetName())
	}
	at11 := revise(t, at9, 11, func(ws *configv1.WorkspaceSnapshot) { ws.Workspace.Name = "Acme KK" })
	ws := told(t, at11, 9)
	require.Equal(t, "Acme KK", ws.GetWorkspace().GetName())
	require.Equal(t, "keys", string(ws.GetSealedKeys()))
}

func TestWhatIsGoneNeedsTheWholeWorkspace(t *testing.T) {
	t.Parallel()
	at5 := revise(t, nil, 5, begin)
	at7 := revise(t, at5, 7, func(ws *configv1.WorkspaceSnapshot) { ws.ApiKeys = nil })
	require.Nil(t, told(t, at7, 5))
	at9 := revise(t, at7, 9, func(ws *configv1.WorkspaceSnapshot) { ws.ContentSettings[0].Tracking = false })
	require.Nil(t, told(t, at9, 5), "nor does a later change help")
	require.NotNil(t, told(t, at9, 7))
	unknown := revise(t, at9, 11, func(ws *configv1.WorkspaceSnapshot) {
		ws.ProtoReflect().SetUnknown([]byte{0xa2, 0x06, 0x01, 'x'}) // field 100: a kind of setting of a newer program
	})
	require.Nil(t, told(t, unknown, 9))
}

func TestAmendmentsAreBounded(t *testing.T) {
	t.Parallel()
	w := revise(t, nil, 1, begin)
	for revision := int64(2); revision < 100; revision++ {
		w = revise(t, w, revision, func(ws *configv1.WorkspaceSnapshot) {
			ws.ContentSettings[0].Version, ws.ContentSettings[0].ContentId = revision, "v"
		})
		size := 0
		for _, a := range w.amendments {
			size += len(a.records)
		}
		require.LessOrEqual(t, len(w.amendments), keptAmendments)
		require.LessOrEqual(t, size, len(w.encoded)/2)
	}
	require.NotNil(t, told(t, w, 99-keptAmendments))
	require.Nil(t, told(t, w, 98-keptAmendments))
}
