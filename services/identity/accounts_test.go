package identity_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// The owner of the viewer's account, in an org that answers as Salesforce does.
func TestTheAccountsOwner(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "IMM-44")
	byAccount := &configv1.Assignment{Chain: []configv1.Assignee{configv1.Assignee_ASSIGNEE_ACCOUNT_OWNER}}
	accounts := people("Account",
		map[string]any{"ref": "own", "Name": "Own", "OwnerId": ownerID},
		map[string]any{"Name": "Older", "Website": "https://www.example.com", "OwnerId": goneID, "CreatedDate": "2026-01-01T00:00:00.000Z", "LastModifiedDate": "2026-01-02T00:00:00.000Z"},
		map[string]any{"Name": "Newer", "Website": "shop.example.com/ja", "OwnerId": ownerID, "CreatedDate": "2026-01-01T00:00:00.000Z", "LastModifiedDate": "2026-01-03T00:00:00.000Z"},
	)
	ofContact := people("Contact", map[string]any{"LastName": "Sato", "Email": "mia@gmail.com", "AccountId": "@own"})
	lead := people("Lead", map[string]any{"LastName": "Sato", "Company": "C", "Email": "ren@mail.example.com", "OwnerId": goneID})
	chosen := func(r *streamv1.Resolution) (names []string) {
		for _, c := range r.GetCandidates() {
			if c.GetObject() == "Account" && c.GetChosen() {
				names = append(names, c.GetRule())
			}
		}
		return names
	}

	b := setup(t, accounts, ofContact, lead)
	b.rules(byAccount)
	b.run()
	b.produce("mia@gmail.com", "owner@acme.example")
	b.produce("ren@mail.example.com", "owner@acme.example")
	b.produce("nobody@gmail.com", "owner@acme.example")
	got := b.resolved(3)
	require.Equal(t, ownerID, got[0].GetAccount().GetOwnerId())
	require.True(t, got[0].GetAccount().GetOwnerActive())
	require.Equal(t, "ja", got[0].GetAccount().GetOwnerLanguage())
	require.Equal(t, []string{"IMM-44 the matched Contact's account"}, chosen(got[0]))
	require.Equal(t, ownerID, got[1].GetAccount().GetOwnerId(), "the one that was changed last")
	require.Equal(t, "Lead", got[1].GetPerson().GetObject())
	require.Equal(t, []string{"IMM-44 first by LastModifiedDate DESC of those with the address's domain"}, chosen(got[1]))
	require.Nil(t, got[2].GetAccount())
	require.Empty(t, chosen(got[2]))
}
