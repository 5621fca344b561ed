package dml

import "fmt"

// Error is why one record was refused: the statusCode inside a collection, the errorCode of a single write.
type Error struct {
	Code    string
	Message string
	Fields  []string
	// Duplicate says what a duplicate rule found; nil for other refusals.
	Duplicate *Duplicate
}

// Duplicate is what a duplicate rule found.
type Duplicate struct {
	Rule, Object string
	// AllowSave says that the rule only alerts: a request may ask to save all the same.
	AllowSave bool
	IDs       []string
}

// Error returns code and message.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

func refuse(code, message string, fields ...string) *Error {
	return &Error{Code: code, Message: message, Fields: fields}
}

func refusef(code string, fields []string, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Fields: fields}
}

// Status codes that more than one rule gives.
const (
	codeRequired       = "REQUIRED_FIELD_MISSING"
	codeTooLong        = "STRING_TOO_LONG"
	codeMalformedID    = "MALFORMED_ID"
	codeCrossReference = "INVALID_CROSS_REFERENCE_KEY"
	codeDeleted        = "ENTITY_IS_DELETED"
	codeDuplicate      = "DUPLICATE_VALUE"
	codeConverted      = "CANNOT_UPDATE_CONVERTED_LEAD"
	codeReadOnly       = "INVALID_FIELD_FOR_INSERT_UPDATE"
	codeNoAccess       = "INSUFFICIENT_ACCESS_OR_READONLY"
	codeIntegrity      = "FIELD_INTEGRITY_EXCEPTION"
	codeInactiveOwner  = "INACTIVE_OWNER_OR_USER"
	codeRange          = "NUMBER_OUTSIDE_VALID_RANGE"
)

func deletedError() *Error        { return refuse(codeDeleted, "entity is deleted") }
func crossReferenceError() *Error { return refuse(codeCrossReference, "invalid cross reference id") }
