package match_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/throughline-dev/throughline/services/identity/match"
)

func account(id string, modified int, byDomain bool) match.Account {
	return match.Account{ID: "001" + id, LastModified: noon.Add(time.Duration(modified) * time.Hour), CreatedAt: noon, ByDomain: byDomain}
}

func TestDecideAccount(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "IMM-44")
	of := func(id string) *match.Candidate {
		return &match.Candidate{ID: "0031", Object: match.Contact, AccountID: "001" + id}
	}

	got, _ := match.DecideAccount(nil, nil)
	require.Nil(t, got)

	got, considered := match.DecideAccount(of("1"), []match.Account{account("2", 9, true), account("1", 0, false)})
	require.Equal(t, "0011", got.ID, "the Contact's account beats the domain")
	require.Equal(t, "IMM-44 the matched Contact's account", considered[0].Rule)
	require.Equal(t, "IMM-44 behind the matched Contact's account", considered[1].Rule)

	got, _ = match.DecideAccount(of("9"), []match.Account{account("2", 1, true)})
	require.Equal(t, "0012", got.ID, "an account that may not be seen is none")

	got, considered = match.DecideAccount(nil, []match.Account{account("1", 1, true), account("2", 2, true), account("3", 9, false)})
	require.Equal(t, "0012", got.ID, "of several the one that was changed last")
	require.Equal(t, "IMM-44 first by LastModifiedDate DESC of those with the address's domain", considered[0].Rule)
	require.Equal(t, "IMM-44 behind by LastModifiedDate DESC", considered[1].Rule)
	require.Equal(t, "IMM-44 the account of a Contact who was not chosen", considered[2].Rule)

	got, _ = match.DecideAccount(nil, []match.Account{account("3", 9, false)})
	require.Nil(t, got)
}

func TestDecideAccountIsTotal(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "IMM-44")
	rapid.Check(t, func(t *rapid.T) {
		accounts := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) match.Account {
			return account(rapid.StringMatching(`[0-9]`).Draw(t, "id"), rapid.IntRange(0, 2).Draw(t, "modified"), rapid.Bool().Draw(t, "domain"))
		}), 0, 6, func(a match.Account) string { return a.ID }).Draw(t, "accounts")
		var contact *match.Candidate
		if rapid.Bool().Draw(t, "contact") {
			contact = &match.Candidate{AccountID: "001" + rapid.StringMatching(`[0-9]`).Draw(t, "account")}
		}
		got, considered := match.DecideAccount(contact, accounts)
		again, _ := match.DecideAccount(contact, append(rapid.Permutation(accounts).Draw(t, "order"), accounts...))
		require.Equal(t, got, again, "neither order nor repetition matters")
		require.Len(t, considered, len(accounts))
		for _, a := range accounts {
			if contact != nil && a.ID == contact.AccountID {
				require.Equal(t, a.ID, got.ID)
				return
			}
			if a.ByDomain {
				require.NotNil(t, got)
			}
		}
		if got != nil {
			require.True(t, got.ByDomain)
		}
	})
}
