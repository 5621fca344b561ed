package salesforce

import (
	"net/http"
	"strings"
)

// Reason codes, as in the project's catalogue of reasons. They are stable: dashboards and people's notes go by them.
const (
	ReasonAuthRevoked        = "SF_AUTH_REVOKED"
	ReasonIPRestricted       = "SF_IP_RESTRICTED"
	ReasonAppBlocked         = "SF_APP_BLOCKED"
	ReasonAPIDisabled        = "SF_API_DISABLED"
	ReasonEditionUnsupported = "SF_EDITION_UNSUPPORTED"
	ReasonNoPermission       = "SF_NO_PERMISSION"
	ReasonFieldGone          = "SF_FIELD_GONE"
	ReasonLimit              = "SF_LIMIT"
	ReasonLocked             = "SF_LOCKED"
	ReasonValidation         = "SF_VALIDATION"
	ReasonDuplicateRule      = "SF_DUPLICATE_RULE"
	ReasonAlreadyMember      = "SF_ALREADY_MEMBER"
	ReasonConvertedLead      = "SF_CONVERTED_LEAD"
	ReasonRecordGone         = "SF_RECORD_GONE"
	ReasonUnavailable        = "SF_UNAVAILABLE"
	ReasonRejected           = "SF_REJECTED"
	ReasonRequiredMissing    = "REQUIRED_FIELD_MISSING"
	ReasonTypeMismatch       = "TYPE_MISMATCH"
	ReasonOwnerInactive      = "OWNER_INACTIVE"
	ReasonOwnerIsQueue       = "OWNER_IS_QUEUE"
	ReasonKeyAmbiguous       = "KEY_AMBIGUOUS"
	ReasonMappingInvalid     = "MAPPING_INVALID"
)

// verdict is one row of the table.
type verdict struct {
	class  Class
	reason string
	split  bool
}

// codeTable is the one table of Salesforce's error codes. A code that is not in it is classified by the HTTP status, within a
// collection as ClassUnknown with SF_REJECTED. Source: REST API Developer Guide, "Status Codes and Error Responses"; SOAP API
// Developer Guide, "StatusCode" and "ExceptionCode".
var codeTable = map[string]verdict{
	// The session, the user and the app.
	"INVALID_SESSION_ID":                 {ClassAuth, ReasonAuthRevoked, false},
	"INVALID_AUTH_HEADER":                {ClassAuth, ReasonAuthRevoked, false},
	"API_DISABLED_FOR_ORG":               {ClassAuth, ReasonEditionUnsupported, false},
	"API_CURRENTLY_DISABLED":             {ClassAuth, ReasonAPIDisabled, false},
	"ORG_LOCKED":                         {ClassAuth, ReasonAPIDisabled, false},
	"TRIAL_EXPIRED":                      {ClassAuth, ReasonAPIDisabled, false},
	"CLIENT_NOT_ACCESSIBLE_FOR_USER":     {ClassAuth, ReasonAppBlocked, false},
	"LOGIN_DURING_RESTRICTED_TIME":       {ClassAuth, ReasonIPRestricted, false},
	"LOGIN_DURING_RESTRICTED_DOMAIN":     {ClassAuth, ReasonIPRestricted, false},
	"TXN_SECURITY_NO_ACCESS":             {ClassAuth, ReasonAppBlocked, false},
	"TXN_SECURITY_END_A_SESSION":         {ClassAuth, ReasonAppBlocked, false},
	"TXN_SECURITY_TWO_FA_REQUIRED":       {ClassAuth, ReasonAppBlocked, false},
	"TXN_SECURITY_METERING_ERROR":        {ClassAuth, ReasonAppBlocked, false},
	"TXN_SECURITY_RUNTIME_ERROR":         {ClassAuth, ReasonAppBlocked, false},
	"TXN_SECURITY_FAIL_CLOSE":            {ClassAuth, ReasonAppBlocked, false},
	"TXN_SECURITY_APEX_ERROR":            {ClassAuth, ReasonAppBlocked, false},
	"UNSUPPORTED_API_VERSION":            {ClassAuth, ReasonAPIDisabled, false},
	"INVALID_OPERATION_WITH_EXPIRED_PWD": {ClassAuth, ReasonAuthRevoked, false},

	// Allocations. REQUEST_LIMIT_EXCEEDED for concurrent requests passes in seconds: see refine.
	"REQUEST_LIMIT_EXCEEDED": {ClassQuota, ReasonLimit, false},
	"LIMIT_EXCEEDED":         {ClassQuota, ReasonLimit, false},
	"EXCEEDED_QUOTA":         {ClassQuota, ReasonLimit, false},
	"STORAGE_LIMIT_EXCEEDED": {ClassQuota, ReasonLimit, false},
	"TOO_MANY_APEX_REQUESTS": {ClassTransient, ReasonLimit, false},

	// Passing trouble.
	"SERVER_UNAVAILABLE": {ClassTransient, ReasonUnavailable, false},
	"UNKNOWN_EXCEPTION":  {ClassTransient, ReasonUnavailable, true},
	"INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE": {ClassTransient, ReasonUnavailable, false},
	"ORG_IN_MAINTENANCE":                    {ClassTransient, ReasonUnavailable, false},
	"FUNCTIONALITY_TEMPORARILY_UNAVAILABLE": {ClassTransient, ReasonUnavailable, false},
	"QUERY_TIMEOUT":                         {ClassTransient, ReasonUnavailable, true},
	"REQUEST_RUNNING_TOO_LONG":              {ClassTransient, ReasonUnavailable, true},
	"PROCESSING_HALTED":                     {ClassTransient, ReasonUnavailable, true},
	"ALL_OR_NONE_OPERATION_ROLLED_BACK":     {ClassTransient, ReasonUnavailable, true},
	"INVALID_QUERY_LOCATOR":                 {ClassTransient, ReasonUnavailable, false},
	"UNABLE_TO_LOCK_ROW":                    {ClassLock, ReasonLocked, true},

	// Values that do not fit.
	"REQUIRED_FIELD_MISSING":                  {ClassData, ReasonRequiredMissing, false},
	"STRING_TOO_LONG":                         {ClassData, ReasonTypeMismatch, false},
	"MAX_TASK_DESCRIPTION_EXCEEEDED":          {ClassData, ReasonTypeMismatch, false},
	"INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST": {ClassData, ReasonTypeMismatch, false},
	"INVALID_EMAIL_ADDRESS":                   {ClassData, ReasonTypeMismatch, false},
	"NUMBER_OUTSIDE_VALID_RANGE":              {ClassData, ReasonTypeMismatch, false},
	"INVALID_TYPE_ON_FIELD_IN_RECORD":         {ClassData, ReasonTypeMismatch, false},
	"TEXT_DATA_OUTSIDE_SUPPORTED_CHARSET":     {ClassData, ReasonTypeMismatch, false},
	"JSON_PARSER_ERROR":                       {ClassData, ReasonTypeMismatch, true},
	"MALFORMED_ID":                            {ClassData, ReasonRejected, false},
	"MISSING_ARGUMENT":                        {ClassData, ReasonRejected, false},
	"INVALID_INPUT":                           {ClassData, ReasonRejected, true},
	"MALFORMED_QUERY":                         {ClassData, ReasonRejected, false},
	"QUERY_TOO_COMPLICATED":                   {ClassData, ReasonRejected, true},
	"EXCEEDED_ID_LIMIT":                       {ClassData, ReasonRejected, true},
	"INVALID_QUERY_FILTER_OPERATOR":           {ClassData, ReasonRejected, false},
	"DUPLICATE_VALUE":                         {ClassData, ReasonRejected, false},
	"DUPLICATES_DETECTED":                     {ClassData, ReasonDuplicateRule, false},
	"FIELD_CUSTOM_VALIDATION_EXCEPTION":       {ClassData, ReasonValidation, false},
	"FIELD_FILTER_VALIDATION_EXCEPTION":       {ClassData, ReasonValidation, false},
	"FIELD_INTEGRITY_EXCEPTION":               {ClassData, ReasonValidation, false},
	"CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY":    {ClassData, ReasonValidation, false},
	"CANNOT_EXECUTE_FLOW_TRIGGER":             {ClassData, ReasonValidation, false},
	"APEX_ERROR":                              {ClassData, ReasonValidation, false},
	"INACTIVE_OWNER_OR_USER":                  {ClassData, ReasonOwnerInactive, false},
	"OP_WITH_INVALID_USER_TYPE_EXCEPTION":     {ClassData, ReasonOwnerInactive, false},
	"TRANSFER_REQUIRES_READ":                  {ClassData, ReasonOwnerInactive, false},
	"CANNOT_UPDATE_CONVERTED_LEAD":            {ClassData, ReasonConvertedLead, false},
	"ENTITY_IS_DELETED":                       {ClassData, ReasonRecordGone, false},
	"ENTITY_IS_LOCKED":                        {ClassData, ReasonRejected, false},
	"INVALID_CROSS_REFERENCE_KEY":             {ClassData, ReasonRecordGone, false},
	"DELETE_FAILED":                           {ClassData, ReasonRejected, false},

	// Settings, permissions and the org's shape.
	"INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": {ClassConfig, ReasonNoPermission, false},
	"INSUFFICIENT_ACCESS_OR_READONLY":               {ClassConfig, ReasonNoPermission, false},
	"INSUFFICIENT_ACCESS":                           {ClassConfig, ReasonNoPermission, false},
	"INVALID_FIELD_FOR_INSERT_UPDATE":               {ClassConfig, ReasonNoPermission, false},
	"INVALID_FIELD":                                 {ClassConfig, ReasonFieldGone, false},
	"INVALID_TYPE":                                  {ClassConfig, ReasonFieldGone, false},
	"NOT_FOUND":                                     {ClassConfig, ReasonFieldGone, false},
	"DUPLICATE_EXTERNAL_ID":                         {ClassConfig, ReasonKeyAmbiguous, false},
	"METHOD_NOT_ALLOWED":                            {ClassConfig, ReasonRejected, false},
	"FUNCTIONALITY_NOT_ENABLED":                     {ClassConfig, ReasonRejected, false},
	"UNSUPPORTED_MEDIA_TYPE":                        {ClassConfig, ReasonRejected, false},
	"MIXED_DML_OPERATION":                           {ClassConfig, ReasonMappingInvalid, false},
}

// newError classifies one error of an answer. status is 0 for one record of an accepted request.
func newError(status int, code, message string, fields []string) *Error {
	v, known := codeTable[code]
	if !known {
		v = byStatus(status)
	}
	e := &Error{
		Class: v.class, Reason: v.reason, Split: v.split,
		Code: code, Status: status, Detail: detailOf(code, message), Fields: fields,
	}
	refine(e, message)
	return e
}

// refine decides the codes that hide several causes behind one name, by what the text says.
func refine(e *Error, message string) {
	switch e.Code {
	case "REQUEST_LIMIT_EXCEEDED":
		if strings.Contains(message, "Concurrent") {
			e.Class = ClassTransient
		}
	case "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "CANNOT_EXECUTE_FLOW_TRIGGER", "APEX_ERROR":
		// A trigger or flow reports what stopped it only in its text.
		switch {
		case strings.Contains(message, "UNABLE_TO_LOCK_ROW"):
			e.Class, e.Reason, e.Split = ClassLock, ReasonLocked, true
		case strings.Contains(message, "LimitException"), strings.Contains(message, "Apex CPU time limit"):
			e.Class, e.Reason, e.Split = ClassTransient, ReasonLimit, true
		}
	case "DUPLICATE_VALUE":
		e.ExistingID = idAfter(message, "record with id: ")
		if strings.Contains(message, "Already a campaign member") {
			e.Reason = ReasonAlreadyMember
		}
	case "NOT_FOUND":
		// The same text names a missing field, ending in __c, and a missing record.
		if strings.Contains(message, "Provided external ID field") && !strings.HasSuffix(strings.TrimSpace(message), "__c") {
			e.Class, e.Reason = ClassData, ReasonRecordGone
		}
	case "FIELD_INTEGRITY_EXCEPTION", "INVALID_CROSS_REFERENCE_KEY":
		switch {
		case strings.Contains(message, "converted lead"):
			e.Reason = ReasonConvertedLead
		case strings.Contains(message, "Queue not associated"):
			e.Reason = ReasonOwnerIsQueue
		}
	}
}

// byStatus classifies an answer whose body tells nothing we know.
func byStatus(status int) verdict {
	switch status {
	case http.StatusUnauthorized:
		return verdict{ClassAuth, ReasonAuthRevoked, false}
	case http.StatusTooManyRequests:
		return verdict{ClassTransient, ReasonLimit, false}
	case http.StatusRequestTimeout, http.StatusMisdirectedRequest, statusEdgeNoRoute:
		return verdict{ClassTransient, ReasonUnavailable, false}
	case http.StatusGone: // see retired
		return verdict{ClassAuth, ReasonAPIDisabled, false}
	case http.StatusMethodNotAllowed, http.StatusUnsupportedMediaType:
		return verdict{ClassConfig, ReasonRejected, false}
	case http.StatusRequestEntityTooLarge:
		return verdict{ClassData, ReasonRejected, true}
	case http.StatusRequestURITooLong, http.StatusRequestHeaderFieldsTooLarge:
		return verdict{ClassData, ReasonRejected, true}
	}
	if status >= 500 {
		return verdict{ClassTransient, ReasonUnavailable, false}
	}
	return verdict{ClassUnknown, ReasonRejected, false}
}

// statusEdgeNoRoute is Salesforce Edge's answer for a host it has no route to: the org moved.
const statusEdgeNoRoute = 420

// worst picks the error that decides a record with several: what blocks for good before what passes.
func worst(errs []*Error) *Error {
	if len(errs) == 0 {
		return nil
	}
	rank := func(c Class) int {
		switch c {
		case ClassAuth:
			return 6
		case ClassConfig:
			return 5
		case ClassData:
			return 4
		case ClassQuota:
			return 3
		case ClassUnknown:
			return 2
		case ClassLock:
			return 1
		case ClassTransient:
			return 0
		}
		return 0
	}
	w := errs[0]
	for _, e := range errs[1:] {
		if rank(e.Class) > rank(w.Class) {
			w = e
		}
	}
	return w
}
