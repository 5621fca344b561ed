package salesforce

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
)

// MaxCollection is how many records one collections request may carry. Source: REST API Developer Guide, "Create Records Using
// sObject Collections" and its neighbours.
const MaxCollection = 200

// Operation is what a collections request or an ingest job does. The zero value is none, and refused.
type Operation uint8

// The operations.
const (
	// Insert creates every record.
	Insert Operation = iota + 1
	// Update changes records by id.
	Update
	// Upsert creates or updates by the value of an external id field.
	Upsert
)

// String returns the lower-case name.
func (o Operation) String() string {
	switch o {
	case Insert:
		return "insert"
	case Update:
		return "update"
	case Upsert:
		return "upsert"
	}
	return "unspecified"
}

// CollectionRequest is up to MaxCollection records of one object. It is not all or nothing: one bad record fails alone. It counts
// as one call of the org's allocation, and Salesforce gives all of it 10 minutes.
type CollectionRequest struct {
	Operation Operation
	// Object is the API name.
	Object string
	// ExternalIDField is the API name of the key field; needed for Upsert, unused otherwise.
	ExternalIDField string
	// SaveDuplicates saves records to which a duplicate rule objects that only alerts; one that blocks cannot be passed. Source:
	// REST API Developer Guide, "Duplicate Rule Header".
	SaveDuplicates bool
	// Records must not name a record twice: Salesforce refuses both.
	Records []CollectionRecord
}

// CollectionRecord is one record of a request.
type CollectionRecord struct {
	// ID is needed for Update, 15 or 18 characters.
	ID string
	// ExternalID is the value of the key field; needed for Upsert.
	ExternalID string
	// Fields must not repeat the external id field, nor Id.
	Fields Fields
}

// CollectionResult is what became of each record, in the order of the request.
type CollectionResult struct {
	Records []RecordResult
	// Call describes the request, whether it succeeded or not.
	Call Call
}

// RecordResult is what became of one record.
type RecordResult struct {
	// ID is the record's, 18 characters; empty when it failed.
	ID string
	// Created is true when an upsert or insert made the record.
	Created bool
	// Err is nil when Salesforce confirmed the change.
	Err *Error
}

// Collections sends one request. An error means that the request failed as a whole; what became of its records is then
// nothing, unless the error is Ambiguous. Result.Call is filled in either case. Assignment rules do not run, for the caller sets
// owners. Source: REST API Developer Guide, "Upsert Records Using sObject Collections" and its neighbours, "Assignment Rule
// Header".
func (c *Client) Collections(ctx context.Context, req CollectionRequest) (CollectionResult, error) {
	r, err := req.call()
	if err != nil {
		return CollectionResult{}, err
	}
	ans, info, err := c.do(ctx, r)
	result := CollectionResult{Call: info}
	if err != nil {
		return result, err
	}
	result.Records, err = decodeResults(r, ans, req.Operation)
	return result, err
}

// call encodes the request.
func (req CollectionRequest) call() (*call, error) {
	if len(req.Records) == 0 || len(req.Records) > MaxCollection {
		return nil, badRequest(fmt.Sprintf("a collections request carries 1 to %d records", MaxCollection))
	}
	r := &call{
		method: http.MethodPatch, path: "/composite/sobjects", template: "/composite/sobjects",
		api: "collections", object: req.Object, records: len(req.Records),
		// Our records name their owner: the org's assignment rules must not give them to somebody else.
		header: http.Header{"Sforce-Auto-Assign": {"FALSE"}},
	}
	if req.SaveDuplicates {
		r.header.Set(headerDuplicateRule, "allowSave=true")
	}
	switch req.Operation {
	case Insert:
		r.method = http.MethodPost
	case Update:
	case Upsert:
		r.path += "/" + url.PathEscape(req.Object) + "/" + url.PathEscape(req.ExternalIDField)
		r.template += "/{object}/{field}"
	default:
		return nil, badRequest("no operation")
	}
	body := make([]byte, 0, 64+512*len(req.Records))
	body = append(body, `{"allOrNone":false,"records":[`...)
	for i := range req.Records {
		if i > 0 {
			body = append(body, ',')
		}
		var err error
		if body, err = req.appendRecord(body, &req.Records[i]); err != nil {
			return nil, err
		}
	}
	body = append(body, `]}`...)
	r.body = body
	return r, nil
}

func (req CollectionRequest) appendRecord(b []byte, rec *CollectionRecord) ([]byte, error) {
	b = append(b, `{"attributes":{"type":`...)
	b = appendString(b, req.Object)
	b = append(b, '}')
	switch req.Operation {
	case Update:
		if rec.ID == "" {
			return b, badRequest("an update needs the record's id")
		}
		b = append(b, `,"id":`...)
		b = appendString(b, rec.ID)
	case Upsert:
		if rec.ExternalID == "" {
			return b, badRequest("an upsert needs an external id", req.ExternalIDField)
		}
		b = append(b, ',')
		b = appendString(b, req.ExternalIDField)
		b = append(b, ':')
		b = appendString(b, rec.ExternalID)
	case Insert:
	}
	b, err := rec.Fields.appendJSON(b, 1)
	return append(b, '}'), err
}

type wireResult struct {
	ID      string      `json:"id"`
	Success *bool       `json:"success"`
	Created bool        `json:"created"`
	Errors  []wireError `json:"errors"`
}

// decodeResults reads the answer of an accepted request. Anything but one result per record means that we cannot tell
// which record is which, so the whole answer is worth nothing, although the request took effect.
func decodeResults(r *call, ans *answer, op Operation) ([]RecordResult, error) {
	var wire []wireResult
	if json.Unmarshal(ans.body, &wire) != nil || len(wire) != r.records {
		return nil, unparseable(r, ans.status)
	}
	results := make([]RecordResult, len(wire))
	for i := range wire {
		w := &wire[i]
		if w.Success == nil || (*w.Success && w.ID == "") {
			return nil, unparseable(r, ans.status)
		}
		if *w.Success {
			results[i] = RecordResult{ID: w.ID, Created: w.Created || op == Insert}
			continue
		}
		errs := make([]*Error, len(w.Errors))
		for j := range w.Errors {
			errs[j] = w.Errors[j].classify(0)
		}
		if len(errs) == 0 {
			errs = []*Error{newError(0, "", "Salesforce gave no reason", nil)}
		}
		results[i] = RecordResult{Err: worst(errs)}
	}
	return results, nil
}
