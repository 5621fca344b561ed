package directory_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/services/identity/directory"
)

func TestLook(t *testing.T) {
	t.Parallel()

	t.Run("FindsLeadsContactsOwnersAndTheContentOwner", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "IMM-31")
		b := setup(t)
		b.add("Lead", salesforce.Record{"Id": "00Q1", "Email": "Mia@Example.com"})
		b.add("Contact", salesforce.Record{"Id": "0031", "Email": " mia@example.com", "AccountId": "0011"})
		b.org.rows["Contact"][0]["Email"] = "MIA@example.com"
		b.add("User", salesforce.Record{"Id": "005000000000001AAA", "Email": "boss@acme.example", "IsActive": true, "LanguageLocaleKey": "ja"})
		answers := b.dir.Look(t.Context(), []directory.Ask{ask("mia@example.com", "boss@acme.example"), ask("nobody@example.com", "")})

		got := answers[0]
		require.NoError(t, got.Err)
		require.ElementsMatch(t, []string{"00Q1", "0031"}, idsOf(got))
		require.Len(t, got.OwnerUsers, 1)
		require.True(t, got.RecordOwners["005000000000001AAA"].Active)
		require.Equal(t, "ja", got.RecordOwners["005000000000001AAA"].Language)
		require.Equal(t, noon, got.AskedAt)
		require.Empty(t, answers[1].Candidates)
		require.Len(t, b.org.asked(), 4, "one query each for Lead, Contact, User by address, User by id")
	})

	t.Run("PlusTagsAndDotsAreSignificant", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "IMM-31")
		b := setup(t)
		b.add("Lead", salesforce.Record{"Id": "00Q1", "Email": "mia+news@example.com"})
		b.add("Lead", salesforce.Record{"Id": "00Q2", "Email": "m.ia@example.com"})
		require.Empty(t, idsOf(b.look("mia@example.com")[0]))
		require.Equal(t, []string{"00Q1"}, idsOf(b.look("mia+news@example.com")[0]))
	})

	t.Run("InternationalDomainsAreFoundInBothForms", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "IMM-31")
		b := setup(t)
		b.add("Lead", salesforce.Record{"Id": "00Q1", "Email": "mia@bücher.example"})
		b.add("Contact", salesforce.Record{"Id": "0031", "Email": "mia@xn--bcher-kva.example"})
		require.ElementsMatch(t, []string{"00Q1", "0031"}, idsOf(b.look("mia@xn--bcher-kva.example")[0]))
	})

	t.Run("TheFormThatWasSentIsTriedToo", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "ZOOM-4")
		b := setup(t)
		sent := directory.Party{Key: "key of mia@example.com", Address: func() (directory.Address, error) {
			return directory.Address{Email: "mia@example.com", AsSent: "Mia@Example.com"}, nil
		}}
		require.NoError(t, b.dir.Look(t.Context(), []directory.Ask{{Workspace: "acme", Connection: "prod", Viewer: sent}})[0].Err)
		for _, soql := range b.org.asked() {
			require.Contains(t, soql, "IN ('Mia@Example.com','mia@example.com')")
		}
	})

	t.Run("FurtherFieldsMayHoldTheAddress", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "IMM-31")
		b := setup(t)
		b.add("Lead", salesforce.Record{"Id": "00Q1", "Email": "else@example.com", "Work__c": " MIA@example.com"})
		b.add("Lead", salesforce.Record{"Id": "00Q2", "Email": "mia@example.com", "Work__c": "mia@example.com"})
		b.add("Contact", salesforce.Record{"Id": "0031", "Second__c": "mia@example.com"})
		b.add("Contact", salesforce.Record{"Id": "0032", "Work__c": "mia@example.com"})
		a := ask("mia@example.com", "")
		a.How = directory.How{Fields: []string{"Work__c"}, LeadEmails: []string{"Work__c"}, ContactEmails: []string{"Second__c"}}
		got := b.dir.Look(t.Context(), []directory.Ask{a})[0]
		require.NoError(t, got.Err)
		require.ElementsMatch(t, []string{"00Q2", "0031"}, idsOf(got), "the fake org compares whole texts; each is there once")
		require.Len(t, b.org.asked(), 5, "Leads and Contacts by two fields each, and their owner")
		require.Equal(t, []string{"00Q2"}, idsOf(b.look("mia@example.com")[0]), "without the fields it is another question")
	})

	t.Run("FollowsConvertedLeadsToTheirContacts", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "IMM-35")
		b := setup(t)
		b.add("Lead", salesforce.Record{"Id": "00Q1", "Email": "mia@example.com", "IsConverted": true, "ConvertedContactId": "0039"})
		b.add("Contact", salesforce.Record{"Id": "0039", "Email": "mia@private.example"})
		got := b.look("mia@example.com")[0]
		require.Equal(t, []string{"00Q1", "0039"}, idsOf(got))
		require.True(t, got.Candidates[1].ViaConversion)
	})

	t.Run("AsksForTwoHundredAddressesAtOnce", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		var viewers []string
		for i := range 450 {
			viewers = append(viewers, fmt.Sprintf("viewer%03d@example.com", i))
			b.add("Lead", salesforce.Record{"Id": fmt.Sprint("00Q", i), "Email": viewers[i], "OwnerId": "00G1"})
		}
		for i, a := range b.look(viewers...) {
			require.Equal(t, []string{fmt.Sprint("00Q", i)}, idsOf(a))
		}
		require.Len(t, b.org.asked(), 6, "three for Leads, three for Contacts; queues are not looked up")
		require.EqualValues(t, 6, b.dir.Stats().Queries.Load())
	})

	t.Run("HalvesWhatFindsTooMuchOrIsTooLong", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.org.tooMany = 3
		long := strings.Repeat("x", 60) + "%d@" + strings.Repeat("long-domain.", 12) + "example"
		var viewers []string
		for i := range 150 {
			viewers = append(viewers, fmt.Sprintf(long, i))
			b.add("Lead", salesforce.Record{"Id": fmt.Sprint("00Q", i), "Email": viewers[i], "OwnerId": "00G1"})
		}
		for i, a := range b.look(viewers...) {
			require.Equal(t, []string{fmt.Sprint("00Q", i)}, idsOf(a))
		}
		for _, q := range b.org.asked() {
			require.True(t, salesforce.QueryFits(q))
		}
	})

	t.Run("AnAddressThatDoesNotOpenHurtsNobodyElse", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.add("Lead", salesforce.Record{"Id": "00Q1", "Email": "mia@example.com"})
		sealed := ask("", "")
		sealed.Viewer = directory.Party{Key: "x", Address: func() (directory.Address, error) { return directory.Address{}, errors.New("wrong key") }}
		answers := b.dir.Look(t.Context(), []directory.Ask{sealed, ask("mia@example.com", "")})
		require.ErrorIs(t, answers[0].Err, directory.ErrUnreadable)
		require.NoError(t, answers[1].Err)
	})
}

func TestNoAddressCanChangeAQuery(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "IMM-31")
	rapid.Check(t, func(r *rapid.T) {
		b := setup(t)
		address := rapid.StringOf(rapid.RuneFrom([]rune(`ab'"\%_()*? `+"\n\x00"))).Draw(r, "address")
		b.dir.Look(context.Background(), []directory.Ask{ask("x"+address, "")})
		for _, q := range b.org.asked() {
			rest, ok := strings.CutPrefix(q, q[:strings.Index(q, "('")+2])
			require.True(r, ok)
			literal, ok := strings.CutSuffix(rest, "')")
			require.True(r, ok, "%q", q)
			for i := 0; i < len(literal); i++ {
				switch literal[i] {
				case '\\':
					i++ // the escaped character
				case '\'':
					require.Fail(r, "the literal ends early", "%q", q)
				}
			}
		}
	})
}

func TestFreshness(t *testing.T) {
	t.Parallel()

	t.Run("PeopleFoundAreRememberedForTenMinutes", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.add("Lead", salesforce.Record{"Id": "00Q1", "Email": "mia@example.com"})
		b.add("User", salesforce.Record{"Id": "005000000000001AAA", "IsActive": true})
		b.look("mia@example.com")
		b.org.asked()
		b.clock.advance(10*time.Minute - 1)
		got := b.look("mia@example.com")
		require.Empty(t, b.org.asked())
		require.Equal(t, noon, got[0].AskedAt, "the answer says how old it is")
		b.clock.advance(1)
		b.look("mia@example.com")
		require.NotEmpty(t, b.org.asked())
	})

	t.Run("WhoWasErasedIsForgotten", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.add("Lead", salesforce.Record{"Id": "00Q1", "Email": "mia@example.com"})
		b.look("mia@example.com")
		b.look("ren@example.com")
		b.org.asked()
		mia := ask("mia@example.com", "")
		b.dir.Forget(func(workspace, person string) bool { return workspace == mia.Workspace && person == mia.Viewer.Key })
		b.look("ren@example.com")
		require.Empty(t, b.org.asked(), "others are not")
		b.look("mia@example.com")
		require.NotEmpty(t, b.org.asked())
	})

	t.Run("NobodyFoundIsRememberedForAMinute", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.look("mia@example.com")
		b.org.asked()
		b.clock.advance(time.Minute - 1)
		b.look("mia@example.com")
		require.Empty(t, b.org.asked())
		b.add("Lead", salesforce.Record{"Id": "00Q1", "Email": "mia@example.com"})
		b.clock.advance(1)
		require.Equal(t, []string{"00Q1"}, idsOf(b.look("mia@example.com")[0]))
	})

	t.Run("WorkspacesShareNothing", func(t *testing.T) {
		t.Parallel()
		b := setup(t, func(b *bundle) { b.orgs["other/prod"] = &fakeOrg{} })
		b.add("Lead", salesforce.Record{"Id": "00Q1", "Email": "mia@example.com"})
		b.look("mia@example.com")
		other := ask("mia@example.com", "")
		other.Workspace = "other"
		require.Empty(t, b.dir.Look(t.Context(), []directory.Ask{other})[0].Candidates)
		require.NotEmpty(t, b.orgs["other/prod"].asked())
	})
}

func TestTrouble(t *testing.T) {
	t.Parallel()
	down := &salesforce.Error{Class: salesforce.ClassTransient, Reason: "SF_UNAVAILABLE", Status: 503}

	t.Run("OneOrgsTroubleIsNotAnothers", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := setup(t, func(b *bundle) {
				b.orgs["acme/dead"] = &fakeOrg{hang: true}
				b.cfg.Timeout = 20 * time.Millisecond
			})
			b.add("Lead", salesforce.Record{"Id": "00Q1", "Email": "mia@example.com"})
			dead := ask("mia@example.com", "")
			dead.Connection = "dead"
			answers := b.dir.Look(t.Context(), []directory.Ask{dead, ask("mia@example.com", "")})
			require.ErrorIs(t, answers[0].Err, context.DeadlineExceeded)
			require.NotContains(t, answers[0].Err.Error(), "mia@")
			require.NoError(t, answers[1].Err)
			require.Equal(t, []string{"00Q1"}, idsOf(answers[1]))
		})
	})

	t.Run("APanicIsTheTroubleOfTheOrgThatWasAsked", func(t *testing.T) {
		t.Parallel()
		for _, call := range []string{"org", "query", "describe"} {
			b := setup(t, func(b *bundle) { b.orgs["acme/odd"] = &fakeOrg{panics: map[string]bool{call: true}} })
			b.add("Lead", salesforce.Record{"Id": "00Q1", "Email": "mia@example.com"})
			odd := ask("mia@example.com", "")
			odd.Connection = "odd"
			answers := b.dir.Look(t.Context(), []directory.Ask{odd, ask("mia@example.com", "")})
			require.ErrorContains(t, answers[0].Err, "fake_test.go", call)
			require.NotContains(t, answers[0].Err.Error(), "mia@", call)
			require.NoError(t, answers[1].Err, call)
			require.Equal(t, []string{"00Q1"}, idsOf(answers[1]), call)
		}
	})

	t.Run("AFailingOrgIsGivenARest", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.org.fail = down
		for range 2 {
			require.ErrorIs(t, b.dir.Look(t.Context(), []directory.Ask{ask("mia@example.com", "")})[0].Err, down)
		}
		b.org.asked()
		require.ErrorIs(t, b.dir.Look(t.Context(), []directory.Ask{ask("mia@example.com", "")})[0].Err, directory.ErrResting)
		require.Empty(t, b.org.asked())

		b.clock.advance(b.cfg.RestMin)
		b.org.set(func(o *fakeOrg) { o.fail = nil })
		require.NoError(t, b.dir.Look(t.Context(), []directory.Ask{ask("mia@example.com", "")})[0].Err)
	})

	t.Run("WhatIsRememberedIsAnsweredWhileTheOrgIsDown", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.add("Lead", salesforce.Record{"Id": "00Q1", "Email": "mia@example.com"})
		b.look("mia@example.com")
		b.org.set(func(o *fakeOrg) { o.fail = down })
		answers := b.dir.Look(t.Context(), []directory.Ask{ask("mia@example.com", ""), ask("noa@example.com", "")})
		require.NoError(t, answers[0].Err)
		require.ErrorIs(t, answers[1].Err, down)
	})

	t.Run("AConnectionThatIsGoneIsTrouble", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		gone := ask("mia@example.com", "")
		gone.Connection = "gone"
		require.ErrorContains(t, b.dir.Look(t.Context(), []directory.Ask{gone})[0].Err, "no connection gone")
	})
}
