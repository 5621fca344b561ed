package rest

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/throughline-dev/throughline/services/simulator/internal/dml"
	"github.com/throughline-dev/throughline/services/simulator/internal/record"
)

// reply is an answer before it is sent. An answer is built whole, so that a fault can still take its place.
type reply struct {
	status   int
	body     []byte
	html     bool
	location string
	modified string // Last-Modified
	csv      bool
	headers  map[string]string // more headers
	records  int
	failed   int
	uncount  bool // not counted against the quota, and without the limit header
}

// apiError is one element of an error array.
type apiError struct {
	Message   string   `json:"message"`
	ErrorCode string   `json:"errorCode"`
	Fields    []string `json:"fields,omitempty"`
}

func failure(status int, code, message string, fields ...string) reply {
	body, err := json.Marshal([]apiError{{Message: message, ErrorCode: code, Fields: fields}})
	if err != nil {
		body = []byte("[]")
	}
	return reply{status: status, body: body}
}

func notFound() reply {
	return failure(http.StatusNotFound, "NOT_FOUND", "The requested resource does not exist")
}

func methodNotAllowed(method, allowed string) reply {
	return failure(http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED", "HTTP Method '"+method+"' not allowed. Allowed are "+allowed)
}

func unexpected() reply {
	return failure(http.StatusInternalServerError, "UNKNOWN_EXCEPTION",
		"An unexpected error occurred. Please include this ErrorId if you contact support: 1234567890-12345 (-1234567890)")
}

func ok(v any) reply {
	body, err := json.Marshal(v)
	if err != nil {
		return unexpected()
	}
	return reply{status: http.StatusOK, body: body}
}

// refusal is one element of the error array of a refused record: it always lists its fields.
type refusal struct {
	Message   string   `json:"message"`
	ErrorCode string   `json:"errorCode"`
	Fields    []string `json:"fields"`
}

// refusals turns the errors of a single write into an answer.
func refusals(errs []*dml.Error, path string) reply {
	if errs[0].Duplicate != nil {
		return duplicates(errs[0], path)
	}
	status := http.StatusBadRequest
	list := make([]refusal, len(errs))
	for i, e := range errs {
		fields := e.Fields
		if fields == nil {
			fields = []string{}
		}
		list[i] = refusal{Message: e.Message, ErrorCode: e.Code, Fields: fields}
		switch e.Code {
		case "ENTITY_IS_DELETED":
			status = http.StatusNotFound
		case "INSUFFICIENT_ACCESS_OR_READONLY":
			status = http.StatusForbidden
		}
	}
	body, err := json.Marshal(list)
	if err != nil {
		return unexpected()
	}
	return reply{status: status, body: body, records: 1, failed: 1}
}

// appendResult appends one result of a collection. Created is shown for upserts only.
func appendResult(dst []byte, res *dml.Result, upsert bool) []byte {
	dst = append(dst, '{')
	if res.ID != "" {
		dst = append(dst, `"id":"`...)
		dst = append(dst, res.ID...)
		dst = append(dst, `",`...)
	}
	if !res.Failed() {
		dst = append(dst, `"success":true,"errors":[]`...)
	} else {
		dst = append(dst, `"success":false,"errors":[`...)
		for i, e := range res.Errors {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendStatus(dst, e)
		}
		dst = append(dst, ']')
	}
	if upsert && !res.Failed() {
		dst = append(dst, `,"created":`...)
		dst = strconv.AppendBool(dst, res.Created)
	}
	return append(dst, '}')
}

func appendStatus(dst []byte, e *dml.Error) []byte {
	dst = append(dst, `{"statusCode":`...)
	dst = record.AppendString(dst, e.Code)
	dst = append(dst, `,"message":`...)
	dst = record.AppendString(dst, e.Message)
	dst = append(dst, `,"fields":[`...)
	for i, f := range e.Fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = record.AppendString(dst, f)
	}
	return append(dst, "]}"...)
}
