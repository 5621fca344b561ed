package consent

import (
	"errors"
	"strings"

	"github.com/throughline-dev/throughline/libs/salesforce"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// Codes of what can go wrong besides Salesforce's own, such as access_denied. They are stable: pages translate them.
const (
	CodeLinkUnknown    = "LINK_UNKNOWN"
	CodeLinkUsed       = "LINK_USED"
	CodeLinkExpired    = "LINK_EXPIRED"
	CodeStateUnknown   = "STATE_UNKNOWN"
	CodeOtherBrowser   = "OTHER_BROWSER"
	CodeMissingScope   = "MISSING_SCOPE"
	CodeNoOffline      = "NO_OFFLINE_ACCESS"
	CodeEnvironment    = "ENVIRONMENT_MISMATCH"
	CodeEmail          = "EMAIL_MISMATCH"
	CodeOtherOrg       = "OTHER_ORG"
	CodePKCERequired   = "PKCE_REQUIRED"
	CodeOrgUnknown     = "ORG_UNKNOWN"
	CodeNotConfirmed   = "NOT_CONFIRMED"
	CodeNotInTime      = "NOT_IN_TIME"
	CodeCancelled      = "CANCELLED"
	CodePhoneRole      = "PHONE_ROLE"
	CodeDialling       = "THIRD_PARTY_DIALLING"
	codeInvalidRequest = "invalid_request"
)

// Failure is why a step was not made, and nothing was changed. Its text is for the administrator who began the attempt, in
// English; the code is for pages.
type Failure struct {
	Code, Detail string
	// Reason is what in the org is in the way, if it is that.
	Reason streamv1.Reason
	// Wanted and Got are addresses that do not agree, for the person in front of the page only (ZOOM-3).
	Wanted, Got string
}

// Error implements error, without the addresses.
func (f *Failure) Error() string { return f.Code + ": " + f.Detail }

func failure(code, detail string) *Failure { return &Failure{Code: code, Detail: detail} }

// orgReasons are those that an administrator of the org must do something about before any login can succeed.
var orgReasons = map[string]streamv1.Reason{
	salesforce.ReasonAppBlocked:   streamv1.Reason_REASON_SF_APP_BLOCKED,
	salesforce.ReasonIPRestricted: streamv1.Reason_REASON_SF_IP_RESTRICTED,
	salesforce.ReasonAPIDisabled:  streamv1.Reason_REASON_SF_API_DISABLED,
}

// asFailure turns what Salesforce's token endpoint or redirect said into a Failure; a *salesforce.Error is scrubbed.
func asFailure(err error) *Failure {
	var f *Failure
	var e *salesforce.Error
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &e):
		f = failure(e.Code, e.Detail)
		f.Reason = orgReasons[e.Reason]
		return f
	}
	return failure("INTERNAL", "the attempt could not be finished; try again, the config service's log tells more")
}

// refusesPKCE reports whether an answer may mean that the app has no use for the challenge it got. Salesforce has no code for
// that, so any refusal of the request as such is worth the second try that AUTO allows.
func refusesPKCE(err error) bool {
	var e *salesforce.Error
	return errors.As(err, &e) && e.Code == codeInvalidRequest
}

// demandsPKCE reports whether the app refused a request for want of a challenge. Source: REST API Developer Guide, "OAuth 2.0
// Web Server Flow for Web App Integration".
func demandsPKCE(err error) bool {
	var e *salesforce.Error
	return errors.As(err, &e) && e.Code == codeInvalidRequest && strings.Contains(strings.ToLower(e.Detail), "code challenge")
}

// lacksScope reports whether the app was asked for a scope that it does not have.
func lacksScope(err error) bool {
	var e *salesforce.Error
	return errors.As(err, &e) && e.Code == "invalid_scope"
}

// result is what a failed attempt leaves behind.
func (f *Failure) result() *configv1.FlowResult {
	return &configv1.FlowResult{Code: f.Code, Detail: f.Detail}
}
