package directory_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/services/identity/directory"
	"github.com/throughline-dev/throughline/services/identity/match"
)

// withPrivacy lets the org have privacy records.
func withPrivacy(b *bundle) {
	b.org.described = map[string][]salesforce.FieldDescribe{
		"Contact": {{Name: "IndividualId"}}, "Lead": {{Name: "IndividualId"}},
		"Individual": {{Name: "HasOptedOutTracking"}, {Name: "HasOptedOutProcessing"}, {Name: "ShouldForget"}},
	}
}

// prefers looks somebody up as a workspace does that honours privacy records.
func (b *bundle) prefers(viewer string) directory.Answer {
	b.Helper()
	a := ask(viewer, "")
	a.How = directory.How{Preferences: true}
	return b.dir.Look(b.Context(), []directory.Ask{a})[0]
}

func TestPrivacyRecords(t *testing.T) {
	t.Parallel()

	t.Run("AreReadWithTheMatch", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-32")
		b := setup(t, withPrivacy)
		b.add("Lead", salesforce.Record{"Id": "00Q1", "Email": "mia@example.com", "Individual": map[string]any{
			"HasOptedOutTracking": true, "HasOptedOutProcessing": false, "ShouldForget": false,
		}})
		b.add("Contact", salesforce.Record{"Id": "0031", "Email": "mia@example.com", "Individual": map[string]any{
			"HasOptedOutTracking": false, "HasOptedOutProcessing": true, "ShouldForget": true,
		}})
		b.add("Lead", salesforce.Record{"Id": "00Q2", "Email": "ren@example.com", "Individual": nil})
		got := b.prefers("mia@example.com")
		require.NoError(t, got.Err)
		all, by := match.Strictest(got.Candidates)
		require.Equal(t, match.Preferences{OptedOutTracking: true, OptedOutProcessing: true, ShouldForget: true}, all)
		require.Equal(t, "0031", by.ID)
		got = b.prefers("ren@example.com")
		require.NoError(t, got.Err)
		require.False(t, got.Candidates[0].Preferences.Any(), "no privacy record says nothing")
	})

	t.Run("AreNotAskedForWhereThereAreNoneOrNobodyWants", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-32")
		off := setup(t)
		off.add("Lead", salesforce.Record{"Id": "00Q1", "Email": "mia@example.com"})
		require.NoError(t, off.prefers("mia@example.com").Err)
		on := setup(t, withPrivacy)
		on.look("mia@example.com")
		for _, soql := range append(off.org.asked(), on.org.asked()...) {
			require.NotContains(t, soql, "Individual")
		}
		require.Zero(t, off.org.describes["Individual"], "the feature is off")
	})

	t.Run("AreReadAsFarAsTheyMayBe", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-32")
		b := setup(t, withPrivacy, func(b *bundle) {
			b.org.described["Individual"] = b.org.described["Individual"][:1]
			b.org.described["Lead"] = nil
		})
		require.NoError(t, b.prefers("mia@example.com").Err)
		for _, soql := range b.org.asked() {
			require.Equal(t, strings.Contains(soql, "FROM Contact"), strings.Contains(soql, "Individual.HasOptedOutTracking"), soql)
			require.NotContains(t, soql, "ShouldForget", "hidden from us")
		}
	})

	t.Run("AreGivenUpWhenTheOrgNoLongerHasThem", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-32")
		b := setup(t, withPrivacy)
		require.NoError(t, b.prefers("mia@example.com").Err)
		b.org.set(func(o *fakeOrg) {
			o.fail = &salesforce.Error{Class: salesforce.ClassConfig, Code: "INVALID_FIELD", Detail: "Didn't understand relationship 'Individual'"}
		})
		require.Error(t, b.prefers("ren@example.com").Err, "the org refuses the field")
		b.org.set(func(o *fakeOrg) { o.fail, o.described = nil, nil })
		b.org.asked()
		b.clock.advance(time.Hour)
		require.NoError(t, b.prefers("ren@example.com").Err)
		for _, soql := range b.org.asked() {
			require.NotContains(t, soql, "Individual")
		}
	})
}
