package directory_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/services/identity/directory"
)

// withPersons lets the org have person accounts.
func withPersons(b *bundle) {
	b.org.described = map[string][]salesforce.FieldDescribe{
		"Contact": {{Name: "IsPersonAccount"}},
		"Account": {{Name: "IsPersonAccount"}, {Name: "PersonEmail", Filterable: true}, {Name: "PersonContactId"}},
	}
}

// pair adds a person account: an account and a contact with one address and one owner.
func (b *bundle) pair(contact, account, address string) {
	b.add("Account", salesforce.Record{"Id": account, "PersonContactId": contact, "PersonEmail": address})
	b.add("Contact", salesforce.Record{
		"Id": contact, "Email": address, "AccountId": account, "IsPersonAccount": true,
		"Account": map[string]any{"OwnerId": "005000000000009AAA", "LastModifiedDate": "2026-02-20T00:00:00.000+0000"},
	})
}

func TestPersonAccounts(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-41")

	t.Run("AreMatchedAsAPair", func(t *testing.T) {
		t.Parallel()
		b := setup(t, withPersons)
		b.pair("0031", "0011", "mia@example.com")
		b.add("Contact", salesforce.Record{"Id": "0032", "Email": "mia@example.com", "AccountId": "0012"})
		b.add("User", salesforce.Record{"Id": "005000000000009AAA", "IsActive": true})
		got := b.look("mia@example.com")[0]
		require.Equal(t, []string{"0031", "0032"}, idsOf(got), "an org is mixed; each is there once")
		person, business := got.Candidates[0], got.Candidates[1]
		require.True(t, person.PersonAccount)
		require.Equal(t, "0011", person.AccountID)
		require.Equal(t, "005000000000009AAA", person.OwnerID, "the owner of the account")
		require.True(t, got.RecordOwners[person.OwnerID].Active)
		require.Equal(t, time.Date(2026, 2, 20, 0, 0, 0, 0, time.UTC), person.LastModified, "the later of both")
		require.False(t, business.PersonAccount)
		require.Equal(t, "005000000000001AAA", business.OwnerID)
	})

	t.Run("AreFoundByTheAddressOfTheAccount", func(t *testing.T) {
		t.Parallel()
		b := setup(t, withPersons)
		b.pair("0031", "0011", "mia@example.com")
		b.org.rows["Contact"][0]["Email"] = nil // hidden from the user
		b.pair("0032", "0012", "noa@example.com")
		b.org.rows["Contact"] = b.org.rows["Contact"][:1] // and this one wholly
		answers := b.look("mia@example.com", "noa@example.com")
		require.Equal(t, []string{"0031"}, idsOf(answers[0]))
		require.True(t, answers[0].Candidates[0].PersonAccount)
		require.Empty(t, answers[1].Candidates, "what cannot be linked is no candidate")
	})

	t.Run("AreFoundThroughConversionsAndFurtherFields", func(t *testing.T) {
		t.Parallel()
		b := setup(t, withPersons)
		b.pair("0031", "0011", "private@example.com")
		b.add("Lead", salesforce.Record{"Id": "00Q1", "Email": "mia@example.com", "IsConverted": true, "ConvertedContactId": "0031"})
		b.org.rows["Contact"][0]["Work__c"] = "work@example.com"
		a := ask("work@example.com", "")
		a.How = directory.How{ContactEmails: []string{"Work__c"}}
		for _, got := range []directory.Answer{b.look("mia@example.com")[0], b.dir.Look(t.Context(), []directory.Ask{a})[0]} {
			require.NoError(t, got.Err)
			pair := got.Candidates[len(got.Candidates)-1]
			require.Equal(t, "0031", pair.ID)
			require.True(t, pair.PersonAccount)
			require.Equal(t, "005000000000009AAA", pair.OwnerID)
		}
	})

	t.Run("AreNotAskedForWhereThereAreNone", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.add("Contact", salesforce.Record{"Id": "0031", "Email": "mia@example.com"})
		b.look("mia@example.com")
		for _, q := range b.org.asked() {
			require.NotContains(t, q, "Person")
			require.NotContains(t, q, "FROM Account")
		}
		require.Equal(t, map[string]int{"Contact": 1}, b.org.describes)
	})

	t.Run("CanBeHiddenInPart", func(t *testing.T) {
		t.Parallel()
		b := setup(t, withPersons)
		b.org.described["Account"] = []salesforce.FieldDescribe{{Name: "PersonEmail"}, {Name: "PersonContactId"}} // encrypted
		b.pair("0031", "0011", "mia@example.com")
		require.Equal(t, []string{"0031"}, idsOf(b.look("mia@example.com")[0]))
		for _, q := range b.org.asked() {
			require.NotContains(t, q, "FROM Account")
		}
	})

	t.Run("AreDetectedAnew", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.look("noa@example.com")
		withPersons(b) // an administrator turns them on
		b.pair("0031", "0011", "mia@example.com")
		require.False(t, b.look("mia@example.com")[0].Candidates[0].PersonAccount, "not known yet, and no harm done")
		b.clock.advance(b.cfg.DescribeAge)
		require.True(t, b.look("mia@example.com")[0].Candidates[0].PersonAccount)

		b.org.set(func(o *fakeOrg) { o.noDescribe = &salesforce.Error{Class: salesforce.ClassTransient, Status: 503} })
		b.clock.advance(b.cfg.DescribeAge)
		require.True(t, b.look("mia@example.com")[0].Candidates[0].PersonAccount, "what was known is used meanwhile")

		// Fields that are hidden all of a sudden: the refusal lets it be asked anew.
		b.org.set(func(o *fakeOrg) { o.described, o.noDescribe = nil, nil })
		b.clock.advance(b.cfg.PositiveAge)
		b.dir.Look(t.Context(), []directory.Ask{ask("mia@example.com", "")})
		require.NotEmpty(t, b.look("mia@example.com")[0].Candidates)
	})

	t.Run("CannotBeKnownWhileTheOrgIsAway", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		down := &salesforce.Error{Class: salesforce.ClassTransient, Status: 503}
		b.org.noDescribe = down
		require.ErrorIs(t, b.dir.Look(t.Context(), []directory.Ask{ask("mia@example.com", "")})[0].Err, down)
		b.org.set(func(o *fakeOrg) { o.noDescribe = &salesforce.Error{Class: salesforce.ClassConfig, Status: 404} })
		b.add("Contact", salesforce.Record{"Id": "0031", "Email": "mia@example.com"})
		require.Equal(t, []string{"0031"}, idsOf(b.look("mia@example.com")[0]), "an object that must not be described has no pairs")
	})
}

func TestAskingForPersonsCostsOneQueryMore(t *testing.T) {
	t.Parallel()
	b := setup(t, withPersons)
	var viewers []string
	for _, name := range strings.Split("abcdefgh", "") {
		viewers = append(viewers, name+"@example.com")
		b.pair("003"+name, "001"+name, name+"@example.com")
	}
	b.look(viewers...)
	require.Len(t, b.org.asked(), 4, "Leads, Contacts, Accounts and owners, for all of them")
}
