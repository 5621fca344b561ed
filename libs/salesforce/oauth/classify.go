package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/oauth2"

	"github.com/throughline-dev/throughline/libs/salesforce"
)

// verdict is one row of the table of the token endpoint's error codes.
type verdict struct {
	class  salesforce.Class
	reason string
	advice string
}

const (
	reconnect     = "reconnect the org: its administrator must authorise the app again"
	askAdmin      = "ask the org's administrator to allow the app and its user"
	checkKeys     = "check the connection's consumer key, secret, user and login address"
	checkCallback = "register the console's callback address with the app, character by character"
	wait          = "Salesforce will be asked again"
)

// codeTable is the one table of the token endpoint's codes. What is not in it counts as unknown.
var codeTable = map[string]verdict{
	"invalid_grant":          {salesforce.ClassAuth, salesforce.ReasonAuthRevoked, reconnect},
	"invalid_token":          {salesforce.ClassAuth, salesforce.ReasonAuthRevoked, reconnect},
	"inactive_user":          {salesforce.ClassAuth, salesforce.ReasonAuthRevoked, askAdmin},
	"access_denied":          {salesforce.ClassAuth, salesforce.ReasonAuthRevoked, reconnect},
	"inactive_org":           {salesforce.ClassAuth, salesforce.ReasonAPIDisabled, askAdmin},
	"app_blocked":            {salesforce.ClassAuth, salesforce.ReasonAppBlocked, askAdmin},
	"fail_close_app_blocked": {salesforce.ClassAuth, salesforce.ReasonAppBlocked, askAdmin},
	"app_not_found":          {salesforce.ClassAuth, salesforce.ReasonAppBlocked, askAdmin},
	"oauth_flow_disabled":    {salesforce.ClassAuth, salesforce.ReasonAppBlocked, askAdmin},
	"invalid_app_access":     {salesforce.ClassAuth, salesforce.ReasonAppBlocked, askAdmin},
	"ecapp_policy_not_found": {salesforce.ClassAuth, salesforce.ReasonAppBlocked, askAdmin},
	"oauth_policy_not_found": {salesforce.ClassAuth, salesforce.ReasonAppBlocked, askAdmin},
	"invalid_client":         {salesforce.ClassConfig, salesforce.ReasonAuthRevoked, checkKeys},
	"invalid_client_id":      {salesforce.ClassConfig, salesforce.ReasonAuthRevoked, checkKeys},
	"invalid_basic_auth_header": {
		salesforce.ClassConfig, salesforce.ReasonAuthRevoked, checkKeys,
	},
	"invalid_assertion_type": {salesforce.ClassConfig, salesforce.ReasonAuthRevoked, checkKeys},
	"unsupported_grant_type": {salesforce.ClassConfig, salesforce.ReasonAppBlocked, checkKeys},
	"invalid_scope":          {salesforce.ClassConfig, salesforce.ReasonAppBlocked, askAdmin},
	"invalid_request":        {salesforce.ClassConfig, salesforce.ReasonRejected, checkKeys},
	// The web server flow.
	"redirect_uri_missing":      {salesforce.ClassConfig, salesforce.ReasonRejected, checkCallback},
	"redirect_uri_mismatch":     {salesforce.ClassConfig, salesforce.ReasonRejected, checkCallback},
	"unsupported_response_type": {salesforce.ClassConfig, salesforce.ReasonAppBlocked, askAdmin},
	"immediate_unsuccessful":    {salesforce.ClassAuth, salesforce.ReasonAuthRevoked, reconnect},
	"login_error":               {salesforce.ClassAuth, salesforce.ReasonAuthRevoked, reconnect},
	"invalid_session_level":     {salesforce.ClassAuth, salesforce.ReasonAppBlocked, askAdmin},
	"invalid_otp":               {salesforce.ClassAuth, salesforce.ReasonAuthRevoked, reconnect},
	"otp_error":                 {salesforce.ClassAuth, salesforce.ReasonAuthRevoked, reconnect},
	"installation_error":        {salesforce.ClassAuth, salesforce.ReasonAppBlocked, askAdmin},
	"invalid_distribution_state": {
		salesforce.ClassAuth, salesforce.ReasonAppBlocked, askAdmin,
	},
	// Revoke and introspect.
	"unsupported_token_type": {salesforce.ClassAuth, salesforce.ReasonAuthRevoked, reconnect},

	"rate_limit_exceeded": {salesforce.ClassTransient, salesforce.ReasonLimit, wait},
	"slow_down":           {salesforce.ClassTransient, salesforce.ReasonLimit, wait},
	"server_error":        {salesforce.ClassTransient, salesforce.ReasonUnavailable, wait},
	"service_unavailable": {salesforce.ClassTransient, salesforce.ReasonUnavailable, wait},
	"system_down":         {salesforce.ClassTransient, salesforce.ReasonUnavailable, wait},
	"unknown_error":       {salesforce.ClassTransient, salesforce.ReasonUnavailable, wait},
}

// classify turns a failure of x/oauth2 into an *Error. The texts of x/oauth2 quote the whole answer and the address, so
// none of them is kept (promise 8).
func classify(ctx context.Context, err error) error {
	var answer *oauth2.RetrieveError
	if errors.As(err, &answer) && answer.Response != nil {
		return fromAnswer(answer)
	}
	var network *url.Error
	switch {
	case errors.Is(err, errRedirect) || strings.Contains(err.Error(), errRedirect.Error()):
		return &salesforce.Error{
			Class: salesforce.ClassConfig, Reason: salesforce.ReasonRejected, Code: salesforce.CodeRedirected,
			Detail: "the token endpoint redirected; set the connection's login address to the org's own domain",
		}
	case ctx.Err() != nil:
		return &salesforce.Error{
			Class: salesforce.ClassTransient, Reason: salesforce.ReasonUnavailable, Code: salesforce.CodeCancelled,
			Detail: "the caller gave up",
		}
	case errors.As(err, &network) || strings.Contains(err.Error(), "cannot fetch token: Post"):
		code := salesforce.CodeConnection
		if network != nil && network.Timeout() {
			code = salesforce.CodeTimeout
		}
		return &salesforce.Error{
			Class: salesforce.ClassTransient, Reason: salesforce.ReasonUnavailable, Code: code,
			Detail: "the token endpoint cannot be reached",
		}
	case strings.Contains(err.Error(), "private key"):
		return &salesforce.Error{
			Class: salesforce.ClassConfig, Reason: salesforce.ReasonAuthRevoked, Code: salesforce.CodeBadRequest,
			Detail: "the private key is not a PEM key",
		}
	}
	return unreadable()
}

func unreadable() error {
	return &salesforce.Error{
		Class: salesforce.ClassTransient, Reason: salesforce.ReasonUnavailable, Code: salesforce.CodeNotJSON,
		Detail: "the token endpoint's answer cannot be read",
	}
}

func fromAnswer(answer *oauth2.RetrieveError) error {
	status := answer.Response.StatusCode
	if answer.ErrorCode == "" {
		// The JWT grant of x/oauth2 leaves the body to us.
		var wire struct {
			Code        string `json:"error"`
			Description string `json:"error_description"`
		}
		if json.Unmarshal(answer.Body, &wire) == nil {
			answer.ErrorCode, answer.ErrorDescription = wire.Code, wire.Description
		}
	}
	return refusal(status, answer.ErrorCode, answer.ErrorDescription)
}

// refusal classifies a code of the token endpoint, or of the redirect of a login, whose status is 0.
func refusal(status int, code, description string) error {
	v, known := codeTable[code]
	if !known {
		v = verdict{salesforce.ClassUnknown, salesforce.ReasonRejected, checkKeys}
		if status >= http.StatusInternalServerError || status == http.StatusTooManyRequests {
			v = verdict{salesforce.ClassTransient, salesforce.ReasonUnavailable, wait}
		}
	}
	if code == "" {
		code = salesforce.CodeNotJSON
	}
	// One code covers a revoked grant, an address policy and a wrong login address; only the text tells them apart.
	switch text := strings.ToLower(description); {
	case strings.Contains(text, "ip restricted"):
		v = verdict{salesforce.ClassAuth, salesforce.ReasonIPRestricted, askAdmin}
	case strings.Contains(text, "not supported on this domain"), strings.Contains(text, "audience validation failed"),
		strings.Contains(text, "invalid jwt signature"):
		v.class, v.advice = salesforce.ClassConfig, checkKeys
	}
	detail := v.advice
	if description != "" {
		detail = salesforce.Scrub(description) + "; " + v.advice
	}
	return &salesforce.Error{Class: v.class, Reason: v.reason, Code: code, Status: status, Detail: detail}
}
