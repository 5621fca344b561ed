package diagnose_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

func TestAnOrgThatChangesItsZoneIsFollowedFromThenOn(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-36")
	b := setup(t)
	key := store.Key{Workspace: "acme", Kind: store.KindConnection, ID: "main"}
	connection := func() *configv1.Connection {
		doc, err := b.store.Get(t.Context(), key)
		require.NoError(t, err)
		c := &configv1.Connection{}
		require.NoError(t, proto.Unmarshal(doc.Body, c))
		require.Equal(t, doc.Version, max(c.GetVersion(), 1))
		return c
	}
	says := func(id, zone string) {
		b.org.said.Store(&[2]string{id, zone})
		_, err := b.replica().Diagnose(t.Context(), "acme", "main")
		require.NoError(t, err)
	}
	const acme = "00D000000000001EAA"
	says(acme, "Europe/Berlin")
	require.Nil(t, connection().GetOrg(), "an org that was never checked is learnt by checking it")

	c := connection()
	c.Version, c.Org = 2, &configv1.Org{Id: acme, TimeZone: "Asia/Tokyo"}
	body, err := proto.Marshal(c)
	require.NoError(t, err)
	require.NoError(t, b.store.Put(t.Context(), store.Save{Key: key, Expected: 1, Body: body, At: epoch}))
	for _, wrong := range [][2]string{{acme, "Mars/Olympus"}, {acme, ""}, {"00D000000000002EAA", "Europe/Berlin"}, {acme, "Asia/Tokyo"}} {
		says(wrong[0], wrong[1])
		require.Equal(t, int64(2), connection().GetVersion(), wrong)
	}
	b.clock.Advance(time.Hour)
	says(acme, "Europe/Berlin")
	now := connection()
	require.Equal(t, int64(3), now.GetVersion())
	require.Equal(t, "Europe/Berlin", now.GetOrg().GetTimeZone())
	require.Equal(t, "Asia/Tokyo", now.GetOrg().GetFormerZones()[0].GetTimeZone())
	require.Equal(t, epoch.Add(time.Hour), now.GetOrg().GetFormerZones()[0].GetUntil().AsTime())
	entries, err := b.store.AuditEntries(t.Context(), store.AuditQuery{Workspace: "acme", Kind: "connection", Target: "main", Limit: 1})
	require.NoError(t, err)
	require.Equal(t, "diagnosis", entries[0].Actor)
	require.Equal(t, "the org's default time zone has changed", entries[0].Reason)
}
