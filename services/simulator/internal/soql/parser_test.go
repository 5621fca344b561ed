package soql_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/simulator/internal/soql"
)

func TestParse(t *testing.T) {
	t.Parallel()

	t.Run("ReadsEveryClause", func(t *testing.T) {
		t.Parallel()
		q, err := soql.Parse(`select Id, Owner.IsActive from Lead where (Email in ('a@b.c', 'd\'e@f.g') or Name like 'A\%b%')
			and not IsConverted = true and CreatedDate >= LAST_N_DAYS:7 and Amount < -1.5
			order by LastModifiedDate desc nulls last, Id limit 10 offset 5 all rows`)
		require.NoError(t, err)
		require.Len(t, q.Select, 2)
		require.Equal(t, "Owner.IsActive", q.Select[1].Path.String())
		require.Equal(t, "Lead", q.From.Text)
		and := q.Where.(soql.And)
		require.Len(t, and, 4)
		in := and[0].(soql.Or)[0].(*soql.Membership)
		require.Equal(t, "d'e@f.g", in.Values[1].Text)
		relative := and[2].(*soql.Comparison)
		require.Equal(t, soql.RelativeLiteral, relative.Value.Kind)
		require.Equal(t, 7, relative.Value.N)
		require.Equal(t, []soql.Order{
			{Path: q.OrderBy[0].Path, Desc: true, NullsLast: true}, {Path: q.OrderBy[1].Path},
		}, q.OrderBy)
		require.Equal(t, [2]int{10, 5}, [2]int{q.Limit, q.Offset})
		require.True(t, q.AllRows)
	})

	t.Run("ReadsCountAggregatesAndChildren", func(t *testing.T) {
		t.Parallel()
		q, err := soql.Parse("SELECT COUNT() FROM Lead")
		require.NoError(t, err)
		require.True(t, q.Count)
		q, err = soql.Parse("SELECT Status, COUNT(Id) n, MAX(CreatedDate) FROM Lead GROUP BY Status")
		require.NoError(t, err)
		require.Equal(t, "n", q.Select[1].Aggregate.Alias)
		q, err = soql.Parse("SELECT Id, (SELECT Id FROM Tasks ORDER BY Id LIMIT 3) FROM Lead WHERE Id IN (SELECT LeadId FROM CampaignMember)")
		require.NoError(t, err)
		require.Equal(t, 3, q.Select[1].Children.Limit)
		require.NotNil(t, q.Where.(*soql.Membership).Query)
	})

	t.Run("RefusesWithThePlace", func(t *testing.T) {
		t.Parallel()
		for query, want := range map[string]string{
			"SELECT Id FORM Lead":                                                                    "\nSELECT Id FORM Lead\n          ^\nERROR at Row:1:Column:11\nunexpected token: 'FORM'",
			"SELECT Id FROM Lead WHERE":                                                              "unexpected end of query",
			"SELECT Id FROM Lead WHERE Name = \"x\"":                                                 "unexpected char: '\"'",
			"SELECT Id FROM Lead WHERE Name = 'x":                                                    "unterminated string literal",
			`SELECT Id FROM Lead WHERE Name = 'a\qb'`:                                                `Illegal character sequence '\q' in string literal`,
			"SELECT Id FROM Lead WHERE A=1 AND B=2 OR C=3":                                           "unexpected token: 'OR'",
			"SELECT Id FROM Lead LIMIT x":                                                            "unexpected token: 'x'",
			"SELECT Id FROM Lead WHERE Id IN :ids":                                                   "a bind variable is not supported by this simulator",
			"SELECT Id FROM Lead l m":                                                                "unexpected token: 'm'",
			"SELECT FORMAT(Status) FROM Lead":                                                        "the function FORMAT() is not supported by this simulator",
			"SELECT Id FROM Lead WITH SECURITY_ENFORCED":                                             "WITH is not supported by this simulator",
			"SELECT TYPEOF Owner WHEN User THEN Id FROM Lead":                                        "unexpected token: 'FROM'",
			"SELECT (SELECT TYPEOF Who WHEN Lead THEN Id END FROM Tasks) FROM Account":               "TYPEOF is only allowed in the select list of the outermost query",
			"SELECT (SELECT Id FROM Lead.Contacts) FROM Account":                                     "a subquery in the select list is over children of Account, not of Lead",
			"SELECT Id FROM Lead WHERE Id IN (SELECT WhoId FROM Task ORDER BY Id) AND COUNT(Id) > 1": "the function COUNT() cannot stand in a condition",
			"SELECT COUNT(), Id FROM Lead":                                                           "unexpected token: 'Id'",
			"":                                                                                       "unexpected end of query",
		} {
			_, err := soql.Parse(query)
			require.Error(t, err, query)
			require.Contains(t, err.Error(), want, query)
			require.Equal(t, soql.Malformed, code(err), query)
		}
	})

	t.Run("KeepsTheDocumentedLimits", func(t *testing.T) {
		t.Parallel()
		_, err := soql.Parse("SELECT Id FROM Lead WHERE Name = '" + strings.Repeat("x", soql.MaxLiteralLength+1) + "'")
		require.ErrorContains(t, err, "4,000 characters")
		_, err = soql.Parse("SELECT Id FROM Lead WHERE Name != '" + strings.Repeat("x", soql.MaxLength) + "'")
		require.ErrorContains(t, err, "100,000 characters")
		_, err = soql.Parse("SELECT Id FROM Lead OFFSET 2001")
		require.Equal(t, "NUMBER_OUTSIDE_VALID_RANGE", code(err))
		_, err = soql.Parse("SELECT Id FROM Lead WHERE " + strings.Repeat("(", 5000) + "Id = null" + strings.Repeat(")", 5000))
		require.Equal(t, "QUERY_TOO_COMPLICATED", code(err))
		_, err = soql.Parse("SELECT Id FROM Lead WHERE " + strings.Repeat("NOT ", 5000) + "Id = null")
		require.Error(t, err)
	})
}

// code returns the code of a parser's error.
func code(err error) string {
	var bad *soql.Error
	if !errors.As(err, &bad) {
		return ""
	}
	return bad.Code
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"SELECT Id FROM Lead", "select count() from Contact where Email in ('a','b') or not (Name like '%\\_x')",
		"SELECT a.b.c, COUNT(Id) x FROM O GROUP BY a.b.c ORDER BY a DESC NULLS LAST LIMIT 5 OFFSET 2 ALL ROWS",
		"SELECT Id, (SELECT Id FROM Tasks) FROM Lead WHERE D = 2026-08-10T09:00:00+02:00 AND E = TODAY",
		"SELECT FIELDS(ALL) FROM Lead LIMIT 200", "SELECT CALENDAR_YEAR(convertTimezone(a)) y, toLabel(s) FROM O USING SCOPE mine",
		"SELECT Status s, COUNT(Id) n FROM Lead l GROUP BY l.Status HAVING COUNT(Id) > 1 AND MIN(x) = LAST_N_FISCAL_QUARTERS:3 ORDER BY COUNT(Id)",
		"SELECT TYPEOF Who WHEN Lead THEN a, b.c ELSE d END FROM Task t, t.Owner o WHERE o.Name = 'x' FOR VIEW",
		"SELECT (SELECT c.Id FROM a.Contacts c) FROM Account a WHERE Id IN (SELECT AccountId FROM Contact) AND NOT x INCLUDES ('a;b')", "SELECT Id FROM L WHERE N = '\\u00e9\\n'", "SELECT Id FROM L WHERE ((((",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		q, err := soql.Parse(text)
		if err != nil {
			if code(err) == "" || err.Error() == "" {
				t.Fatalf("%q: error without code or text: %v", text, err)
			}
			return
		}
		if q.From.Text == "" || (len(q.Select) == 0 && !q.Count) {
			t.Fatalf("%q: accepted without object or fields", text)
		}
	})
}
