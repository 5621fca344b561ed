package salesforce

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// MaxCollectionGet is how many ids CollectionGet takes. Salesforce's page names no number for the form with a body; public
// clients use 2,000.
const MaxCollectionGet = 2000

// CollectionDelete deletes up to MaxCollection records, which may be of several objects, as one call of the org's allocation;
// one that cannot be deleted fails alone. Records that are not there any more fail with SF_RECORD_GONE.
// Source: REST API Developer Guide, "Delete Records Using sObject Collections".
func (c *Client) CollectionDelete(ctx context.Context, ids []string) (CollectionResult, error) {
	if len(ids) == 0 || len(ids) > MaxCollection {
		return CollectionResult{}, tooMany("ids", MaxCollection)
	}
	if err := checkIDs(ids); err != nil {
		return CollectionResult{}, err
	}
	r := &call{
		method: http.MethodDelete, path: "/composite/sobjects", template: "/composite/sobjects", api: "collections", records: len(ids),
		query: url.Values{"ids": {strings.Join(ids, ",")}, "allOrNone": {"false"}},
	}
	ans, info, err := c.do(ctx, r)
	result := CollectionResult{Call: info}
	if err != nil {
		return result, err
	}
	result.Records, err = decodeResults(r, ans, Update)
	return result, err
}

// CollectionGet reads fields of up to MaxCollectionGet records of one object, as one call of the org's allocation. The records
// are in the order of the ids; one that does not exist or that the user may not see is nil.
// Source: REST API Developer Guide, "Get Records Using sObject Collections".
func (c *Client) CollectionGet(ctx context.Context, object string, ids, fields []string) ([]Record, error) {
	if len(ids) == 0 || len(ids) > MaxCollectionGet {
		return nil, tooMany("ids", MaxCollectionGet)
	}
	if len(fields) == 0 {
		return nil, badRequest("name at least one field to read")
	}
	if err := checkIDs(ids); err != nil {
		return nil, err
	}
	body, err := json.Marshal(map[string][]string{"ids": ids, "fields": fields})
	if err != nil {
		return nil, badRequest("the ids cannot be encoded")
	}
	r := &call{
		method: http.MethodPost, path: "/composite/sobjects/" + url.PathEscape(object), template: "/composite/sobjects/{object}",
		api: "collections", object: object, records: len(ids), body: body, reads: true,
	}
	ans, _, err := c.do(ctx, r)
	if err != nil {
		return nil, err
	}
	var records []Record
	if json.Unmarshal(ans.body, &records) != nil || len(records) != len(ids) {
		return nil, unparseable(r, ans.status)
	}
	return records, nil
}

func checkIDs(ids []string) error {
	for _, id := range ids {
		if _, err := ID(id, ""); err != nil {
			// Salesforce would refuse all of them.
			return badRequest(err.Error()+"; nothing was sent", "Id")
		}
	}
	return nil
}
