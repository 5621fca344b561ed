package salesforce

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// Class says what kind of trouble a failure is, and so what helps. The zero value is ClassUnknown.
type Class uint8

// The classes. Every failure has exactly one.
const (
	// ClassUnknown is a failure nobody has classified. Try a few times, then give up and keep the payload.
	ClassUnknown Class = iota
	// ClassTransient passes by itself: time-outs, 5xx, maintenance, too many long requests. Retry with backoff.
	ClassTransient
	// ClassLock is a row or its parent being locked by somebody else. Retry later, in a smaller group.
	ClassLock
	// ClassQuota is an allocation used up. Wait until the window moves.
	ClassQuota
	// ClassAuth means that the org does not let us in. The whole connection waits for a token or for an administrator.
	ClassAuth
	// ClassData is a value that this record can never have. Only this record fails.
	ClassData
	// ClassConfig is a field, object or permission that does not fit the settings. Only this record fails, and so will its
	// like until somebody changes the settings or the org.
	ClassConfig
)

var classNames = [...]string{"unknown", "transient", "lock", "quota", "auth", "data", "config"}

// String returns the lower-case name used in metrics.
func (c Class) String() string {
	if int(c) < len(classNames) {
		return classNames[c]
	}
	return "unknown"
}

// Error is a failure of a request, or of one record of a request. Nothing in it quotes an address, a value or a token (promise
// 8).
type Error struct {
	// Class decides what helps.
	Class Class
	// Reason is the stable reason code, e.g. "SF_LOCKED".
	Reason string
	// Code is Salesforce's own code, e.g. "UNABLE_TO_LOCK_ROW", or one of the Code constants of this package.
	Code string
	// Status is the HTTP status; 0 when no answer came, and for one record of an accepted request.
	Status int
	// Detail is Salesforce's text without values, addresses and numbers. At most 300 characters.
	Detail string
	// Fields are the API names of the fields Salesforce named.
	Fields []string
	// Ambiguous: the request was sent and changes data, but whether it took effect is not known. Look before repeating
	// anything that is not an upsert by external id.
	Ambiguous bool
	// Split: the same records may pass in smaller groups.
	Split bool
	// ExistingID is the record that Salesforce named as the other one of a duplicate, 15 or 18 characters, or "".
	ExistingID string
	// ExistingIDs are the records, 18 characters each, that a duplicate rule found; only answers about a single record, not
	// those within collections, name them.
	ExistingIDs []string

	cause error
}

// Codes for failures that Salesforce has no code for.
const (
	// CodeTimeout: no answer in time.
	CodeTimeout = "TIMEOUT"
	// CodeConnection: the connection could not be made, or broke.
	CodeConnection = "CONNECTION_LOST"
	// CodeNotJSON: the answer is not what the API speaks, e.g. an HTML maintenance page.
	CodeNotJSON = "UNPARSEABLE_ANSWER"
	// CodeTooLarge: the answer exceeds Config.MaxResponseBytes, or a query Config.MaxQueryRecords.
	CodeTooLarge = "ANSWER_TOO_LARGE"
	// CodeRedirected: Salesforce sent the request elsewhere; the next token answer tells where.
	CodeRedirected = "REDIRECTED"
	// CodeForeignHost: an address outside Salesforce's own domains. Nothing was sent.
	CodeForeignHost = "FOREIGN_HOST"
	// CodeURITooLong: the query does not fit a request line. Nothing was sent.
	CodeURITooLong = "URI_TOO_LONG"
	// CodeBadRequest: the caller asked for something that cannot be sent. Nothing was sent.
	CodeBadRequest = "BAD_REQUEST"
	// CodeCancelled: the caller's context ended.
	CodeCancelled = "CANCELLED"
	// CodeNoToken: the token source failed.
	CodeNoToken = "NO_TOKEN"
	// CodeAmbiguousKey: an external id matches several records (HTTP 300).
	CodeAmbiguousKey = "DUPLICATE_EXTERNAL_ID"
)

// Error returns class, code and scrubbed detail; no host, query or value.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("salesforce: ")
	b.WriteString(e.Class.String())
	if e.Code != "" {
		b.WriteString(" (" + e.Code + ")")
	}
	if e.Status != 0 {
		fmt.Fprintf(&b, ", HTTP %d", e.Status)
	}
	if e.Detail != "" {
		b.WriteString(": " + e.Detail)
	}
	return b.String()
}

// Unwrap returns a context error, so that errors.Is works with context.Canceled and context.DeadlineExceeded. Other causes
// are not kept: their texts hold addresses.
func (e *Error) Unwrap() error { return e.cause }

// Temporary reports whether the same request may succeed later without anybody doing anything.
func (e *Error) Temporary() bool {
	return e.Class == ClassTransient || e.Class == ClassLock || e.Class == ClassQuota
}

// IsAmbiguous reports whether err leaves open if the request took effect.
func IsAmbiguous(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Ambiguous
}

// ClassOf returns the class of err, or ClassUnknown when it is not an *Error.
func ClassOf(err error) Class {
	var e *Error
	if errors.As(err, &e) {
		return e.Class
	}
	return ClassUnknown
}

// transportError turns a failure to get an answer into an *Error. The original text is dropped: net/url and net put the
// whole address, query included, into it (promise 8).
func transportError(ctx context.Context, err error, sent bool) *Error {
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	e := &Error{Class: ClassTransient, Reason: ReasonUnavailable, Code: CodeConnection, Ambiguous: sent}
	var netErr net.Error
	var dns *net.DNSError
	switch {
	case errors.Is(context.Cause(ctx), context.Canceled) || errors.Is(err, context.Canceled):
		e.Code, e.cause, e.Detail = CodeCancelled, context.Canceled, "the caller gave up"
	case errors.Is(err, context.DeadlineExceeded) || (errors.As(err, &netErr) && netErr.Timeout()):
		e.Code, e.cause, e.Detail = CodeTimeout, context.DeadlineExceeded, "no answer in time"
	case errors.As(err, &dns):
		e.Detail = "the host name does not resolve"
	case sent:
		e.Detail = "the connection broke before the answer was complete"
	default:
		e.Detail = "no connection"
	}
	return e
}

func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
