package directory_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/identity/directory"
)

const bossID, newBossID = "005000000000001AAA", "005000000000002AAA"

// told is a change in the bundle's org.
func told(kind streamv1.ChangeType, ids ...string) *streamv1.Change {
	return &streamv1.Change{Workspace: "acme", Connection: "prod", ChangeType: kind, RecordIds: ids}
}

const updated = streamv1.ChangeType_CHANGE_TYPE_UPDATE

func TestChanges(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-42")

	remembered := func(t *testing.T) *bundle {
		b := setup(t)
		b.add("Lead", salesforce.Record{"Id": "00Q1", "Email": "mia@example.com", "OwnerId": bossID})
		b.add("Lead", salesforce.Record{"Id": "00Q2", "Email": "ren@example.com", "OwnerId": bossID})
		b.add("User", salesforce.Record{"Id": bossID, "Email": "boss@acme.example", "IsActive": true})
		b.add("User", salesforce.Record{"Id": newBossID, "IsActive": true})
		b.look("mia@example.com", "ren@example.com", "nobody@example.com")
		require.NotEmpty(t, b.org.asked())
		b.look("mia@example.com", "ren@example.com", "nobody@example.com")
		require.Empty(t, b.org.asked())
		return b
	}

	t.Run("WhoseRecordChangedIsAskedForAgainAndNobodyElse", func(t *testing.T) {
		t.Parallel()
		b := remembered(t)
		b.org.rows["Lead"][0]["OwnerId"] = newBossID
		b.dir.Changed(told(updated, "00Q1"))
		b.look("ren@example.com", "nobody@example.com")
		require.Empty(t, b.org.asked())
		got := b.look("mia@example.com")[0]
		require.Equal(t, newBossID, got.Candidates[0].OwnerID)
		require.True(t, got.RecordOwners[newBossID].Active)
		b.org.asked()
		b.look("mia@example.com")
		require.Empty(t, b.org.asked(), "the new answer is remembered")
		require.EqualValues(t, 1, b.dir.Stats().Stale.Load())
	})

	t.Run("AnOwnerWhoBecomesInactiveIsHeeded", func(t *testing.T) {
		t.Parallel()
		b := remembered(t)
		b.org.rows["User"][0]["IsActive"] = false
		b.dir.Changed(told(updated, bossID))
		require.False(t, b.look("mia@example.com")[0].RecordOwners[bossID].Active)
		require.Len(t, b.org.asked(), 1, "the people are as they were")
	})

	t.Run("WhoAppearsByAddressIsFound", func(t *testing.T) {
		t.Parallel()
		b := remembered(t)
		b.add("Lead", salesforce.Record{"Id": "00Q3", "Email": "nobody@example.com", "OwnerId": bossID})
		c := told(streamv1.ChangeType_CHANGE_TYPE_CREATE, "00Q3")
		c.PersonKeys = []string{party("nobody@example.com").Key}
		b.dir.Changed(c)
		require.Equal(t, []string{"00Q3"}, idsOf(b.look("nobody@example.com")[0]))
		b.org.asked()
		b.look("mia@example.com")
		require.Empty(t, b.org.asked())
	})

	t.Run("SomebodyWhoIsFoundMayGetARival", func(t *testing.T) {
		t.Parallel()
		b := remembered(t)
		b.add("Contact", salesforce.Record{"Id": "0031", "Email": "mia@example.com", "OwnerId": bossID})
		c := told(streamv1.ChangeType_CHANGE_TYPE_CREATE, "0031")
		c.PersonKeys = []string{party("mia@example.com").Key}
		b.dir.Changed(c)
		require.ElementsMatch(t, []string{"00Q1", "0031"}, idsOf(b.look("mia@example.com")[0]))
	})

	t.Run("WhenNobodyKnowsWhoAppearedThoseNotFoundAreAskedForAgain", func(t *testing.T) {
		t.Parallel()
		b := remembered(t)
		b.add("Lead", salesforce.Record{"Id": "00Q3", "Email": "nobody@example.com", "OwnerId": bossID})
		c := told(streamv1.ChangeType_CHANGE_TYPE_GAP, "00Q3")
		c.KeysUnknown = true
		b.dir.Changed(c)
		b.look("mia@example.com", "ren@example.com")
		require.Empty(t, b.org.asked())
		require.Equal(t, []string{"00Q3"}, idsOf(b.look("nobody@example.com")[0]))
	})

	t.Run("EverythingMayHaveChanged", func(t *testing.T) {
		t.Parallel()
		b := remembered(t)
		b.dir.Changed(&streamv1.Change{Workspace: "other", Connection: "prod", ChangeType: streamv1.ChangeType_CHANGE_TYPE_EVERYTHING})
		b.look("mia@example.com")
		require.Empty(t, b.org.asked(), "another org's changes are its own")
		b.dir.Changed(told(streamv1.ChangeType_CHANGE_TYPE_EVERYTHING))
		b.look("mia@example.com")
		require.NotEmpty(t, b.org.asked())
		b.dir.Missed()
		b.look("mia@example.com")
		require.NotEmpty(t, b.org.asked())
	})

	t.Run("OurOwnWritesMakeNobodyAskAgain", func(t *testing.T) {
		t.Parallel()
		b := remembered(t)
		own := told(updated, "00Q1")
		own.Own = true
		b.dir.Changed(own)
		b.look("mia@example.com")
		require.Empty(t, b.org.asked())
	})

	t.Run("APersonOfWhomAWriteSaysThatTheyAreGoneIsAskedForAgain", func(t *testing.T) {
		t.Parallel()
		b := remembered(t)
		b.org.rows["Lead"] = b.org.rows["Lead"][1:]
		gone := told(streamv1.ChangeType_CHANGE_TYPE_GONE)
		gone.PersonKeys = []string{party("mia@example.com").Key}
		b.dir.Changed(gone)
		require.Empty(t, b.look("mia@example.com")[0].Candidates)
	})

	t.Run("AlsoOfAnOrgThatTookThePlaceOfAnother", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.add("Lead", salesforce.Record{"Id": "00Q1", "Email": "mia@example.com", "OwnerId": bossID})
		b.add("User", salesforce.Record{"Id": bossID, "IsActive": true})
		a := ask("mia@example.com", "")
		a.Org = "00D000000000002AAA"
		look := func() directory.Answer { return b.dir.Look(t.Context(), []directory.Ask{a})[0] }
		look()
		b.org.rows["Lead"][0]["OwnerId"] = newBossID
		b.add("User", salesforce.Record{"Id": newBossID, "IsActive": true})
		b.dir.Changed(told(updated, "00Q1"))
		require.Equal(t, newBossID, look().Candidates[0].OwnerID)
		b.org.rows["User"][1]["IsActive"] = false
		b.dir.Changed(told(updated, newBossID))
		require.False(t, look().RecordOwners[newBossID].Active)
	})

	t.Run("APersonAccountIsAPair", func(t *testing.T) {
		t.Parallel()
		b := setup(t, withPersons)
		b.pair("0031", "0011", "mia@example.com")
		b.look("mia@example.com")
		b.org.asked()
		b.dir.Changed(told(updated, "0011"))
		b.look("mia@example.com")
		require.NotEmpty(t, b.org.asked(), "its account changed")
	})
}

// A record that changes while it is being asked for: the answer may be of before or after, and is used once and not again.
func TestAChangeDuringAQuestionIsHeeded(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-42")
	b := setup(t)
	b.add("Lead", salesforce.Record{"Id": "00Q1", "Email": "mia@example.com", "OwnerId": bossID})
	b.add("User", salesforce.Record{"Id": bossID, "IsActive": true})
	answered, changed := make(chan struct{}), make(chan struct{})
	slow := &slowOrg{fakeOrg: b.org, answered: answered, changed: changed}
	dir := directory.New(b.cfg, oneOrg{slow}, b.clock)
	done := make(chan directory.Answer)
	go func() { done <- dir.Look(t.Context(), []directory.Ask{ask("mia@example.com", "")})[0] }()
	<-answered // The org has answered, and the answer is on its way.
	dir.Changed(told(updated, "00Q1"))
	close(changed)
	require.Equal(t, []string{"00Q1"}, idsOf(<-done))
	b.org.asked()
	dir.Look(t.Context(), []directory.Ask{ask("mia@example.com", "")})
	require.NotEmpty(t, b.org.asked(), "the answer was not remembered")
}
