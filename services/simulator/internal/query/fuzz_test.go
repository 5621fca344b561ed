package query_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/soql"
)

// FuzzRun runs whatever can be parsed: the answer is JSON, or an error that says why there is none.
func FuzzRun(f *testing.F) {
	for _, s := range []string{
		"SELECT Id, Parent__r.Plain__c, (SELECT Id FROM Things__r LIMIT 1) FROM Thing__c WHERE Email__c = 'a@x.y' OR Number__c > 1 ORDER BY Plain__c DESC",
		"SELECT Plain__c p, COUNT(Id), SUM(Number__c) FROM Thing__c GROUP BY Plain__c HAVING MAX(Number__c) >= 1 OR NOT Plain__c LIKE '%x' ORDER BY COUNT(Id), Plain__c LIMIT 2 OFFSET 1",
		"SELECT DAY_IN_WEEK(convertTimezone(CreatedDate)), AVG(Number__c) a FROM Thing__c GROUP BY DAY_IN_WEEK(convertTimezone(CreatedDate))",
		"SELECT COUNT() FROM Thing__c t, t.Parent__r p WHERE p.Key__c IN ('k', null) AND t.CreatedDate = LAST_N_WEEKS:3 ALL ROWS",
		"SELECT FIELDS(ALL) FROM Thing__c USING SCOPE everything LIMIT 3", "SELECT toLabel(Plain__c) x FROM Thing__c", "SELECT TYPEOF Parent__r WHEN Thing__c THEN Id END FROM Thing__c",
		"SELECT Id FROM Thing__c WHERE Parent__c NOT IN (SELECT Parent__c FROM Twin__c)", "SELECT MAX(Plain__c) FROM Twin__c", "SELECT Thing__c.Id FROM Thing__c",
	} {
		f.Add(s)
	}
	env := setup(f, [][]record.Value{{"a@x.y", "k", "x", 1.0, false}, {nil, nil, nil, 2.0, false}, {"b@x.y", "K", "X", nil, true}})
	f.Fuzz(func(t *testing.T, text string) {
		q, err := soql.Parse(text)
		if err != nil {
			return
		}
		res, err := env.Run(q)
		if err != nil {
			var bad *soql.Error
			if !errors.As(err, &bad) || bad.Code == "" || bad.Message == "" {
				t.Fatalf("%q: error without code or text: %v", text, err)
			}
			return
		}
		if body := res.AppendRecords(nil, 0, res.Len()); !json.Valid(body) {
			t.Fatalf("%q: the answer is no JSON: %s", text, body)
		}
		res.Columns()
	})
}
