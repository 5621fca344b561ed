package simulator_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/simulator"
)

const soqlScenario = `
orgs:
  - key: acme
    timezone: Asia/Tokyo
    package: true
    apps:
      - {client_id: app, client_secret: secret, run_as: integration@acme.example}
    users:
      - {username: integration@acme.example, last_name: Gration}
      - {username: hanako@acme.example, last_name: Hanako}
    records:
      Account:
        - {ref: one, Name: One}
        - {ref: two, Name: Two, OwnerId: "@hanako@acme.example"}
      Contact:
        - {ref: c1, LastName: Aoki, AccountId: "@one", Email: a@one.example, Title: CTO, CreatedDate: 2026-01-31T20:00:00Z}
        - {ref: c2, LastName: Baba, AccountId: "@one", Email: a@one.example, CreatedDate: 2026-02-10T00:00:00Z}
        - {ref: c3, LastName: Chiba, AccountId: "@two", Email: c@two.example, Title: CTO, CreatedDate: 2025-08-10T00:00:00Z}
      Lead:
        - {ref: l1, LastName: Lead, Company: X, Email: l@x.example}
      Task:
        - {Subject: to a contact, WhoId: "@c1", WhatId: "@one", ActivityDate: 2026-07-01}
        - {Subject: to a lead, WhoId: "@l1", ActivityDate: 2026-11-30}
        - {Subject: to nobody}
`

func soqlSetup(t *testing.T) *bundle {
	t.Helper()
	sc, err := simulator.ParseScenario([]byte(soqlScenario))
	require.NoError(t, err)
	return setupWith(t, sc) // the clock stands at 2026-08-10T09:00:00Z, a Monday
}

// bare is the answer's records without attributes, as compact JSON.
func (b *bundle) bare(soql string) string {
	b.t.Helper()
	rows := b.query(soql)
	var strip func(v any)
	strip = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			delete(v, "attributes")
			for _, inner := range v {
				strip(inner)
			}
		case []any:
			for _, inner := range v {
				strip(inner)
			}
		}
	}
	for _, row := range rows {
		strip(row)
	}
	text, err := json.Marshal(rows)
	require.NoError(b.t, err)
	return string(text)
}

// TestQueriesThatDevelopersWrite runs what the "SOQL and SOSL Reference" shows first.
func TestQueriesThatDevelopersWrite(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-46")
	b := soqlSetup(t)
	for query, want := range map[string]string{
		// grouping
		"SELECT Email, COUNT(Id) FROM Contact GROUP BY Email HAVING COUNT(Id) > 1":                                                                                              `[{"Email":"a@one.example","expr0":2}]`,
		"SELECT Email e, COUNT(Id) n FROM Contact GROUP BY Email ORDER BY COUNT(Id) DESC, Email":                                                                                `[{"e":"a@one.example","n":2},{"e":"c@two.example","n":1}]`,
		"SELECT Account.Name, COUNT(Id) n FROM Contact GROUP BY Account.Name ORDER BY Account.Name DESC LIMIT 1":                                                                `[{"Name":"Two","n":1}]`,
		"SELECT Title, COUNT_DISTINCT(Email) FROM Contact GROUP BY Title ORDER BY Title NULLS LAST":                                                                             `[{"Title":"CTO","expr0":2},{"Title":null,"expr0":1}]`,
		"SELECT Email FROM Contact GROUP BY Email HAVING Email LIKE '%two%' OR NOT COUNT(Id) <= 2":                                                                              `[{"Email":"c@two.example"}]`,
		"SELECT Email FROM Contact GROUP BY Email HAVING COUNT(Id) IN (1, 7) AND MIN(CreatedDate) < THIS_YEAR":                                                                  `[{"Email":"c@two.example"}]`,
		"SELECT CALENDAR_YEAR(CreatedDate), COUNT(Id) FROM Contact GROUP BY CALENDAR_YEAR(CreatedDate) ORDER BY CALENDAR_YEAR(CreatedDate)":                                     `[{"expr0":2025,"expr1":1},{"expr0":2026,"expr1":2}]`,
		"SELECT CALENDAR_MONTH(convertTimezone(CreatedDate)) m, COUNT(Id) n FROM Contact GROUP BY CALENDAR_MONTH(convertTimezone(CreatedDate)) ORDER BY COUNT(Id) DESC LIMIT 1": `[{"m":2,"n":2}]`,
		"SELECT MAX(CreatedDate) latest FROM Contact":                                                                                                                           `[{"latest":"2026-02-10T00:00:00.000+0000"}]`,
		// date functions in conditions
		"SELECT LastName FROM Contact WHERE CALENDAR_YEAR(CreatedDate) = 2025":                              `[{"LastName":"Chiba"}]`,
		"SELECT LastName FROM Contact WHERE DAY_ONLY(CreatedDate) = 2026-02-10":                             `[{"LastName":"Baba"}]`,
		"SELECT LastName FROM Contact WHERE HOUR_IN_DAY(convertTimezone(CreatedDate)) = 5":                  `[{"LastName":"Aoki"}]`,
		"SELECT Subject FROM Task WHERE CALENDAR_QUARTER(ActivityDate) IN (4) ":                             `[{"Subject":"to a lead"}]`,
		"SELECT Subject FROM Task WHERE FISCAL_QUARTER(ActivityDate) = 3 AND DAY_IN_WEEK(ActivityDate) = 4": `[{"Subject":"to a contact"}]`,
		// date literals
		"SELECT Subject FROM Task WHERE ActivityDate = THIS_QUARTER":                           `[{"Subject":"to a contact"}]`,
		"SELECT Subject FROM Task WHERE ActivityDate = NEXT_QUARTER":                           `[{"Subject":"to a lead"}]`,
		"SELECT Subject FROM Task WHERE ActivityDate = LAST_N_MONTHS:1":                        `[{"Subject":"to a contact"}]`,
		"SELECT Subject FROM Task WHERE ActivityDate = NEXT_N_MONTHS:3":                        `[{"Subject":"to a lead"}]`,
		"SELECT Subject FROM Task WHERE ActivityDate = N_WEEKS_AGO:6":                          `[{"Subject":"to a contact"}]`,
		"SELECT LastName FROM Contact WHERE CreatedDate = LAST_N_QUARTERS:2 ORDER BY LastName": `[{"LastName":"Aoki"},{"LastName":"Baba"}]`,
		"SELECT LastName FROM Contact WHERE CreatedDate = LAST_N_YEARS:1":                      `[{"LastName":"Chiba"}]`,
		"SELECT LastName FROM Contact WHERE CreatedDate = N_FISCAL_YEARS_AGO:1":                `[{"LastName":"Chiba"}]`,
		// aliases
		"SELECT c.LastName, c.Account.Name FROM Contact c WHERE c.Title = null":                                             `[{"Account":{"Name":"One"},"LastName":"Baba"}]`,
		"SELECT LastName FROM Contact c, c.Account a WHERE a.Name = 'Two'":                                                  `[{"LastName":"Chiba"}]`,
		"SELECT Account.Name, (SELECT Contact.LastName FROM Account.Contacts) FROM Account WHERE Name = 'Two'":              `[{"Contacts":{"done":true,"records":[{"LastName":"Chiba"}],"totalSize":1},"Name":"Two"}]`,
		"SELECT a.Name, (SELECT c.LastName FROM a.Contacts c WHERE c.LastName != null) FROM Account a WHERE a.Name = 'Two'": `[{"Contacts":{"done":true,"records":[{"LastName":"Chiba"}],"totalSize":1},"Name":"Two"}]`,
		// labels, scopes, and what depends on the type of a parent
		"SELECT Status, toLabel(Status) shown FROM Lead WHERE toLabel(Status) LIKE 'open%'":                                      `[{"Status":"Open - Not Contacted","shown":"Open - Not Contacted"}]`,
		"SELECT toLabel(Lead.Status) FROM Lead":                                                                                  `[{"Status":"Open - Not Contacted"}]`,
		"SELECT Name FROM Account USING SCOPE mine":                                                                              `[{"Name":"One"}]`,
		"SELECT Name FROM Account USING SCOPE Everything ORDER BY Name":                                                          `[{"Name":"One"},{"Name":"Two"}]`,
		"SELECT Subject, TYPEOF Who WHEN Lead THEN Company WHEN Contact THEN Title, Account.Name END FROM Task ORDER BY Subject": `[{"Subject":"to a contact","Who":{"Account":{"Name":"One"},"Title":"CTO"}},{"Subject":"to a lead","Who":{"Company":"X"}},{"Subject":"to nobody","Who":null}]`,
		"SELECT TYPEOF Who WHEN Lead THEN Company ELSE Name END FROM Task WHERE Who.Type = 'Contact'":                            `[{"Who":{"Name":"Aoki"}}]`,
	} {
		require.Equal(t, want, b.bare(query), query)
	}
}

// TestQueriesThatSalesforceRefuses compares codes and texts.
func TestQueriesThatSalesforceRefuses(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-46")
	b := soqlSetup(t)
	for query, want := range map[string][2]string{
		"SELECT Title, Email, COUNT(Id) FROM Contact GROUP BY Title":                                              {"MALFORMED_QUERY", "Field must be grouped or aggregated: Email"},
		"SELECT Title FROM Contact GROUP BY Title HAVING COUNT(Id) > 1 AND Email LIKE 'a%'":                       {"MALFORMED_QUERY", "Field must be grouped or aggregated: Email"},
		"SELECT Title FROM Contact GROUP BY Title ORDER BY Email":                                                 {"MALFORMED_QUERY", "Field must be grouped or aggregated: Email"},
		"SELECT COUNT(Id) FROM Contact LIMIT 1":                                                                   {"MALFORMED_QUERY", "Non-grouped query that uses overall aggregate functions cannot also use LIMIT"},
		"SELECT COUNT() FROM Contact ORDER BY Name":                                                               {"MALFORMED_QUERY", "COUNT()"},
		"SELECT LastName n FROM Contact":                                                                          {"MALFORMED_QUERY", "only aggregate expressions use field aliasing"},
		"SELECT LastName FROM Contact HAVING COUNT(Id) > 1":                                                       {"MALFORMED_QUERY", "unexpected token: 'HAVING'"},
		"SELECT CreatedDate, COUNT(Id) FROM Contact GROUP BY CreatedDate":                                         {"INVALID_FIELD", "field 'CreatedDate' can not be grouped in a query call"},
		"SELECT SUM(LastName) FROM Contact":                                                                       {"INVALID_FIELD", "field LastName does not support aggregate operator SUM"},
		"SELECT CALENDAR_YEAR(CreatedDate) FROM Contact":                                                          {"MALFORMED_QUERY", "CALENDAR_YEAR"},
		"SELECT Id FROM Contact WHERE CALENDAR_YEAR(LastName) = 2026":                                             {"INVALID_FIELD", "CALENDAR_YEAR"},
		"SELECT Id FROM Contact WHERE HOUR_IN_DAY(Birthdate) = 2":                                                 {"INVALID_FIELD", "Birthdate"},
		"SELECT Id FROM Contact WHERE CALENDAR_YEAR(CreatedDate) = THIS_YEAR":                                     {"INVALID_FIELD", "CALENDAR_YEAR"},
		"SELECT Id FROM Contact WHERE COUNT(Id) > 1":                                                              {"MALFORMED_QUERY", "COUNT"},
		"SELECT convertTimezone(CreatedDate) FROM Contact":                                                        {"MALFORMED_QUERY", "convertTimezone"},
		"SELECT FORMAT(CreatedDate) FROM Contact":                                                                 {"MALFORMED_QUERY", "the function FORMAT() is not supported by this simulator"},
		"SELECT Title, COUNT(Id) FROM Contact GROUP BY ROLLUP(Title)":                                             {"MALFORMED_QUERY", "ROLLUP() in GROUP BY is not supported by this simulator"},
		"SELECT Id FROM Account USING SCOPE team":                                                                 {"MALFORMED_QUERY", "USING SCOPE team is not supported by this simulator"},
		"SELECT Id FROM Account FOR UPDATE":                                                                       {"MALFORMED_QUERY", "FOR UPDATE is not supported by this simulator"},
		"SELECT Id FROM Contact c WHERE d.LastName = 'x'":                                                         {"INVALID_FIELD", "Didn't understand relationship 'd' in field path"},
		"SELECT Id FROM Contact c, d.Account a":                                                                   {"MALFORMED_QUERY", "d.Account"},
		"SELECT Id FROM Contact where":                                                                            {"MALFORMED_QUERY", "unexpected end of query"},
		"SELECT Id FROM Contact WHERE AccountId IN (SELECT Id FROM Account) OR Title = 'x'":                       {"MALFORMED_QUERY", "Semi join sub-selects are not allowed with the 'OR' operator"},
		"SELECT Id FROM Contact WHERE NOT AccountId IN (SELECT Id FROM Account)":                                  {"MALFORMED_QUERY", "Semi join sub-selects are only allowed at the top level WHERE expressions"},
		"SELECT Id FROM Account WHERE Id IN (SELECT AccountId FROM Contact WHERE Id IN (SELECT WhoId FROM Task))": {"MALFORMED_QUERY", "Nesting of semi join sub-selects is not supported"},
		"SELECT Id FROM Account WHERE Id IN (SELECT ParentId FROM Account)":                                       {"MALFORMED_QUERY", "The inner and outer selects should not be on the same object type"},
		"SELECT Id FROM Account WHERE Id IN (SELECT AccountId FROM Contact LIMIT 5)":                              {"MALFORMED_QUERY", "LIMIT"},
		"SELECT Id FROM Account WHERE Id IN (SELECT Account.Id FROM Contact)":                                     {"MALFORMED_QUERY", "Account.Id"},
		"SELECT Id FROM Account WHERE Id IN (SELECT AccountId FROM Contact) AND Id IN (SELECT AccountId FROM Contact) AND Id NOT IN (SELECT AccountId FROM Contact)": {"MALFORMED_QUERY", "Maximum 2 semi join sub-selects are allowed"},
		"SELECT TYPEOF Account WHEN Account THEN Name END FROM Contact":                                                                                              {"INVALID_FIELD", "Account"},
		"SELECT TYPEOF Who WHEN Account THEN Name END FROM Task":                                                                                                     {"INVALID_FIELD", "Account"},
		"SELECT TYPEOF Who WHEN Lead THEN Name END, COUNT(Id) FROM Task GROUP BY WhoId":                                                                              {"MALFORMED_QUERY", "TYPEOF"},
		"SELECT " + strings.Repeat("(SELECT Id FROM Contacts), ", 21) + "Id FROM Account":                                                                            {"MALFORMED_QUERY", "20"},
	} {
		status, body := b.call(http.MethodGet, "/query?q="+url.QueryEscape(query), "")
		require.Equal(t, http.StatusBadRequest, status, "%s: %s", query, body)
		var answer []struct{ ErrorCode, Message string }
		require.NoError(t, json.Unmarshal([]byte(body), &answer), query)
		require.Equal(t, want[0], answer[0].ErrorCode, query)
		require.Contains(t, answer[0].Message, want[1], query)
	}
}
