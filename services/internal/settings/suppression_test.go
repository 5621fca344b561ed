package settings_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/internal/settingstest"
)

func TestErased(t *testing.T) {
	t.Parallel()
	lifted := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	b := settingstest.New(t).Workspace("acme").Workspace("globex")
	plain := b.View()
	require.Zero(t, plain.ErasureMark())
	globex, _ := plain.Workspace("globex")
	require.False(t, globex.Suppresses())
	require.False(t, globex.Erased(globex.Keys().PersonKey("mia@viewer.example"), epoch))

	view := b.Suppressed("mia@viewer.example").Suppressed("ren@viewer.example", func(s *configv1.Suppression) {
		s.LiftedAt = timestamppb.New(lifted)
	}).View()
	globex, _ = view.Workspace("globex")
	mia, ren := globex.Keys().PersonKey("mia@viewer.example"), globex.Keys().PersonKey("ren@viewer.example")
	require.True(t, globex.Suppresses())
	require.True(t, globex.Erased(mia, time.Time{}), "what was before stays out, too")
	require.True(t, globex.Erased(mia, lifted.AddDate(9, 0, 0)))
	require.True(t, globex.Erased(ren, lifted.Add(-1)), "lifted for what comes, not for what was")
	require.False(t, globex.Erased(ren, lifted))
	require.False(t, globex.Erased("", lifted), "nobody is not erased")
	require.False(t, globex.Erased(globex.Keys().PersonKey("yuki@viewer.example"), lifted))

	require.True(t, view.Erased("globex", mia, lifted))
	require.False(t, view.Erased("acme", mia, lifted), "another workspace's suppression")
	require.False(t, view.Erased("initech", mia, lifted))
	require.False(t, (*settings.View)(nil).Erased("globex", mia, lifted))
}

func TestErasureMarkChangesWithEverySuppression(t *testing.T) {
	t.Parallel()
	b := settingstest.New(t).Workspace("acme").Suppressed("mia@viewer.example")
	one := b.View().ErasureMark()
	require.NotZero(t, one)
	require.Equal(t, one, b.Revision(7).View().ErasureMark(), "other settings do not matter")
	two := b.Suppressed("ren@viewer.example", func(s *configv1.Suppression) { s.LiftedAt = timestamppb.New(epoch) }).View().ErasureMark()
	require.NotEqual(t, one, two)
	again := b.Snapshot()
	again.Workspaces[0].Suppressions[1].LiftedAt = nil
	view, err := settings.NewView(again, b.Installation())
	require.NoError(t, err)
	require.NotEqual(t, two, view.ErasureMark())
	require.NotEqual(t, one, view.ErasureMark())
}
