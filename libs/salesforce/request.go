package salesforce

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Call describes one request that was made, for outcomes and logs.
type Call struct {
	// API is "rest", "collections", "composite" or "bulk".
	API string
	// Route is the method and the templated route, e.g. "PATCH /composite/sobjects/{object}/{field}".
	Route string
	// Status is the HTTP status, 0 when no answer came.
	Status int
	// Records is how many records the request carried.
	Records int
	// Duration is the time until the answer was read, of the last attempt.
	Duration time.Duration
}

// call is one request to make. template is path with its variable parts named, for spans and metrics.
type call struct {
	method, path, template string
	query                  url.Values
	body                   []byte
	header                 http.Header
	api                    string
	object                 string
	records                int
	reads                  bool // although it is a POST
}

// changes reports whether the request may change data.
func (r *call) changes() bool { return r.method != http.MethodGet && !r.reads }

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// do makes a request under /services/data/vNN.N. A refused session is renewed once and the request repeated: Salesforce
// did nothing.
func (c *Client) do(ctx context.Context, r *call) (*answer, Call, error) {
	info := Call{API: r.api, Route: r.method + " " + r.template, Records: r.records}
	if err := c.cfg.Validate(); err != nil {
		return nil, info, &Error{Class: ClassConfig, Reason: ReasonMappingInvalid, Code: CodeBadRequest, Detail: err.Error()}
	}
	if err := c.acquire(ctx); err != nil {
		return nil, info, err
	}
	defer c.release()
	for attempt := 0; ; attempt++ {
		token, err := c.tokens.Token(ctx)
		if err != nil {
			return nil, info, tokenError(ctx, err)
		}
		if err := CheckAddress(token.InstanceURL, c.cfg.TrustedHosts); err != nil {
			return nil, info, err
		}
		ans, err := c.observe(ctx, r, token, &info)
		if renew := new(Error); errors.As(err, &renew) && wantsNewToken(renew) {
			c.tokens.Refused(ctx, token)
			if attempt == 0 && renew.Code != CodeRedirected {
				continue
			}
		}
		return ans, info, err
	}
}

// wantsNewToken reports whether the answer says that the token, or the address that came with it, is no longer good.
// Some refusals carry the code of an expired session but would be refused again: the text tells.
func wantsNewToken(e *Error) bool {
	if e.Code == CodeRedirected || e.Status == statusEdgeNoRoute {
		return true
	}
	return e.Status == http.StatusUnauthorized &&
		!strings.Contains(e.Detail, "not valid for use with the REST API") &&
		!strings.Contains(e.Detail, "not attached to Agent")
}

func tokenError(ctx context.Context, err error) error {
	var own *Error
	if errors.As(err, &own) {
		return err
	}
	if ctx.Err() != nil {
		return transportError(ctx, ctx.Err(), false)
	}
	return &Error{
		Class: ClassTransient, Reason: ReasonUnavailable, Code: CodeNoToken,
		Detail: "no access token could be had; see the connection's state",
	}
}

// send makes one attempt and turns every failure into an *Error.
func (c *Client) send(ctx context.Context, r *call, token Token, info *Call) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	var sent atomic.Bool
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }})
	req, err := c.newRequest(traced, r, token)
	if err != nil {
		return nil, err
	}
	started := c.clock.Now()
	c.calls.Add(1)
	resp, err := c.http.Do(req)
	if err != nil {
		info.Duration = c.clock.Now().Sub(started)
		return nil, transportError(ctx, withoutURL(err), sent.Load() && r.changes())
	}
	defer func() { _ = resp.Body.Close() }()
	info.Status = resp.StatusCode
	c.noteUsage(resp.Header.Get("Sforce-Limit-Info"))
	body, err := readAll(resp.Body, c.cfg.MaxResponseBytes)
	info.Duration = c.clock.Now().Sub(started)
	if err != nil {
		e := transportError(ctx, err, r.changes())
		e.Status, e.Ambiguous = resp.StatusCode, r.changes()
		return nil, e
	}
	ans := &answer{status: resp.StatusCode, header: resp.Header, body: body}
	return ans, checkAnswer(r, ans)
}

func (c *Client) newRequest(ctx context.Context, r *call, token Token) (*http.Request, error) {
	address := strings.TrimRight(token.InstanceURL, "/")
	if strings.HasPrefix(r.path, "/services/") {
		address += r.path
	} else {
		address += "/services/data/v" + c.cfg.APIVersion + r.path
	}
	if len(r.query) > 0 {
		address += "?" + r.query.Encode()
	}
	if len(address) > maxAddress {
		return nil, &Error{
			Class: ClassData, Reason: ReasonRejected, Code: CodeURITooLong, Split: true,
			Detail: "the query does not fit a request line; ask for fewer keys at a time",
		}
	}
	body, compressed := c.compress(r.body, token.InstanceURL)
	req, err := http.NewRequestWithContext(ctx, r.method, address, bytes.NewReader(body))
	if err != nil {
		return nil, &Error{Class: ClassConfig, Reason: ReasonRejected, Code: CodeBadRequest, Detail: "the address cannot be built"}
	}
	if r.body == nil {
		req.Body, req.ContentLength, req.GetBody = nil, 0, nil
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	req.Header.Set("Authorization", "Bearer "+token.AccessToken.Reveal())
	if req.Header.Get("Accept") == "" {
		req.Header.Set("Accept", "application/json")
	}
	req.Header.Set("User-Agent", c.cfg.UserAgent)
	req.Header.Set("Sforce-Call-Options", "client="+c.cfg.UserAgent)
	if r.body != nil && req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "application/json; charset=UTF-8")
	}
	if compressed {
		req.Header.Set("Content-Encoding", "gzip")
	}
	if isLoopback(req.URL.Hostname()) {
		req.Header.Set("Accept-Encoding", "identity")
	}
	return req, nil
}

// maxAddress leaves room for the headers: Salesforce bounds address and headers together at 16,384 bytes.
const maxAddress = 12_000

var gzipWriters = sync.Pool{New: func() any {
	w, _ := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed)
	return w
}}

func (c *Client) compress(body []byte, instance string) ([]byte, bool) {
	if c.cfg.CompressAbove == 0 || len(body) < c.cfg.CompressAbove {
		return body, false
	}
	if u, err := url.Parse(instance); err != nil || isLoopback(u.Hostname()) {
		return body, false
	}
	var b bytes.Buffer
	w := gzipWriters.Get().(*gzip.Writer)
	defer gzipWriters.Put(w)
	w.Reset(&b)
	_, _ = w.Write(body) // a bytes.Buffer takes everything
	_ = w.Close()
	return b.Bytes(), true
}

func readAll(r io.Reader, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(body)) > limit {
		return nil, &Error{
			Class: ClassUnknown, Reason: ReasonRejected, Code: CodeTooLarge, Split: true,
			Detail: "the answer is larger than max_response_bytes",
		}
	}
	return body, nil
}

// wireError is one error as Salesforce writes it: errorCode for a request, statusCode inside collections.
type wireError struct {
	ErrorCode  string   `json:"errorCode"`
	StatusCode string   `json:"statusCode"`
	Message    string   `json:"message"`
	Fields     []string `json:"fields"`
}

func (w wireError) classify(status int) *Error {
	code := w.ErrorCode
	if code == "" {
		code = w.StatusCode
	}
	return newError(status, code, w.Message, w.Fields)
}

// checkAnswer turns an answer that is not a success into an *Error. Bodies come as an array of errors, as one object, or
// as an HTML page from the edge or during maintenance.
func checkAnswer(r *call, a *answer) error {
	if a.status == http.StatusNotModified || (a.status >= 200 && a.status < 300) {
		// Promise 3: a maintenance page or a proxy's that calls itself a success did nothing that we asked for.
		if strings.HasPrefix(strings.ToLower(strings.TrimSpace(a.header.Get("Content-Type"))), "text/html") {
			return unparseable(r, a.status)
		}
		return nil
	}
	if a.status == http.StatusMultipleChoices {
		return newError(a.status, CodeAmbiguousKey, "the external id matches several records; nothing was written", nil)
	}
	var list []wireError
	if json.Unmarshal(a.body, &list) != nil {
		var one wireError
		if json.Unmarshal(a.body, &one) == nil && (one.ErrorCode != "" || one.Message != "") {
			list = []wireError{one}
		}
	}
	var e *Error
	if len(list) > 0 {
		errs := make([]*Error, len(list))
		for i := range list {
			errs[i] = list[i].classify(a.status)
		}
		e = worst(errs)
		if e.Code == CodeDuplicates {
			e.ExistingIDs = duplicateIDs(a.body)
		}
	} else {
		e = newError(a.status, "", "", nil)
		e.Code, e.Detail = CodeNotJSON, "the answer is not JSON: a maintenance page, an edge failure or a proxy"
	}
	if a.status == http.StatusGone || e.Code == codeUnsupportedVersion {
		retired(e)
	}
	// What a 5xx left behind is anybody's guess: the edge gives up on requests that go on behind it.
	e.Ambiguous = r.changes() && a.status >= 500
	return e
}

// unparseable is the error of a success whose body cannot be read: it took effect, but we do not know what it made.
func unparseable(r *call, status int) *Error {
	return &Error{
		Class: ClassTransient, Reason: ReasonUnavailable, Code: CodeNotJSON, Status: status, Ambiguous: r.changes(),
		Detail: "the answer is not what the API promises",
	}
}
