package settings

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

func TestAmendingReplacesWhatIsNamedAndKeepsAllElse(t *testing.T) {
	t.Parallel()
	unknown := []byte{0xa2, 0x06, 0x01, 'x'} // field 100: a kind of setting of a newer program
	was := &configv1.WorkspaceSnapshot{
		Workspace: &configv1.Workspace{Id: "acme", Name: "Acme"}, SealedKeys: []byte("old"),
		Connections:     []*configv1.Connection{{Id: "a", Name: "A"}, {Id: "c", Name: "C"}},
		Integrations:    []*configv1.Integration{{Id: "x", Version: 1}, {Id: "y", Version: 1}},
		ContentSettings: []*configv1.ContentSetting{{ContentId: "v", Tracking: true}},
		ApiKeys:         []*configv1.ApiKey{{Id: "k"}},
	}
	was.ProtoReflect().SetUnknown(unknown)
	before := proto.CloneOf(was)
	got := amend(was, &configv1.WorkspaceSnapshot{
		Workspace: &configv1.Workspace{Id: "acme", Name: "Acme KK"}, SealedKeys: []byte("new"),
		Connections:     []*configv1.Connection{{Id: "c", Name: "C2"}, {Id: "b", Name: "B"}, {Id: "c", Name: "C3"}},
		Integrations:    []*configv1.Integration{{Id: "x", Version: 2}, {Id: "y", Version: 1, Name: "Y"}},
		ContentSettings: []*configv1.ContentSetting{{ContentId: "v"}},
	})
	want := &configv1.WorkspaceSnapshot{
		Workspace: &configv1.Workspace{Id: "acme", Name: "Acme KK"}, SealedKeys: []byte("new"),
		Connections:     []*configv1.Connection{{Id: "a", Name: "A"}, {Id: "b", Name: "B"}, {Id: "c", Name: "C3"}},
		Integrations:    []*configv1.Integration{{Id: "x", Version: 1}, {Id: "x", Version: 2}, {Id: "y", Version: 1, Name: "Y"}},
		ContentSettings: []*configv1.ContentSetting{{ContentId: "v"}},
		ApiKeys:         []*configv1.ApiKey{{Id: "k"}},
	}
	want.ProtoReflect().SetUnknown(unknown)
	require.True(t, proto.Equal(want, got), "%v", got)
	require.True(t, proto.Equal(before, was), "a view in use never changes")
}

// TestAmendingKeepsEveryFieldThereIs covers kinds of settings that are added to the message later.
func TestAmendingKeepsEveryFieldThereIs(t *testing.T) {
	t.Parallel()
	fields := (&configv1.WorkspaceSnapshot{}).ProtoReflect().Descriptor().Fields()
	for n := range fields.Len() {
		field := fields.Get(n)
		if !field.IsList() {
			continue
		}
		was := &configv1.WorkspaceSnapshot{}
		was.ProtoReflect().Mutable(field).List().AppendMutable()
		got := amend(was, &configv1.WorkspaceSnapshot{Workspace: &configv1.Workspace{Id: "acme"}})
		require.Equal(t, 1, got.ProtoReflect().Get(field).List().Len(), "%s", field.Name())
	}
}
