package settingstest

import (
	"crypto/sha256"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/seal"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/settings"
)

// Builder collects settings. It is not safe for concurrent use.
type Builder struct {
	tb       testing.TB
	inst     *seal.Installation
	snapshot *configv1.Snapshot
	last     *configv1.WorkspaceSnapshot
}

// New starts with no workspace, revision 1 and a fresh installation key. A failure to build ends the test.
func New(tb testing.TB) *Builder {
	tb.Helper()
	inst, err := seal.NewInstallation()
	require.NoError(tb, err)
	return &Builder{tb: tb, inst: inst, snapshot: &configv1.Snapshot{Revision: 1}}
}

// Installation is the key that opens what the builder made.
func (b *Builder) Installation() *seal.Installation { return b.inst }

// Revision sets the snapshot's revision.
func (b *Builder) Revision(revision int64) *Builder {
	b.snapshot.Revision = revision
	return b
}

// Workspace adds a workspace with fresh keys and, unless options say otherwise, every default.
func (b *Builder) Workspace(id string, options ...func(*configv1.Workspace)) *Builder {
	b.tb.Helper()
	keys, err := b.inst.NewKeys(id)
	require.NoError(b.tb, err)
	ws := &configv1.Workspace{Id: id, Name: id, Version: 1}
	for _, option := range options {
		option(ws)
	}
	b.last = &configv1.WorkspaceSnapshot{Workspace: ws, SealedKeys: keys}
	b.snapshot.Workspaces = append(b.snapshot.Workspaces, b.last)
	return b
}

// Connection adds a connection, as it looks to the data plane: without secrets.
func (b *Builder) Connection(id string, options ...func(*configv1.Connection)) *Builder {
	b.tb.Helper()
	ws := b.workspace()
	c := &configv1.Connection{
		Workspace: ws.GetWorkspace().GetId(), Id: id, Name: id, Version: 1,
		LoginUrl: "https://login.salesforce.com", ApiVersion: "66.0", Parallelism: 4, QuotaPercent: 50,
		Org: &configv1.Org{Id: "00D000000000001EAA", Name: id, TimeZone: "Asia/Tokyo"},
	}
	for _, option := range options {
		option(c)
	}
	ws.Connections = append(ws.Connections, c)
	return b
}

// Integration adds one version of an integration. Workspace, connection (the workspace's last), version (1) and the
// moment it came into force (2020) are filled in where they are missing; enabled is taken as it is.
func (b *Builder) Integration(integration *configv1.Integration) *Builder {
	b.tb.Helper()
	ws := b.workspace()
	i := proto.CloneOf(integration)
	i.Workspace = ws.GetWorkspace().GetId()
	if n := len(ws.GetConnections()); i.GetConnection() == "" && n > 0 {
		i.Connection = ws.GetConnections()[n-1].GetId()
	}
	if i.GetVersion() == 0 {
		i.Version = 1
	}
	if i.EffectiveFrom == nil {
		i.EffectiveFrom = timestamppb.New(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC))
	}
	ws.Integrations = append(ws.Integrations, i)
	return b
}

// Content switches tracking of one content.
func (b *Builder) Content(contentID string, tracking bool) *Builder {
	b.tb.Helper()
	ws := b.workspace()
	ws.ContentSettings = append(ws.ContentSettings, &configv1.ContentSetting{
		Workspace: ws.GetWorkspace().GetId(), ContentId: contentID, Tracking: tracking, Version: 1,
	})
	return b
}

// APIKey adds a producer's key; the producer sends tl_<workspace>_<id>_<secret>.
func (b *Builder) APIKey(id, secret string, options ...func(*configv1.ApiKey)) *Builder {
	b.tb.Helper()
	ws := b.workspace()
	hash := sha256.Sum256([]byte(secret))
	key := &configv1.ApiKey{Workspace: ws.GetWorkspace().GetId(), Id: id, Name: id, SecretHash: hash[:]}
	for _, option := range options {
		option(key)
	}
	ws.ApiKeys = append(ws.ApiKeys, key)
	return b
}

// Suppressed says that the person with this normalised address was erased in the last workspace; options may lift it.
func (b *Builder) Suppressed(email string, options ...func(*configv1.Suppression)) *Builder {
	b.tb.Helper()
	ws := b.workspace()
	keys, err := b.inst.OpenKeys(ws.GetWorkspace().GetId(), ws.GetSealedKeys())
	require.NoError(b.tb, err)
	s := &configv1.Suppression{
		PersonKey: keys.PersonKey(email), Since: timestamppb.New(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)),
	}
	for _, option := range options {
		option(s)
	}
	ws.Suppressions = append(ws.Suppressions, s)
	return b
}

// Snapshot returns a copy of what was built so far, as config would send it.
func (b *Builder) Snapshot() *configv1.Snapshot { return proto.CloneOf(b.snapshot) }

// View returns what was built so far, ready for use.
func (b *Builder) View() *settings.View {
	b.tb.Helper()
	view, err := settings.NewView(b.Snapshot(), b.inst)
	require.NoError(b.tb, err)
	return view
}

// Source returns View in the form that services take.
func (b *Builder) Source() settings.Source {
	b.tb.Helper()
	return settings.Static(b.View())
}

func (b *Builder) workspace() *configv1.WorkspaceSnapshot {
	b.tb.Helper()
	require.NotNil(b.tb, b.last, "add a workspace first")
	return b.last
}
