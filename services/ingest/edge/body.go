package edge

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/throughline-dev/throughline/services/ingest/event"
	"github.com/throughline-dev/throughline/services/ingest/intake"
	"github.com/throughline-dev/throughline/services/ingest/jsonread"
)

// Media types of requests.
const (
	typeCloudEvent = "application/cloudevents+json"
	typeBatch      = "application/cloudevents-batch+json"
	typeNDJSON     = "application/x-ndjson"
	typeJSON       = "application/json"
	typeProtobuf   = "application/protobuf"
)

// Why a body was not taken as a whole.
var (
	errBodyTooLarge  = errors.New("the body, or what it decompresses to, is too large")
	errBodyBroken    = errors.New("the body could not be read")
	errEncoding      = errors.New("content-encoding must be gzip or none")
	errMediaType     = errors.New("content-type is not supported")
	errTooManyEvents = errors.New("the request has too many events")
	errNoEvents      = errors.New("the request has no events")
	errBatchSyntax   = errors.New("the batch is not a JSON array")
)

// readBody reads and decompresses a body of at most limit bytes, before and after.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	var in io.Reader = http.MaxBytesReader(w, r.Body, limit)
	switch encoding := r.Header.Get("Content-Encoding"); {
	case encoding == "" || strings.EqualFold(encoding, "identity"):
	case strings.EqualFold(encoding, "gzip"):
		unzipped, err := gzip.NewReader(in)
		if err != nil {
			return nil, bodyError(err)
		}
		in = unzipped
	default:
		return nil, errEncoding
	}
	var body bytes.Buffer
	if n := r.ContentLength; n > 0 && n <= limit {
		body.Grow(int(min(n, 1<<20)) + bytes.MinRead)
	}
	if _, err := body.ReadFrom(io.LimitReader(in, limit+1)); err != nil {
		return nil, bodyError(err)
	}
	if int64(body.Len()) > limit {
		return nil, errBodyTooLarge
	}
	return body.Bytes(), nil
}

func bodyError(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return errBodyTooLarge
	}
	return errBodyBroken
}

// request is what a body holds: events of one form.
type request struct {
	form   intake.Form
	values [][]byte
	// single tells one event from a batch of one; the answers differ.
	single     bool
	attributes event.Attributes
}

// parse splits a body into events, by its content type and the CloudEvents headers.
func parse(h http.Header, body []byte, most int) (*request, error) {
	req := &request{single: true, values: [][]byte{body}, attributes: attributes(h)}
	mediaType, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		return nil, errMediaType
	}
	switch mediaType {
	case typeCloudEvent:
	case typeProtobuf, "application/x-protobuf":
		req.form = intake.Protobuf
	case typeJSON:
		if req.attributes.SpecVersion != "" {
			req.form = intake.Binary
		}
	case typeBatch:
		req.single = false
		if req.values, err = splitBatch(body, most); err != nil {
			return nil, err
		}
	case typeNDJSON, "application/ndjson":
		req.single = false
		if req.values, err = splitLines(body, most); err != nil {
			return nil, err
		}
	default:
		return nil, errMediaType
	}
	if len(req.values) == 0 {
		return nil, errNoEvents
	}
	return req, nil
}

func attributes(h http.Header) event.Attributes {
	return event.Attributes{
		SpecVersion: h.Get("Ce-Specversion"), ID: h.Get("Ce-Id"), Source: h.Get("Ce-Source"), Type: h.Get("Ce-Type"),
		Time: h.Get("Ce-Time"), Workspace: h.Get("Ce-Workspace"), Session: h.Get("Ce-Session"),
		TraceParent: h.Get("Traceparent"),
	}
}

// splitBatch cuts a JSON array into its items. A batch whose JSON is broken is refused whole, since nobody can tell where
// the next event begins.
func splitBatch(body []byte, most int) ([][]byte, error) {
	var r jsonread.Reader
	if r.Reset(string(body)) != nil || r.Kind() != '[' {
		return nil, errBatchSyntax
	}
	var values [][]byte
	err := r.Array(func(index int) error {
		if index == most {
			return errTooManyEvents
		}
		r.Kind()
		start := r.Offset()
		if err := r.Skip(); err != nil {
			return err
		}
		values = append(values, body[start:r.Offset()])
		return nil
	})
	if err == nil {
		err = r.End()
	}
	if err != nil && !errors.Is(err, errTooManyEvents) {
		return nil, errBatchSyntax
	}
	return values, err
}

// splitLines cuts newline-delimited JSON into its lines. Empty ones are passed over.
func splitLines(body []byte, most int) ([][]byte, error) {
	var values [][]byte
	for line := range bytes.Lines(body) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		if len(values) == most {
			return nil, errTooManyEvents
		}
		values = append(values, line)
	}
	return values, nil
}
