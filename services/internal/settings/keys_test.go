package settings

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/seal"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// What is saved after a change that did not touch the workspace with the unreadable keys must open at the next start.
func TestWhatIsSavedOfUnreadableKeysAreThoseInUse(t *testing.T) {
	t.Parallel()
	inst, err := seal.NewInstallation()
	require.NoError(t, err)
	snapshot := &configv1.Snapshot{Revision: 1, Lineage: "l"}
	for _, id := range []string{"acme", "globex"} {
		keys, err := inst.NewKeys(id)
		require.NoError(t, err)
		snapshot.Workspaces = append(snapshot.Workspaces, &configv1.WorkspaceSnapshot{Workspace: &configv1.Workspace{Id: id}, SealedKeys: keys})
	}
	first, err := NewView(snapshot, inst)
	require.NoError(t, err)

	damaged := proto.CloneOf(snapshot.GetWorkspaces()[0])
	damaged.SealedKeys, damaged.Workspace.Name = []byte("damaged"), "Acme KK"
	second, troubles := first.with(&change{revision: 2, since: 1, lineage: "l", workspaces: []*configv1.WorkspaceSnapshot{damaged}}, inst)
	require.Len(t, troubles, 1)
	third, troubles := second.with(&change{revision: 3, since: 2, lineage: "l", workspaces: snapshot.GetWorkspaces()[1:]}, inst)
	require.Empty(t, troubles)

	restored, err := NewView(third.snapshot(), inst)
	require.NoError(t, err)
	acme, ok := restored.Workspace("acme")
	require.True(t, ok)
	require.Equal(t, "Acme KK", acme.Proto().GetName())
	require.Equal(t, []byte("damaged"), damaged.GetSealedKeys(), "what came is not changed")
}
