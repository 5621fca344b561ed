package identity_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/simulator"
)

// personAccounts gives the org person accounts: Mia is one, owned by the owner.
func personAccounts(o *simulator.Org) {
	o.PersonAccounts = true
	o.Records = append(o.Records, simulator.Rows{Object: "Account", Rows: []map[string]any{
		{"Name": "Business"},
		{"LastName": "Sato", "FirstName": "Mia", "PersonEmail": "Mia@Example.com", "OwnerId": ownerID},
	}})
}

func TestPersonAccounts(t *testing.T) {
	t.Parallel()

	t.Run("AreFoundAsAPairInAMixedOrg", func(t *testing.T) {
		t.Parallel()
		b := setup(t, personAccounts, people("Contact",
			map[string]any{"LastName": "Roe", "Email": "roe@example.com", "OwnerId": goneID},
		))
		b.run()
		b.produce("mia@example.com", "owner@acme.example")
		b.produce("roe@example.com", "owner@acme.example")
		got := b.resolved(2)
		ctx := t.Context()
		account, err := b.client.Query(ctx, "SELECT Id, PersonContactId FROM Account WHERE IsPersonAccount = true")
		require.NoError(t, err)
		person := got[0].GetPerson()
		require.Equal(t, account[0].String("PersonContactId"), person.GetRecordId())
		require.Equal(t, "Contact", person.GetObject())
		require.Equal(t, account[0].String("Id"), person.GetAccountId())
		require.True(t, person.GetPersonAccount())
		require.Equal(t, ownerID, person.GetOwnerId(), "the account's owner is the person's")
		require.True(t, person.GetOwnerActive())
		require.Len(t, got[0].GetCandidates(), 2, "the pair is one candidate; the other is the content owner")
		require.Contains(t, got[0].GetCandidates()[0].GetRule(), "XC-41 a pair with its person account "+person.GetAccountId())
		require.False(t, got[1].GetPerson().GetPersonAccount())
		require.Equal(t, goneID, got[1].GetPerson().GetOwnerId())
	})

	t.Run("AreNoTroubleWhereThereAreNone", func(t *testing.T) {
		t.Parallel()
		b := setup(t, people("Contact", map[string]any{"LastName": "Roe", "Email": "roe@example.com"}))
		s := b.run()
		b.produce("roe@example.com", "owner@acme.example")
		require.NotNil(t, b.resolved(1)[0].GetContact())
		require.Zero(t, s.Stats().Failures)
		require.False(t, b.resolved(1)[0].GetContact().GetPersonAccount())
	})

	t.Run("AreFoundByAUserWhoMustNotSeeAccounts", func(t *testing.T) {
		t.Parallel()
		b := setup(t, personAccounts, func(o *simulator.Org) {
			o.Profiles = append(o.Profiles, simulator.Profile{Name: "Blind", Objects: map[string][]string{"Account": {}}})
			o.Users[0].Profile = "Blind"
		})
		s := b.run()
		b.produce("mia@example.com", "owner@acme.example")
		require.True(t, b.resolved(1)[0].GetPerson().GetPersonAccount())
		require.Equal(t, ownerID, b.resolved(1)[0].GetPerson().GetOwnerId())
		require.Zero(t, s.Stats().Failures)
	})
}
