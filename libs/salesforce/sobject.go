package salesforce

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// Get reads fields of one record, all that the user may see when none is named. A record that does not exist is an *Error with
// reason SF_RECORD_GONE. Source: REST API Developer Guide, "sObject Rows".
func (c *Client) Get(ctx context.Context, object, id string, fields ...string) (Record, error) {
	r := &call{
		method: http.MethodGet, path: "/sobjects/" + url.PathEscape(object) + "/" + url.PathEscape(id),
		template: "/sobjects/{object}/{id}", api: "rest", object: object, records: 1,
	}
	if len(fields) > 0 {
		r.query = url.Values{"fields": {strings.Join(fields, ",")}}
	}
	ans, _, err := c.do(ctx, r)
	if err != nil {
		return nil, err
	}
	var rec Record
	if json.Unmarshal(ans.body, &rec) != nil || rec == nil {
		return nil, unparseable(r, ans.status)
	}
	return rec, nil
}

// Create makes one record and returns its id, 18 characters. After an Ambiguous error look for the record before repeating it.
// Source: REST API Developer Guide, "sObject Basic Information".
func (c *Client) Create(ctx context.Context, object string, fields Fields) (string, error) {
	res, err := c.change(ctx, fields, &call{
		method: http.MethodPost, path: "/sobjects/" + url.PathEscape(object), template: "/sobjects/{object}",
		api: "rest", object: object, records: 1,
	})
	return res.ID, err
}

// Update changes one record by id; fields that are not named stay as they are. Repeating it does no harm. Source: REST API
// Developer Guide, "sObject Rows".
func (c *Client) Update(ctx context.Context, object, id string, fields Fields) error {
	_, err := c.change(ctx, fields, &call{
		method: http.MethodPatch, path: "/sobjects/" + url.PathEscape(object) + "/" + url.PathEscape(id),
		template: "/sobjects/{object}/{id}", api: "rest", object: object, records: 1,
	})
	return err
}

// Delete moves one record to the org's recycle bin. One that is not there any more is an *Error with reason SF_RECORD_GONE.
// Source: REST API Developer Guide, "sObject Rows".
func (c *Client) Delete(ctx context.Context, object, id string) error {
	_, _, err := c.do(ctx, &call{
		method: http.MethodDelete, path: "/sobjects/" + url.PathEscape(object) + "/" + url.PathEscape(id),
		template: "/sobjects/{object}/{id}", api: "rest", object: object, records: 1,
	})
	return err
}

// Key names a record by an external id: API names of object and field, and the value, case-sensitive only if the field is.
type Key struct {
	Object, Field, Value string
}

// Upsert creates or changes one record by external id. Values made of letters, digits, underscore and hyphen are safe;
// others may be taken for file names by Salesforce. Several matches are CodeAmbiguousKey, and nothing is written. Repeating it
// does no harm. Source: REST API Developer Guide, "sObject Rows by External ID".
func (c *Client) Upsert(ctx context.Context, key Key, fields Fields) (RecordResult, error) {
	return c.change(ctx, fields, &call{
		method: http.MethodPatch,
		path: "/sobjects/" + url.PathEscape(key.Object) + "/" + url.PathEscape(key.Field) + "/" +
			url.PathEscape(key.Value),
		template: "/sobjects/{object}/{field}/{value}", api: "rest", object: key.Object, records: 1,
	})
}

func (c *Client) change(ctx context.Context, fields Fields, r *call) (RecordResult, error) {
	body, err := fields.appendJSON([]byte{'{'}, 0)
	if err != nil {
		return RecordResult{}, err
	}
	body = append(body, '}')
	r.body = body
	r.header = http.Header{"Sforce-Auto-Assign": {"FALSE"}}
	ans, _, err := c.do(ctx, r)
	if err != nil {
		return RecordResult{}, err
	}
	if ans.status == http.StatusNoContent {
		return RecordResult{}, nil
	}
	var wire wireResult
	if json.Unmarshal(ans.body, &wire) != nil || wire.Success == nil || !*wire.Success || wire.ID == "" {
		return RecordResult{}, unparseable(r, ans.status)
	}
	return RecordResult{ID: wire.ID, Created: wire.Created || ans.status == http.StatusCreated}, nil
}
