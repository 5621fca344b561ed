package salesforce

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// refusal is one row of the catalogue of Salesforce's errors: what it answers, and what we make of it.
type refusal struct {
	codes    string // one or more
	statuses []int  // those it comes with; 0 stands for one record of a collection
	message  string
	fields   []string
	want     string // class and reason, and what else is said: split, temporary, the id of the other record
	secret   string // part of the message that must not get out
}

// catalogue has a row for every code, with the statuses and texts that Salesforce documents or that were seen. Sources: REST API
// Developer Guide, "Status Codes and Error Responses"; SOAP API Developer Guide, "StatusCode" and "ExceptionCode".
var catalogue = []refusal{
	{codes: "INVALID_SESSION_ID", statuses: []int{401}, message: "Session expired or invalid", want: "auth SF_AUTH_REVOKED"},
	{codes: "INVALID_AUTH_HEADER", statuses: []int{401}, message: "INVALID_AUTH_HEADER", want: "auth SF_AUTH_REVOKED"},
	{codes: "INVALID_OPERATION_WITH_EXPIRED_PWD", statuses: []int{403}, message: "The user's password has expired", want: "auth SF_AUTH_REVOKED"},
	{codes: "REQUEST_LIMIT_EXCEEDED", statuses: []int{403}, message: "TotalRequests Limit exceeded.", want: "quota SF_LIMIT temporary"},
	{codes: "REQUEST_LIMIT_EXCEEDED", statuses: []int{403}, message: "ConcurrentRequests (Concurrent API Requests) Limit exceeded.", want: "transient SF_LIMIT temporary"},
	{codes: "LIMIT_EXCEEDED EXCEEDED_QUOTA", statuses: []int{400, 403}, message: "Limit exceeded", want: "quota SF_LIMIT temporary"},
	{codes: "TOO_MANY_APEX_REQUESTS", statuses: []int{400, 403}, message: "ConcurrentPerOrgApex Limit exceeded", want: "transient SF_LIMIT temporary"},
	{codes: "API_DISABLED_FOR_ORG", statuses: []int{403}, message: "API is not enabled for this Organization or Partner", want: "auth SF_EDITION_UNSUPPORTED"},
	{codes: "API_CURRENTLY_DISABLED", statuses: []int{403}, message: "API is disabled for this User", want: "auth SF_API_DISABLED"},
	{codes: "SERVER_UNAVAILABLE", statuses: []int{503}, message: "Server Unavailable", want: "transient SF_UNAVAILABLE temporary ambiguous"},
	{codes: "UNKNOWN_EXCEPTION", statuses: []int{500}, message: "An unexpected error occurred. Please include this ErrorId if you contact support: 1409830710-32801 (-1549146529)", want: "transient SF_UNAVAILABLE split temporary ambiguous"},
	{codes: "INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE ORG_IN_MAINTENANCE FUNCTIONALITY_TEMPORARILY_UNAVAILABLE", statuses: []int{400, 0}, message: "in read-only mode", want: "transient SF_UNAVAILABLE temporary"},
	{codes: "INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE ORG_IN_MAINTENANCE FUNCTIONALITY_TEMPORARILY_UNAVAILABLE", statuses: []int{503}, message: "in read-only mode", want: "transient SF_UNAVAILABLE temporary ambiguous"},
	{codes: "ORG_LOCKED TRIAL_EXPIRED", statuses: []int{403}, want: "auth SF_API_DISABLED"},
	{codes: "UNABLE_TO_LOCK_ROW", statuses: []int{400, 0}, message: "unable to obtain exclusive access to this record or 2 records: 001SM0000012xYz,001SM0000012xYw", want: "lock SF_LOCKED split temporary"},
	{codes: "QUERY_TIMEOUT", statuses: []int{400}, message: "Your query request was running for too long.", want: "transient SF_UNAVAILABLE split temporary"},
	{codes: "REQUEST_RUNNING_TOO_LONG", statuses: []int{400}, message: "Your request was running for too long, and has been stopped.", want: "transient SF_UNAVAILABLE split temporary"},
	{codes: "REQUEST_RUNNING_TOO_LONG", statuses: []int{500}, message: "Your request was running for too long, and has been stopped.", want: "transient SF_UNAVAILABLE split temporary ambiguous"},
	{codes: "PROCESSING_HALTED", statuses: []int{400, 0}, message: "The transaction was rolled back since another operation in the same transaction failed.", want: "transient SF_UNAVAILABLE split temporary"},
	{codes: "ALL_OR_NONE_OPERATION_ROLLED_BACK", statuses: []int{0}, message: "Record rolled back because not all records were valid and the request was using AllOrNone header", want: "transient SF_UNAVAILABLE split temporary"},
	{codes: "REQUIRED_FIELD_MISSING", statuses: []int{400, 0}, message: "Required fields are missing: [LastName, Company]", fields: []string{"LastName", "Company"}, want: "data REQUIRED_FIELD_MISSING"},
	{codes: "STRING_TOO_LONG", statuses: []int{400, 0}, message: "Last Name: data value too large: Yamada (max length=80)", fields: []string{"LastName"}, want: "data TYPE_MISMATCH", secret: "Yamada"},
	{codes: "MAX_TASK_DESCRIPTION_EXCEEEDED", statuses: []int{400, 0}, message: "Yamada", want: "data TYPE_MISMATCH", secret: "Yamada"},
	{codes: "TEXT_DATA_OUTSIDE_SUPPORTED_CHARSET", statuses: []int{400, 0}, message: "Yamada", want: "data TYPE_MISMATCH", secret: "Yamada"},
	{codes: "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", statuses: []int{400, 0}, message: "Status: bad value for restricted picklist field: Yamada", fields: []string{"Status"}, want: "data TYPE_MISMATCH", secret: "Yamada"},
	{codes: "INVALID_EMAIL_ADDRESS", statuses: []int{400, 0}, message: "Email: invalid email address: not-an-email", fields: []string{"Email"}, want: "data TYPE_MISMATCH", secret: "not-an-email"},
	{codes: "NUMBER_OUTSIDE_VALID_RANGE", statuses: []int{400, 0}, message: "Score: value outside of valid range on numeric field: 1000", fields: []string{"Score__c"}, want: "data TYPE_MISMATCH", secret: "1000"},
	{codes: "INVALID_TYPE_ON_FIELD_IN_RECORD", statuses: []int{400, 0}, message: "Score: value not of required type: Yamada", fields: []string{"Score__c"}, want: "data TYPE_MISMATCH", secret: "Yamada"},
	{codes: "JSON_PARSER_ERROR", statuses: []int{400}, message: "Unexpected character ('}' (code 125)): was expecting double-quote to start field name\n at [line:1, column:2]", want: "data TYPE_MISMATCH split"},
	{codes: "MALFORMED_ID", statuses: []int{400, 404, 0}, message: "Contact ID: id value of incorrect type: Yamada", fields: []string{"WhoId"}, want: "data SF_REJECTED", secret: "Yamada"},
	{codes: "MALFORMED_ID", statuses: []int{400, 404}, message: "malformed id Yamada", want: "data SF_REJECTED", secret: "Yamada"},
	{codes: "MISSING_ARGUMENT", statuses: []int{400, 0}, message: "Id not specified in an update call", want: "data SF_REJECTED"},
	{codes: "INVALID_INPUT", statuses: []int{400}, message: "too many records", want: "data SF_REJECTED split"},
	{codes: "MALFORMED_QUERY", statuses: []int{400}, message: "\nFROM Lead WHERE Name = 'Yamada' X\n   ^\nERROR at Row:1:Column:41\nunexpected token: 'X'", want: "data SF_REJECTED", secret: "Yamada"},
	{codes: "QUERY_TOO_COMPLICATED EXCEEDED_ID_LIMIT", statuses: []int{400}, message: "too many", want: "data SF_REJECTED split"},
	{codes: "INVALID_QUERY_FILTER_OPERATOR", statuses: []int{400}, message: "invalid ID field: Yamada", want: "data SF_REJECTED", secret: "Yamada"},
	{codes: "INVALID_QUERY_LOCATOR", statuses: []int{400, 404}, message: "Invalid query locator", want: "transient SF_UNAVAILABLE temporary"},
	{codes: "INVALID_CROSS_REFERENCE_KEY", statuses: []int{400, 0}, message: "invalid cross reference id", want: "data SF_RECORD_GONE"},
	{codes: "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", statuses: []int{400, 0}, message: "insufficient access rights on cross-reference id: 001SM0000012xYz", want: "config SF_NO_PERMISSION"},
	{codes: "INSUFFICIENT_ACCESS_OR_READONLY", statuses: []int{400, 403, 0}, message: "insufficient access rights on object id", want: "config SF_NO_PERMISSION"},
	{codes: "INSUFFICIENT_ACCESS", statuses: []int{403}, message: "insufficient access rights on object id", want: "config SF_NO_PERMISSION"},
	{codes: "INVALID_FIELD_FOR_INSERT_UPDATE", statuses: []int{400, 0}, message: "Unable to create/update fields: Score__c. Please check the security settings of this field and verify that it is read/write for your profile or permission set.", fields: []string{"Score__c"}, want: "config SF_NO_PERMISSION"},
	{codes: "INVALID_FIELD", statuses: []int{400, 0}, message: "No such column 'Foo__c' on sobject of type Bar__c", want: "config SF_FIELD_GONE"},
	{codes: "INVALID_TYPE", statuses: []int{400}, message: "sObject type 'Foo' is not supported.", want: "config SF_FIELD_GONE"},
	{codes: "FUNCTIONALITY_NOT_ENABLED", statuses: []int{400}, message: "Selecting compound data not supported in Bulk Query", want: "config SF_REJECTED"},
	{codes: "NOT_FOUND", statuses: []int{404}, message: "The requested resource does not exist", want: "config SF_FIELD_GONE"},
	{codes: "NOT_FOUND", statuses: []int{404}, message: "Provided external ID field does not exist or is not accessible: Key__c", want: "config SF_FIELD_GONE"},
	{codes: "NOT_FOUND", statuses: []int{404}, message: "Provided external ID field does not exist or is not accessible: yamada@example.com", want: "data SF_RECORD_GONE", secret: "yamada"},
	{codes: "ENTITY_IS_DELETED", statuses: []int{400, 404, 0}, message: "entity is deleted", want: "data SF_RECORD_GONE"},
	{codes: "ENTITY_IS_LOCKED", statuses: []int{400, 0}, message: "the entity is locked for editing", want: "data SF_REJECTED"},
	{codes: "DUPLICATE_VALUE", statuses: []int{400, 0}, message: "duplicate value found: Ext_Key__c duplicates value on record with id: 00TSM000000tUvW", want: "data SF_REJECTED 00TSM000000tUvW"},
	{codes: "DUPLICATE_VALUE", statuses: []int{400, 0}, message: "duplicate value found: <unknown> duplicates value on record with id: <unknown>", want: "data SF_REJECTED"},
	{codes: "DUPLICATE_VALUE", statuses: []int{0}, message: "Duplicate external id specified: Yamada", want: "data SF_REJECTED"},
	{codes: "DUPLICATES_DETECTED", statuses: []int{400, 0}, message: "Use one of these records?", want: "data SF_DUPLICATE_RULE"},
	{codes: "DUPLICATE_EXTERNAL_ID", statuses: []int{400, 0}, message: "more than one record found for external id field", want: "config KEY_AMBIGUOUS"},
	{codes: "FIELD_CUSTOM_VALIDATION_EXCEPTION FIELD_FILTER_VALIDATION_EXCEPTION", statuses: []int{400, 0}, message: "A close date is needed", want: "data SF_VALIDATION"},
	{codes: "FIELD_INTEGRITY_EXCEPTION", statuses: []int{400, 0}, message: "Related To ID: You can only relate to a contact", fields: []string{"WhatId"}, want: "data SF_VALIDATION"},
	{codes: "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", statuses: []int{400, 0}, message: "LeadTrigger: execution of BeforeInsert\n\ncaused by: System.NullPointerException: null", want: "data SF_VALIDATION"},
	{codes: "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", statuses: []int{400, 0}, message: "LeadTrigger: execution of AfterUpdate\n\ncaused by: UNABLE_TO_LOCK_ROW, unable to obtain exclusive access", want: "lock SF_LOCKED split temporary"},
	{codes: "CANNOT_EXECUTE_FLOW_TRIGGER", statuses: []int{400, 0}, message: `We can't save this record because the "Route" process failed.`, want: "data SF_VALIDATION"},
	{codes: "CANNOT_EXECUTE_FLOW_TRIGGER", statuses: []int{400, 0}, message: `We can't save this record because the "Route" process failed. System.LimitException: Too many SOQL queries: 101`, want: "transient SF_LIMIT split temporary"},
	{codes: "APEX_ERROR", statuses: []int{500}, message: "System.QueryException: List has no rows", want: "data SF_VALIDATION ambiguous"},
	{codes: "INACTIVE_OWNER_OR_USER", statuses: []int{400, 0}, message: "operation performed with inactive user [005SM0000012xYz] as owner of lead", want: "data OWNER_INACTIVE"},
	{codes: "OP_WITH_INVALID_USER_TYPE_EXCEPTION TRANSFER_REQUIRES_READ", statuses: []int{400, 0}, message: "the owner may not have it", want: "data OWNER_INACTIVE"},
	{codes: "CANNOT_UPDATE_CONVERTED_LEAD", statuses: []int{400, 0}, message: "cannot reference converted lead", want: "data SF_CONVERTED_LEAD"},
	{codes: "STORAGE_LIMIT_EXCEEDED", statuses: []int{400, 0}, message: "storage limit exceeded", want: "quota SF_LIMIT temporary"},
	{codes: "DELETE_FAILED", statuses: []int{400, 0}, message: "Your attempt to delete could not be completed because it is associated with the following cases", want: "data SF_REJECTED"},
	{codes: "METHOD_NOT_ALLOWED", statuses: []int{405}, message: "HTTP Method 'DELETE' not allowed. Allowed are HEAD,GET,PATCH", want: "config SF_REJECTED"},
	{codes: "UNSUPPORTED_MEDIA_TYPE", statuses: []int{415}, want: "config SF_REJECTED"},
	{codes: "UNSUPPORTED_API_VERSION", statuses: []int{404, 410}, want: "auth SF_API_DISABLED"},
	{codes: "UNSUPPORTED_API_VERSION", statuses: []int{500}, message: "retired", want: "auth SF_API_DISABLED ambiguous"},
	{codes: "TXN_SECURITY_NO_ACCESS TXN_SECURITY_END_A_SESSION TXN_SECURITY_TWO_FA_REQUIRED TXN_SECURITY_METERING_ERROR TXN_SECURITY_RUNTIME_ERROR TXN_SECURITY_FAIL_CLOSE TXN_SECURITY_APEX_ERROR", statuses: []int{403}, message: "The operation you requested was blocked due to a security policy", want: "auth SF_APP_BLOCKED"},
	{codes: "CLIENT_NOT_ACCESSIBLE_FOR_USER", statuses: []int{403}, want: "auth SF_APP_BLOCKED"},
	{codes: "LOGIN_DURING_RESTRICTED_TIME LOGIN_DURING_RESTRICTED_DOMAIN", statuses: []int{401, 403}, want: "auth SF_IP_RESTRICTED"},
	{codes: "MIXED_DML_OPERATION", statuses: []int{400, 0}, message: "DML operation on setup object is not permitted after you have updated a non-setup object", want: "config MAPPING_INVALID"},
}

// answered lets the client read an error as Salesforce sends it: an array of errors with errorCode, or for one record of a
// collection an item with statusCode.
func answered(t *testing.T, row *refusal, code string, status int) *Error {
	t.Helper()
	r := &call{method: "PATCH", records: 1}
	one := map[string]any{"message": row.message, "errorCode": code}
	if row.fields != nil {
		one["fields"] = row.fields
	}
	var body any = []any{one}
	if status == 0 {
		body = []any{map[string]any{"success": false, "errors": []any{map[string]any{
			"statusCode": code, "message": row.message, "fields": append([]string{}, row.fields...),
		}}}}
	}
	text, err := json.Marshal(body)
	require.NoError(t, err)
	var got *Error
	if status != 0 {
		require.ErrorAs(t, checkAnswer(r, &answer{status: status, body: text}), &got)
		return got
	}
	results, err := decodeResults(r, &answer{status: 200, body: text}, Upsert)
	require.NoError(t, err)
	return results[0].Err
}

func TestEveryRowOfTheCatalogueAsSalesforceAnswersIt(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-8")
	seen := map[string]bool{}
	for i := range catalogue {
		row := &catalogue[i]
		for code := range strings.FieldsSeq(row.codes) {
			seen[code] = true
			for _, status := range row.statuses {
				e := answered(t, row, code, status)
				words := []string{e.Class.String(), e.Reason}
				for word, said := range map[string]bool{"split": e.Split, "temporary": e.Temporary(), "ambiguous": e.Ambiguous, e.ExistingID: e.ExistingID != ""} {
					if said {
						words = append(words, word)
					}
				}
				slices.Sort(words[2:])
				want := strings.Fields(row.want)
				slices.Sort(want[2:])
				at := fmt.Sprintf("%s with %d: %s", code, status, row.message)
				require.Equal(t, want, words, at)
				require.Equal(t, code, e.Code, at)
				require.Equal(t, status, e.Status, at)
				require.ElementsMatch(t, row.fields, e.Fields, at)
				require.NotContains(t, e.Error(), "Yamada", at)
				if row.secret != "" {
					require.NotContains(t, e.Error(), row.secret, at)
				}
			}
		}
	}
	for code := range codeTable {
		require.True(t, seen[code], "%s has no row", code)
	}
	require.Len(t, seen, len(codeTable))
}
