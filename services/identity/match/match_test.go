package match_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/throughline-dev/throughline/services/identity/match"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func lead(id string, modified, created int) match.Candidate {
	return match.Candidate{
		ID: "00Q" + id, Object: match.Lead,
		LastModified: noon.Add(time.Duration(modified) * time.Hour), CreatedAt: noon.Add(time.Duration(created) * time.Hour),
	}
}

func contact(id string, modified, created int) match.Candidate {
	c := lead(id, modified, created)
	c.ID, c.Object = "003"+id, match.Contact
	return c
}

func converted(c match.Candidate, to string) match.Candidate {
	c.Converted, c.ConvertedContactID = true, to
	return c
}

func viaConversion(c match.Candidate) match.Candidate {
	c.ViaConversion = true
	return c
}

func ruleOf(t *testing.T, d match.Decision, id string) string {
	t.Helper()
	for _, c := range d.Considered {
		if c.ID == id {
			return c.Rule
		}
	}
	require.Fail(t, "not considered", id)
	return ""
}

func TestDecide(t *testing.T) {
	t.Parallel()
	policy := match.DefaultPolicy()

	t.Run("ALeadBeatsAContactWhateverTheDates", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "IMM-32")
		t.Attr("requirement", "LOOM-33")
		d := match.Decide(policy, []match.Candidate{contact("1", 9, 9), lead("1", 0, 0)})
		require.Equal(t, "00Q1", d.Person.ID)
		require.Equal(t, "00Q1", d.Lead.ID)
		require.Equal(t, "0031", d.Contact.ID, "an engagement links the best of both")
		require.Contains(t, ruleOf(t, d, "0031"), "IMM-32 Lead before Contact")
	})

	t.Run("TheRuleCanBeReversed", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "IMM-32")
		reversed, err := match.NewPolicy("reversed", []string{match.Contact, match.Lead}, nil, true)
		require.NoError(t, err)
		d := match.Decide(reversed, []match.Candidate{contact("1", 0, 0), lead("1", 9, 9)})
		require.Equal(t, "0031", d.Person.ID)
		require.Contains(t, ruleOf(t, d, "00Q1"), "IMM-32 Contact before Lead")
	})

	t.Run("TheLatestChangeWinsThenTheLaterCreatedThenTheHigherID", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "IMM-33")
		for _, c := range []struct {
			a, b match.Candidate
			rule string
		}{
			{lead("1", 2, 0), lead("2", 1, 9), "LastModifiedDate DESC"},
			{lead("1", 1, 2), lead("2", 1, 1), "CreatedDate DESC"},
			{lead("2", 1, 1), lead("1", 1, 1), "Id DESC"},
		} {
			d := match.Decide(policy, []match.Candidate{c.b, c.a})
			require.Equal(t, c.a.ID, d.Person.ID)
			require.Equal(t, "IMM-33 first by "+c.rule, ruleOf(t, d, c.a.ID))
			require.Equal(t, "IMM-33 behind by "+c.rule, ruleOf(t, d, c.b.ID))
		}
	})

	t.Run("AConvertedLeadIsReplacedByItsContact", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "IMM-35")
		d := match.Decide(policy, []match.Candidate{converted(lead("1", 9, 9), "0039"), viaConversion(contact("9", 5, 5)), contact("2", 1, 1)})
		require.Nil(t, d.Lead)
		require.Equal(t, "0039", d.Person.ID, "it competes as a Contact")
		require.Equal(t, "IMM-35 converted; its Contact competes", ruleOf(t, d, "00Q1"))

		d = match.Decide(policy, []match.Candidate{converted(lead("1", 9, 9), "0039"), viaConversion(contact("9", 0, 0)), contact("2", 1, 1)})
		require.Equal(t, "0032", d.Person.ID, "and may lose")
	})

	t.Run("AConversionWithoutAVisibleContactIsNoMatch", func(t *testing.T) {
		t.Parallel()
		for to, rule := range map[string]string{"": "IMM-35 converted without a Contact", "0037": "IMM-35 converted; its Contact is not visible"} {
			d := match.Decide(policy, []match.Candidate{converted(lead("1", 9, 9), to)})
			require.Nil(t, d.Person)
			require.Equal(t, rule, ruleOf(t, d, "00Q1"))
		}
	})

	t.Run("ConversionsNeedNotBeFollowed", func(t *testing.T) {
		t.Parallel()
		strict, err := match.NewPolicy("", nil, nil, false)
		require.NoError(t, err)
		d := match.Decide(strict, []match.Candidate{converted(lead("1", 9, 9), "0039"), viaConversion(contact("9", 5, 5))})
		require.Nil(t, d.Person)
	})

	t.Run("APersonAccountIsAContactAmongContacts", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-41")
		person, business := contact("1", 9, 9), contact("2", 1, 1)
		person.PersonAccount, person.AccountID = true, "0011"
		business.AccountID = "0012"
		d := match.Decide(policy, []match.Candidate{business, person})
		require.Equal(t, person, *d.Person)
		require.Equal(t, "IMM-33 first by LastModifiedDate DESC; XC-41 a pair with its person account 0011", ruleOf(t, d, "0031"))
		require.NotContains(t, ruleOf(t, d, "0032"), "XC-41")
		person.LastModified = business.LastModified.Add(-time.Hour)
		require.Equal(t, "0032", match.Decide(policy, []match.Candidate{business, person}).Person.ID, "and may lose")
	})

	t.Run("AnyFieldCanRank", func(t *testing.T) {
		t.Parallel()
		p, err := match.NewPolicy("score", nil, []string{"Score__c desc", "Id"}, true)
		require.NoError(t, err)
		require.Equal(t, []string{"Score__c"}, p.Fields())
		low, high, none := lead("1", 9, 9), lead("2", 0, 0), lead("3", 9, 9)
		low.Extra, high.Extra = map[string]any{"Score__c": 1.0}, map[string]any{"Score__c": 7.0}
		require.Equal(t, high.ID, match.Decide(p, []match.Candidate{low, none, high}).Person.ID)
	})
}

func TestDecideIsTotal(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "IMM-32")
	t.Attr("requirement", "IMM-33")
	t.Attr("requirement", "IMM-35")
	rapid.Check(t, func(t *rapid.T) {
		var candidates []match.Candidate
		for i := range rapid.IntRange(0, 8).Draw(t, "n") {
			modified, created := rapid.IntRange(0, 2).Draw(t, "modified"), rapid.IntRange(0, 2).Draw(t, "created")
			c := lead(strconv.Itoa(i), modified, created)
			if rapid.Bool().Draw(t, "contact") {
				c = contact(strconv.Itoa(i), modified, created)
			} else if rapid.Bool().Draw(t, "converted") {
				c = converted(c, fmt.Sprint("003", rapid.IntRange(0, 9).Draw(t, "to")))
			}
			candidates = append(candidates, c)
		}
		d := match.Decide(match.DefaultPolicy(), candidates)
		shuffled := append(rapid.Permutation(slices.Clone(candidates)).Draw(t, "order"), candidates...)
		require.Equal(t, d, match.Decide(match.DefaultPolicy(), shuffled), "neither order nor repetition matters")
		require.Len(t, d.Considered, len(candidates), "every candidate is kept")

		require.Equal(t, bestOf(candidates, match.Lead), idOf(d.Lead))
		require.Equal(t, bestOf(candidates, match.Contact), idOf(d.Contact))
		want := idOf(d.Lead)
		if want == "" {
			want = idOf(d.Contact)
		}
		require.Equal(t, want, idOf(d.Person))
	})
}

// bestOf is the rule in its plainest form: the largest of (modified, created, id) among those that may be chosen.
func bestOf(candidates []match.Candidate, object string) string {
	best, bestKey := "", ""
	for _, c := range candidates {
		key := fmt.Sprintf("%012d %012d %s", c.LastModified.Unix(), c.CreatedAt.Unix(), c.ID)
		if c.Object == object && !c.Converted && key > bestKey {
			best, bestKey = c.ID, key
		}
	}
	return best
}

func idOf(c *match.Candidate) string {
	if c == nil {
		return ""
	}
	return c.ID
}

func TestNewPolicyRefusesWhatCouldChangeAQuery(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "Id DESC NULLS", "Id sideways", "Id,Name", "1Id", "Id' OR", strings.Repeat("x", 81), "Owner.Name"} {
		_, err := match.NewPolicy("", nil, []string{bad}, true)
		require.ErrorContains(t, err, "order_by", "%q", bad)
	}
}

func TestDecideOwner(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "IMM-30")
	user := func(id string, active bool, login int) match.User {
		return match.User{ID: "005" + id, Active: active, LastLogin: noon.Add(time.Duration(login) * time.Hour)}
	}

	owner, _, failure := match.DecideOwner(nil)
	require.Nil(t, owner)
	require.Equal(t, match.OwnerNotFound, failure)

	owner, considered, failure := match.DecideOwner([]match.User{user("1", false, 9)})
	require.Nil(t, owner)
	require.Equal(t, match.OwnerInactive, failure)
	require.Equal(t, "IMM-30 inactive", considered[0].Rule)

	owner, _, failure = match.DecideOwner([]match.User{user("1", false, 9), user("2", true, 1)})
	require.Equal(t, match.OwnerFound, failure)
	require.Equal(t, "0052", owner.ID)

	owner, considered, _ = match.DecideOwner([]match.User{user("3", true, 1), user("2", true, 5), user("1", true, 5)})
	require.Equal(t, "0051", owner.ID, "logged in last, then lowest id")
	require.Len(t, considered, 3)
	require.Contains(t, considered[0].Rule, "several active users")
}
