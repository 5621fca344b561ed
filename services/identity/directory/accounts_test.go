package directory_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/identity/directory"
	"github.com/throughline-dev/throughline/services/identity/match"
)

// lookForAccounts asks about viewers and their accounts.
func (b *bundle) lookForAccounts(how directory.How, viewers ...string) []directory.Answer {
	b.Helper()
	var asks []directory.Ask
	for _, v := range viewers {
		a := ask(v, "")
		a.Account, a.How = true, how
		asks = append(asks, a)
	}
	answers := b.dir.Look(b.Context(), asks)
	for _, a := range answers {
		require.NoError(b, a.Err)
	}
	return answers
}

func accountIDs(a directory.Answer) (ids []string) {
	for _, account := range a.Accounts {
		ids = append(ids, account.ID)
	}
	return ids
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "IMM-44")

	setup := func(t *testing.T) *bundle {
		b := setup(t)
		b.add("Account", salesforce.Record{"Id": "0011", "Website": "https://www.Acme.co.jp/en", "OwnerId": bossID})
		b.add("Account", salesforce.Record{"Id": "0012", "Website": "shop.acme.co.jp", "OwnerId": newBossID})
		b.add("Account", salesforce.Record{"Id": "0013", "Website": "not-acme.co.jp"})
		b.add("Account", salesforce.Record{"Id": "0014", "Website": "see acme.co.jp.example.com"})
		b.add("Account", salesforce.Record{"Id": "0015", "Website": "http://::broken//acme.co.jp"})
		b.add("Account", salesforce.Record{"Id": "0016", "Domain__c": "globex.example"})
		b.add("Account", salesforce.Record{"Id": "0017", "Website": "mail.gmail.com"})
		b.add("User", salesforce.Record{"Id": bossID, "IsActive": true})
		b.add("User", salesforce.Record{"Id": newBossID})
		return b
	}

	t.Run("AreFoundByTheDomainOfTheAddress", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.add("Lead", salesforce.Record{"Id": "00Q1", "Email": "mia@tokyo.acme.co.jp", "OwnerId": bossID})
		got := b.lookForAccounts(directory.How{}, "mia@tokyo.acme.co.jp", "ren@acme.co.jp", "yui@gmail.com", "aoi@globex.example")
		require.Equal(t, []string{"0011", "0012"}, accountIDs(got[0]), "a Lead has no account of its own; subdomains are the company's")
		require.Equal(t, accountIDs(got[0]), accountIDs(got[1]), "also for somebody who is not known")
		require.True(t, got[0].Accounts[0].ByDomain)
		require.True(t, got[0].RecordOwners[bossID].Active)
		require.False(t, got[0].RecordOwners[newBossID].Active)
		require.Empty(t, got[2].Accounts, "a free mail domain is nobody's")
		require.Empty(t, got[3].Accounts)
		for _, q := range b.org.asked() {
			require.NotContains(t, q, "%gmail", "it is not even asked for")
		}
	})

	t.Run("AFieldOfTheOrgsOwnMayHoldTheDomain", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		got := b.lookForAccounts(directory.How{DomainField: "Domain__c", FreeMail: []string{"acme.co.jp"}}, "aoi@mail.globex.example", "ren@acme.co.jp")
		require.Equal(t, []string{"0016"}, accountIDs(got[0]))
		require.Empty(t, got[1].Accounts, "the workspace's own list of free mail domains")
	})

	t.Run("AContactsAccountNeedsNoDomain", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.add("Contact", salesforce.Record{"Id": "0031", "Email": "mia@gmail.com", "AccountId": "0013"})
		b.add("Contact", salesforce.Record{"Id": "0032", "Email": "ren@acme.co.jp"})
		got := b.lookForAccounts(directory.How{}, "mia@gmail.com", "ren@acme.co.jp")
		require.Equal(t, []string{"0013"}, accountIDs(got[0]))
		require.False(t, got[0].Accounts[0].ByDomain)
		require.Equal(t, []string{"0011", "0012"}, accountIDs(got[1]), "a Contact without an account has the domain's")
	})

	t.Run("APersonAccountIsItsOwnAccount", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-41")
		b := setup(t)
		withPersons(b)
		b.pair("0031", "0018", "mia@gmail.com")
		got := b.lookForAccounts(directory.How{}, "mia@gmail.com")[0]
		account, _ := match.DecideAccount(match.Decide(match.DefaultPolicy(), got.Candidates).Contact, got.Accounts)
		require.NotNil(t, account)
		require.Equal(t, "0018", account.ID)
	})

	t.Run("AreRememberedUntilTheyChange", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-42")
		b := setup(t)
		b.lookForAccounts(directory.How{}, "ren@acme.co.jp", "aoi@initech.example")
		b.org.asked()
		b.lookForAccounts(directory.How{}, "ren@acme.co.jp", "aoi@initech.example")
		require.Empty(t, b.org.asked())
		b.org.rows["Account"][0]["OwnerId"] = newBossID
		b.dir.Changed(told(updated, "0011"))
		require.Equal(t, newBossID, b.lookForAccounts(directory.How{}, "ren@acme.co.jp")[0].Accounts[0].OwnerID)
		b.add("Account", salesforce.Record{"Id": "0019", "Website": "initech.example"})
		appeared := told(streamv1.ChangeType_CHANGE_TYPE_CREATE, "0019")
		appeared.KeysUnknown = true
		b.dir.Changed(appeared)
		require.Equal(t, []string{"0019"}, accountIDs(b.lookForAccounts(directory.How{}, "aoi@initech.example")[0]))
		b.org.asked()
		b.clock.advance(10 * time.Minute)
		b.lookForAccounts(directory.How{}, "ren@acme.co.jp")
		require.NotEmpty(t, b.org.asked())
	})

	t.Run("AreAskedForOnlyWhenWanted", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.look("ren@acme.co.jp")
		for _, q := range b.org.asked() {
			require.NotContains(t, q, "FROM Account")
		}
	})

	t.Run("ManyDomainsAreAskedForTogether", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		var viewers []string
		for i := range 60 {
			viewers = append(viewers, "v@company-"+strings.Repeat("x", i%7)+string(rune('a'+i%26))+string(rune('a'+i/26))+".example")
		}
		b.lookForAccounts(directory.How{}, viewers...)
		queries := 0
		for _, q := range b.org.asked() {
			if strings.Contains(q, "FROM Account") {
				queries++
			}
		}
		require.LessOrEqual(t, queries, 3)
	})
}
